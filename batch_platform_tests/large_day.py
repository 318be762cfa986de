"""A day of a million chats in MariaDB, and a process of its own that lands it and tells the cost.

Run by a test or a benchmark as
`python -m batch_platform_tests.large_day SOURCE_URL PLATFORM_URL [--with-cursor]`: a process's peak
memory can only be told when it did nothing else.
"""

import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from batch_platform.core.settings import load_settings
from batch_platform.domains.chats.extraction import extract_day
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.gateways.source_db.address import source_engine
from batch_platform_tests.mariadb import MariaDb

ROWS = 1_000_000
DAY = date(2026, 11, 19)
Result = TypeVar("Result")
SEOUL = ZoneInfo("Asia/Seoul")
COLUMNS = {name: name for name in ("chatting_pk", "input_text", "created_at")}
BLANK_EVERY = 97


@dataclass(frozen=True)
class LargeDay:
    """What landing the day took.

    Attributes:
        cursor_seconds: A plain server-side cursor that reads the rows and drops them; None when
            it was not asked for.
        reading_seconds: The platform's reader that reads the rows and drops them.
        landing_seconds: The whole extraction.
        peak_mb: Most resident memory of the process (10⁶ bytes).
        growth_mb: How much of it came after everything was imported; the readings do not count.
    """

    landed_rows: int
    blank_rows: int
    cursor_seconds: float | None
    reading_seconds: float
    landing_seconds: float
    peak_mb: float
    growth_mb: float


def fill_large_day(server: MariaDb, rows: int = ROWS) -> None:
    """Write the day's chats, and a few of the days around it, in no order of time.

    About one in a hundred is blank; the others are questions of 20 to 60 signs, some with emoji.
    """
    server.execute(
        "CREATE TABLE chattings (chatting_pk BIGINT PRIMARY KEY, input_text TEXT,"
        " created_at DATETIME(6), KEY (created_at))",
        "INSERT INTO chattings SELECT seq,"
        f" IF(seq % {BLANK_EVERY} = 0, ' ', CONCAT("
        "  ELT(1 + seq % 6, '학교폭력을 신고하려면 어떻게 하나요? ', '전학 절차를 알려주세요 🙏 ',"
        "   '검정고시 시험 일정이 궁금해요 😀 ', '교권 침해를 당했어요. 상담이 가능한가요? ',"
        "   '생활기록부를 인터넷으로 발급받는 방법 ',"
        "   '수행평가 결과에 이의를 제기하고 싶습니다 👨‍👩‍👧 '),"
        "  seq % 50000)),"
        " '2026-11-19' + INTERVAL (seq * 7919 % 86400) SECOND"
        " + INTERVAL (seq % 1000000) MICROSECOND"
        f" FROM seq_1_to_{rows}",
        "INSERT INTO chattings VALUES (0, 'before', '2026-11-18 23:59:59.999999'),"
        f" ({rows + 1}, 'after', '2026-11-20 00:00:00')",
    )


def land_in_a_process(server: MariaDb, db: PlatformDb, *, with_cursor: bool = False) -> LargeDay:
    """Read and land the day in a fresh process, and time a plain cursor if that is wanted."""
    options = ["--with-cursor"] if with_cursor else []
    completed = subprocess.run(
        [sys.executable, "-m", "batch_platform_tests.large_day", server.url, db.url, *options],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    return LargeDay(**json.loads(completed.stdout))


def _read_with_a_plain_cursor(url: str) -> None:
    """What a program does without a platform: driver's types, server-side cursor, nothing kept."""
    statement = sa.text(
        "SELECT chatting_pk, input_text, created_at FROM chattings"
        " WHERE created_at >= '2026-11-19' AND created_at < '2026-11-20'"
    )
    with source_engine(url, "SOURCE_URL").connect() as connection:
        rows = connection.execute(statement, execution_options={"yield_per": 1000})
        for _part in rows.partitions():
            pass


def _read(source: SourceDatabase) -> None:
    with source.open_day("chattings", COLUMNS, "created_at", DAY) as rows:
        for _batch in rows.batches():
            pass


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # The resource usage below counts what the parent had when it started this process, too.
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def main() -> None:
    """Print a `LargeDay` as JSON."""
    source_url, platform_url, *options = sys.argv[1:]
    settings = load_settings()
    source, db = SourceDatabase(source_url, SEOUL), PlatformDb(platform_url)
    # Both are paid once a process, whatever it reads.
    pa.array(["Arrow looks for pandas"])
    source.count_day("chattings", "created_at", DAY)
    gc.collect()
    peak_before = _peak_mb()
    extraction, landing_seconds = _timed(
        lambda: extract_day(DAY, source=source, db=db, settings=settings)
    )
    peak = _peak_mb()
    _, reading_seconds = _timed(lambda: _read(source))
    cursor_seconds = None
    if options == ["--with-cursor"]:
        _, cursor_seconds = _timed(lambda: _read_with_a_plain_cursor(source_url))
    took = LargeDay(
        landed_rows=extraction.landed_rows,
        blank_rows=extraction.blank_rows,
        cursor_seconds=cursor_seconds,
        reading_seconds=reading_seconds,
        landing_seconds=landing_seconds,
        peak_mb=peak,
        growth_mb=peak - peak_before,
    )
    sys.stdout.write(json.dumps(asdict(took)))


def _timed(step: Callable[[], Result]) -> tuple[Result, float]:
    start = time.perf_counter()
    result = step()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()

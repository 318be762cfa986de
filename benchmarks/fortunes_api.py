"""`GET /fortune/today` at 200 requests in flight against 100,000 stored fortunes.

The API runs in a process of its own, the clients in this one: each of 200 connections sends its
next request as soon as the last is answered, for users drawn at random. Both share the machine with
PostgreSQL, so what is measured is what a machine of two cores bears altogether.
"""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import uvloop
from rich.console import Console

from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE
from batch_platform.domains.fortunes.pillars import SEOUL
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope, TokenBook
from benchmarks.figures import Figure
from benchmarks.scratch_database import scratch_database

FORTUNES = 100_000
IN_FLIGHT = 200
SECONDS = 20
_WARM_UP_SECONDS = 2
_AIM_SECONDS = 0.050
_TEXT = "금 기운이 강한 날이니 서두르지 말고 차분히 마무리하는 데에 마음을 쓰면 좋겠습니다. "


@dataclass(frozen=True)
class Load:
    """What a load run saw: seconds of each answered request, and how many were not answered 200."""

    latencies: list[float]
    failures: int
    seconds: float

    def percentile(self, share: float) -> float:
        """Seconds within which that share of the requests was answered."""
        return sorted(self.latencies)[int(share * (len(self.latencies) - 1))]


def api_figures(console: Console, *, small: bool) -> Mapping[str, Figure]:
    """Measure, print and return the figures."""
    fortunes = FORTUNES // 20 if small else FORTUNES
    with scratch_database() as db:
        _store_fortunes(db, fortunes)
        token = TokenBook(db).create("load", Scope.VIEWER)
        with _served(db) as port:
            uvloop.run(_load(port, token, fortunes, _WARM_UP_SECONDS))
            load = uvloop.run(_load(port, token, fortunes, SECONDS // 5 if small else SECONDS))
    rate = len(load.latencies) / load.seconds
    median, p99 = statistics.median(load.latencies), load.percentile(0.99)
    console.print(
        f"GET /fortune/today, {fortunes:,} stored, {IN_FLIGHT} in flight for {load.seconds:.0f} s:"
        f" {rate:,.0f}/s, median {median * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms,"
        f" p99.9 {load.percentile(0.999) * 1000:.1f} ms, {load.failures} failed"
    )
    return {
        "today_p99_seconds": {"value": round(p99, 4), "aim": _AIM_SECONDS, "better": "lower"},
        "today_failures": {"value": load.failures, "aim": 0, "better": "lower"},
    }


def _store_fortunes(db: PlatformDb, count: int) -> None:
    today = datetime.now(SEOUL).date()
    with db.connect("benchmark") as connection:
        connection.execute(
            """
            INSERT INTO fortunes.daily_fortunes (
                for_date, user_id, status, gapja_code, gapja_name, gapja_element, fortune_data,
                fortune_score, time_zone, attempts, model, is_made_up, generated_at
            )
            SELECT %(day)s, number::text, 'completed', 36, '경자', '금',
                   jsonb_build_object(
                       'today_fortune_summary', left(%(text)s, 40),
                       'today_element_balance_description', repeat(%(text)s, 3),
                       'today_daily_guidance', repeat(%(text)s, 4),
                       'love', jsonb_build_object('score', number %% 100, 'text', %(text)s),
                       'money', jsonb_build_object('score', number %% 90, 'text', %(text)s),
                       'work', jsonb_build_object('score', number %% 80, 'text', %(text)s),
                       'health', jsonb_build_object('score', number %% 70, 'text', %(text)s)),
                   jsonb_build_object('entropy_score', 90, 'needed_element', '수'),
                   'Asia/Seoul', 0, 'benchmark', true, now()
            FROM generate_series(1, %(count)s) AS number
            """,
            {"day": today, "count": count, "text": _TEXT},
        )
        connection.execute("VACUUM ANALYZE fortunes.daily_fortunes")


@contextmanager
def _served(db: PlatformDb) -> Generator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fortunes_api_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, PROFILE_VARIABLE: "live", ENV_FILE_VARIABLE: os.devnull},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{db.url}\n")
        process.stdin.flush()
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


async def _load(port: int, token: str, users: int, seconds: float) -> Load:
    latencies: list[float] = []
    failures = 0
    started = time.perf_counter()
    end = started + seconds

    async def client(seed: int) -> None:
        nonlocal failures
        chance = random.Random(seed)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent := time.perf_counter()) < end:
            writer.write(
                f"GET /fortune/today?user_id={chance.randrange(users) + 1} HTTP/1.1\r\n"
                f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            latencies.append(time.perf_counter() - sent)
            failures += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(client(seed) for seed in range(IN_FLIGHT)))
    return Load(latencies, failures, time.perf_counter() - started)

"""A night's backup of 12 million prices (about 1 GB), with its restore check, beside its peers.

In one run, on the same database: the bare tool (`pg_dump` with the same codec, format and jobs),
what the old system did (plain `pg_dump` through Python's gzip, level 6), and ours: a dump of a
snapshot with every table counted and hashed, and then the restore check. A writer overwrites days
of prices at full speed, first alone and then during the backup.

    python -m benchmarks.backups            # 3 minutes
    python -m benchmarks.backups --small    # to try it out
"""

import argparse
import gzip
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from batch_platform.domains.backups.folder import BackupFolder
from batch_platform.domains.backups.logic import dump_jobs
from batch_platform.domains.backups.models import Role
from batch_platform.domains.backups.sources import Source
from batch_platform.domains.backups.workflow import create_dump, verify_dump
from batch_platform.gateways.pg_tools.contents import server_version
from batch_platform.gateways.pg_tools.programs import connection_arguments, programs_for
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.given_settings import settings_of
from benchmarks.figures import report
from benchmarks.scratch_database import scratch_database

TICKERS = 2650
FULL_DAYS, SMALL_DAYS = 4530, 150
FIRST_DAY = date(2008, 1, 1)
WRITTEN_DAYS = 20
"""Days, from the first on, that the writer overwrites again and again."""

_COLUMNS = (
    "date, ticker, market, open, high, low, close, change_amount, change_rate, volume,"
    " trading_value, shares_outstanding, market_cap, is_suspended, source, is_made_up"
)


def fill(db: PlatformDb, days: int) -> None:
    """Make prices like the market's: every stock on every day."""
    with db.connect("fill") as connection:
        connection.execute("SET synchronous_commit = off")
        for start in range(0, days, 250):
            connection.execute(
                f"INSERT INTO stocks.daily_prices ({_COLUMNS})"
                " SELECT %s::date + day, lpad((stock * 10)::text, 6, '0'), 'KOSPI',"
                " price, price + price / 50, price - price / 60, price + move, move,"
                " round(100.0 * move / price, 2), (hash %% 900000) + 1000,"
                " price * ((hash %% 900000) + 1000), 10000000 + stock * 7919,"
                " price * (10000000 + stock * 7919), false, 'KRX', true"
                " FROM generate_series(%s::int, %s::int) AS day"
                " CROSS JOIN generate_series(1, %s::int) AS stock,"
                " LATERAL (SELECT abs(hashint8(day::bigint * 10007 + stock)::bigint) AS hash) AS a,"
                " LATERAL (SELECT 1000 + stock * 37 + hash %% 997 AS price,"
                "   (hash %% 401) - 200 AS move) AS b",
                [FIRST_DAY, start, min(start + 249, days - 1), TICKERS],
            )
        connection.execute("VACUUM ANALYZE stocks.daily_prices")
        connection.execute("CHECKPOINT")


class Writer:
    """Overwrites days of prices as fast as it can, and remembers how long each took."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db
        self._days = [FIRST_DAY + timedelta(days=number) for number in range(WRITTEN_DAYS)]
        self._rows = {day: self._read(day) for day in self._days}
        self.seconds: list[float] = []
        self.errors: list[str] = []

    def _read(self, day: date) -> pa.RecordBatch:
        rows = self._db.fetch_all(
            f"SELECT {_COLUMNS} FROM stocks.daily_prices WHERE date = %s", [day]
        )
        names = [name.strip() for name in _COLUMNS.split(",")]
        columns = list(zip(*rows, strict=True))
        arrays = [
            pa.array([str(value) for value in column])
            if name == "change_rate"
            else pa.array(list(column))
            for name, column in zip(names, columns, strict=True)
        ]
        return pa.record_batch(arrays, names=names)

    @contextmanager
    def writing(self) -> Generator[None]:
        """Write while the block runs."""
        ended = threading.Event()
        self.seconds = []

        def write() -> None:
            number = 0
            while not ended.is_set():
                day = self._days[number % len(self._days)]
                number += 1
                started = time.perf_counter()
                try:
                    with self._db.replacing("benchmark/prices", day.isoformat()) as transaction:
                        transaction.overwrite(
                            "stocks.daily_prices", {"date": day}, [self._rows[day]]
                        )
                except Exception as error:  # noqa: BLE001 - every one is counted
                    self.errors.append(str(error))
                self.seconds.append(time.perf_counter() - started)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def p(self, percent: int) -> float:
        """A percentile of the times, in milliseconds."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1] * 1000


def bare_dump(db: PlatformDb, folder: Path, codec: str, jobs: int) -> float:
    """The same dump by the tool alone."""
    tools = programs_for(server_version(db)[0])
    conninfo, environment = connection_arguments(db.url)
    started = time.perf_counter()
    subprocess.run(
        [
            tools.path("pg_dump"),
            f"--dbname={conninfo}",
            f"--file={folder}",
            "--format=directory",
            f"--compress={codec}",
            f"--jobs={jobs}",
            "--exclude-table=snapshots.*",
        ],
        env=environment,
        check=True,
    )
    return time.perf_counter() - started


def old_dump(db: PlatformDb, file: Path) -> float:
    """As the old system did it: plain text through Python's gzip at level 6."""
    tools = programs_for(server_version(db)[0])
    conninfo, environment = connection_arguments(db.url)
    started = time.perf_counter()
    with (
        subprocess.Popen(
            [tools.path("pg_dump"), f"--dbname={conninfo}"],
            env=environment,
            stdout=subprocess.PIPE,
        ) as process,
        gzip.open(file, "wb", compresslevel=6) as compressed,
    ):
        assert process.stdout
        shutil.copyfileobj(process.stdout, compressed, 1 << 20)
    return time.perf_counter() - started


def size_mb(path: Path) -> float:
    """Megabytes of a file or folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    """Run it and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a thirtieth of the rows")
    days = SMALL_DAYS if parser.parse_args().small else FULL_DAYS
    place = Path(tempfile.mkdtemp(prefix="batch-platform-backups-"))
    place.chmod(0o755)
    try:
        with scratch_database() as db:
            compare(db, days, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def compare(db: PlatformDb, days: int, place: Path) -> None:
    """Measure all of them on one database."""
    settings = settings_of(
        PLATFORM_DATABASE_URL=db.url,
        BATCH_PLATFORM_HOME=place / "home",
        BACKUP_FOLDER=place / "backups",
        BACKUP_MIN_FREE_GB=1,
    )
    source = Source(Role.PLATFORM, db, ("snapshots",))
    clock = lambda: datetime.now(UTC)  # noqa: E731
    fill(db, days)
    ((size,),) = db.fetch_all("SELECT pg_database_size(current_database())")
    print(f"{days * TICKERS:,} rows, database {size / 1e6:,.0f} MB, {os.cpu_count()} cores")

    # Everything once from a warm cache; ours and the bare tool twice, in turn, the faster counts.
    ours: list[float] = []
    bare: list[float] = []
    manifests = []
    for turn in range(2):
        started = time.perf_counter()
        manifest = create_dump(FIRST_DAY, [source], db=db, settings=settings, clock=clock)
        ours.append(time.perf_counter() - started)
        manifests.append(manifest)
        jobs = dump_jobs(settings.backups.jobs, os.cpu_count() or 1)
        bare.append(bare_dump(db, place / f"bare{turn}", manifest.codec, jobs))
    manifest = manifests[-1]
    old = old_dump(db, place / "old.sql.gz")
    found = verify_dump(manifest, settings=settings, clock=clock)
    assert found.is_good, found.problems

    print(f"bare pg_dump {manifest.codec}: {min(bare):.1f} s, {size_mb(place / 'bare0'):,.0f} MB")
    print(
        f"ours: dump with counts and checksums {min(ours):.1f} s,"
        f" {manifest.size_bytes / 1e6:,.0f} MB; restore check {found.seconds:.1f} s;"
        f" together {min(ours) + found.seconds:.1f} s"
    )
    print(f"python gzip 6: {old:.1f} s, {size_mb(place / 'old.sql.gz'):,.0f} MB, not checked")

    writer = Writer(db)
    with writer.writing():
        time.sleep(max(5.0, min(ours)))
    alone = (writer.p(50), writer.p(99), len(writer.seconds) / sum(writer.seconds))
    with writer.writing():
        busy = create_dump(
            FIRST_DAY + timedelta(days=1), [source], db=db, settings=settings, clock=clock
        )
    during = (writer.p(50), writer.p(99), len(writer.seconds) / sum(writer.seconds))
    busy_check = verify_dump(busy, settings=settings, clock=clock)
    assert busy_check.is_good, busy_check.problems
    for name, (median, p99, rate) in (("alone", alone), ("during the dump", during)):
        print(
            f"writer {name}: {rate:.1f} days/s of {TICKERS:,} rows,"
            f" median {median:.0f} ms, p99 {p99:.0f} ms"
        )
    print(f"dump beside the writer: {busy.seconds:.1f} s, restored and compared: the same")
    assert len(BackupFolder(settings.backup_folder).backups()) == 3
    report(
        {
            "backups_dump_of_bare": {
                "value": round(min(ours) / min(bare), 3),
                "aim": 1.3,
                "better": "lower",
            },
            "backups_python_gzip_6_of_dump": {
                "value": round(old / min(ours), 2),
                "aim": 5,
                "better": "higher",
            },
            "backups_writer_errors": {
                "value": len(writer.errors),
                "aim": 0,
                "better": "lower",
            },
        }
    )


if __name__ == "__main__":
    main()

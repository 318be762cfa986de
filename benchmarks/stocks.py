"""Prices of the whole market: a day beside the exchange's delay, ten years against a bare COPY.

    python -m benchmarks.stocks            # 2016-2025, about 6.8 M rows: some minutes
    python -m benchmarks.stocks --small    # one quarter

The exchange's answers are rendered before the clock starts and kept compressed (LZ4) in a file; a
transport inside the process hands them to the same client, asset and store as in a night. So the
exchange costs what unpacking its bytes costs, and the network nothing. The bare COPY writes the
very same frame as CSV to the very same kind of table (partitions and indexes) in the same run.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import httpx
import pyarrow as pa
from pydantic import SecretStr

from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE, load_settings
from batch_platform.core.trading_days import TradingCalendar
from batch_platform.gateways.krx import KrxClient
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform.resources.dagster_storage import PlatformDagsterStorage
from batch_platform.sandbox.krx_server import KrxServer, price_rows
from batch_platform.sandbox.loopback import LOOPBACK, loopback_socket, serving_in_a_thread
from batch_platform.sandbox.made_up_market import market_days
from benchmarks.figures import report
from benchmarks.scratch_database import scratch_database

DELAY_SECONDS = 0.3
_CODES = {"stk_bydd_trd": "stk", "ksq_bydd_trd": "ksq"}


class RenderedExchange(httpx.BaseTransport):
    """Answers from a file of rendered, compressed bodies."""

    def __init__(self, file: Path, first: date, last: date) -> None:
        self._codec = pa.Codec("lz4")
        self._places: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._empty = b'{"OutBlock_1": []}'
        with file.open("wb") as sink:
            for day in market_days(first, last):
                for service, code in _CODES.items():
                    rows = {"OutBlock_1": price_rows(day, code)}
                    body = json.dumps(rows, ensure_ascii=False).encode()
                    packed = self._codec.compress(body, asbytes=True)
                    place = (sink.tell(), len(packed), len(body))
                    self._places[service, f"{day.date:%Y%m%d}"] = place
                    sink.write(packed)
        self._file = pa.memory_map(str(file))
        self.bytes = sum(size for _, _, size in self._places.values())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Unpack one answer."""
        key = (request.url.path.rpartition("/")[2], request.url.params["basDd"])
        if key not in self._places:
            return httpx.Response(200, content=self._empty)
        at, length, size = self._places[key]
        packed = self._file.read_at(length, at)
        return httpx.Response(200, content=self._codec.decompress(packed, size, asbytes=True))


def run_prices(
    db: PlatformDb, instance: dg.DagsterInstance, client: KrxClient, first: date, last: date
) -> float:
    """Seconds that the asset's run takes, checks included."""
    # Imported late: partitions read the settings while they are imported, and `main` sets them.
    from batch_platform.build import build_definitions

    definitions = build_definitions(load_settings(), {"platform_db": db, "krx": client})
    job = definitions.resolve_job_def("stocks_prices_job")
    ranged = {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
    started = time.perf_counter()
    result = job.execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=instance,
        partition_key=first.isoformat() if first == last else None,
        tags={COMMAND_TAG: "benchmark", **(ranged if first != last else {})},
    )
    seconds = time.perf_counter() - started
    failed = [each.check_name for each in result.get_asset_check_evaluations() if not each.passed]
    if failed != ["priced_stocks_are_listed"] * len(failed):
        raise SystemExit(f"checks failed: {failed}")
    step = next(
        event.event_specific_data.duration_ms / 1000
        for event in result.all_node_events
        if event.event_type_value == "STEP_SUCCESS" and event.step_key == "stocks__daily_prices"
    )
    print(f"  run {seconds:.2f} s, of which the asset's step {step:.2f} s")
    return seconds


@contextmanager
def dagster_instance(db: PlatformDb, folder: Path) -> Generator[dg.DagsterInstance]:
    """Dagster with its events in PostgreSQL, as the platform has them."""
    os.environ["PLATFORM_DATABASE_URL"] = db.url
    place = PlatformDagsterStorage
    storage = {"custom": {"module": place.__module__, "class": place.__name__}}
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder), {"storage": storage}) as instance:
        yield instance


def one_day(db: PlatformDb, instance: dg.DagsterInstance) -> tuple[float, int]:
    """Seconds beside the exchange's delay for one trading day, through HTTP; and the calls."""
    day = date(2026, 6, 18)
    server = KrxServer("key")
    bound = loopback_socket()
    with serving_in_a_thread(server.application, bound):
        url = f"http://{LOOPBACK}:{bound.getsockname()[1]}/svc/apis/"
        client = KrxClient(url, SecretStr("key"))
        client.prices(date(2026, 6, 17))  # the made-up year is made before the clock starts
        server.switches.calls.clear()
        server.switches.delay_seconds = DELAY_SECONDS
        seconds = run_prices(db, instance, client, day, day)
        client.close()
    ((rows,),) = db.fetch_all("SELECT count(*) FROM stocks.daily_prices WHERE date = %s", [day])
    if rows != 2_763:
        raise SystemExit(f"{rows} rows instead of 2,763")
    return seconds - DELAY_SECONDS, len(server.switches.calls)


def bare_copy(db: PlatformDb, tables: Iterator[pa.Table]) -> tuple[float, int]:
    """Seconds and rows of a plain COPY of the frame, CSV in Arrow as in the platform."""
    with db.connect("bare copy") as connection:
        connection.execute("CREATE SCHEMA bare")
        connection.execute(
            "CREATE TABLE bare.prices (LIKE stocks.daily_prices INCLUDING ALL)"
            " PARTITION BY RANGE (date)"
        )
        for year in range(2015, 2027):
            connection.execute(
                f"CREATE TABLE bare.prices_{year} PARTITION OF bare.prices"
                f" FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
            )
    seconds, rows = 0.0, 0
    for table in tables:
        batches = table.combine_chunks().to_batches()
        started = time.perf_counter()
        with db.replacing("bare/prices", "all") as transaction:
            rows += transaction.append("bare.prices", batches)
        seconds += time.perf_counter() - started
    return seconds, rows


def frames(client: KrxClient, first: date, last: date) -> Iterator[pa.Table]:
    """The frame in pieces of 64 trading days, read outside the clock."""
    days = list(TradingCalendar().days(first, last))
    for index in range(0, len(days), 64):
        table = pa.concat_tables([client.prices(day) for day in days[index : index + 64]])
        yield table.append_column("is_made_up", pa.repeat(False, table.num_rows))


def main() -> None:
    """Measure and report."""
    os.environ[PROFILE_VARIABLE], os.environ[ENV_FILE_VARIABLE] = "live", os.devnull
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one quarter instead of ten years")
    small = parser.parse_args().small
    first, last = (date(2016, 1, 1), date(2016, 3, 31) if small else date(2025, 12, 31))
    with scratch_database() as db, tempfile.TemporaryDirectory() as folder:
        with dagster_instance(db, Path(folder) / "dagster") as instance:
            print("one trading day, through HTTP:")
            day_seconds, calls = one_day(db, instance)
            print(f"  {day_seconds:.2f} s beside the exchange's {DELAY_SECONDS} s, {calls} calls")
            print(f"rendering the exchange's answers from {first} to {last} …")
            exchange = RenderedExchange(Path(folder) / "answers", first, last)
            client = KrxClient("http://exchange/", SecretStr("key"), transport=exchange)
            print(f"  {exchange.bytes / 1e9:.2f} GB of JSON")
            copy_seconds, rows = bare_copy(db, frames(client, first, last))
            print(f"bare COPY: {rows:,} rows in {copy_seconds:.1f} s, {rows / copy_seconds:,.0f}/s")
            run_seconds = run_prices(db, instance, client, first, last)
            client.close()
        ((stored,),) = db.fetch_all(
            "SELECT count(*) FROM stocks.daily_prices WHERE date BETWEEN %s AND %s", [first, last]
        )
        if stored != rows:
            raise SystemExit(f"{stored:,} rows stored, {rows:,} copied")
        print(f"backfill: {rows:,} rows in {run_seconds:.1f} s, {rows / run_seconds:,.0f}/s")
    share = round(100 * copy_seconds / run_seconds, 1)
    report(
        {
            "stocks_day_seconds": {"value": round(day_seconds, 2), "aim": 2.0, "better": "lower"},
            "stocks_day_calls": {"value": calls, "aim": 2, "better": "lower"},
            "stocks_backfill_percent_of_copy": {"value": share, "aim": 60, "better": "higher"},
        }
    )


if __name__ == "__main__":
    main()

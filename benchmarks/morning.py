"""The pages over a year of nights: how long the server takes for each, alone and ten at once.

`python -m benchmarks.morning [--small]`. Quiet machine; about a minute.
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
from dagster_postgres import DagsterPostgresStorage
from rich.console import Console
from rich.table import Table

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope
from batch_platform_tests.morning_world import let_chats_fail, let_stocks_run, morning_world
from batch_platform_tests.signed_in import signed_in
from benchmarks.figures import Figure, report
from benchmarks.scratch_database import scratch_database

_AIM_SECONDS = 0.2
_REQUESTS = 100
_AT_ONCE = 10


def main() -> None:
    """Make up the year, ask for the pages, report."""
    is_small = "--small" in sys.argv[1:]
    nights, count = (60, 20) if is_small else (366, _REQUESTS)
    console = Console()
    with scratch_database() as db:
        dagster_db = _dagster_storage(db)
        with morning_world(db, dagster_db, nights=nights) as world:
            let_chats_fail(world)
            let_stocks_run(world)
            events = dagster_db.fetch_all("SELECT count(*) FROM event_logs")[0][0]
            figures: dict[str, Figure] = {}
            table = Table(title=f"{nights} nights, {events:,} events of Dagster")
            for column in ("address", "median", "95 of 100 within", f"{_AT_ONCE} at once, median"):
                table.add_column(column, justify="left" if column == "address" else "right")
            with (
                signed_in(world.api, Scope.OPERATOR) as person,
                world.api.client(Scope.VIEWER) as program,
            ):
                for path in ("/", "/quarantine", "/costs", "/metrics", "/api/costs/"):
                    client = program if path in {"/metrics", "/api/costs/"} else person
                    alone = _times(lambda path=path, client=client: client.get(path), count)
                    together = _times_at_once(
                        lambda path=path, client=client: client.get(path), count
                    )
                    within = statistics.quantiles(alone, n=20)[-1]
                    table.add_row(
                        path,
                        *(f"{1000 * seconds:.0f} ms" for seconds in (statistics.median(alone),)),
                        f"{1000 * within:.0f} ms",
                        f"{1000 * statistics.median(together):.0f} ms",
                    )
                    if path == "/":
                        figures["morning_page_p95_seconds"] = {
                            "value": round(within, 4),
                            "aim": _AIM_SECONDS,
                            "better": "lower",
                        }
    console.print(table)
    report(figures)


def _dagster_storage(db: PlatformDb) -> PlatformDb:
    """Dagster's database beside the platform's, with its own tables."""
    with psycopg.connect(db.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE benchmark_dagster")
        connection.execute("ALTER DATABASE benchmark_dagster SET timezone TO 'UTC'")
    dagster_db = PlatformDb(f"{db.url}_dagster")
    DagsterPostgresStorage(dagster_db.url.replace("postgresql://", "postgresql+psycopg2://", 1))
    return dagster_db


def _times(ask: Callable[[], httpx.Response], count: int) -> list[float]:
    ask()
    return [_seconds(ask) for _ in range(count)]


def _times_at_once(ask: Callable[[], httpx.Response], count: int) -> list[float]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda _: _seconds(ask), range(count)))


def _seconds(ask: Callable[[], httpx.Response]) -> float:
    start = time.perf_counter()
    answer = ask()
    if answer.status_code != 200:
        raise SystemExit(f"{answer.url} answered {answer.status_code}: {answer.text[:500]}")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

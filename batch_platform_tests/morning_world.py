"""A morning to look at: made-up nights, one of them gone wrong, and the API that shows them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.incidents.models import IncidentKind, Trouble
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform_tests.made_up_nights import MadeUpNights, know_jobs
from batch_platform_tests.running_api import RunningApi, running_api

NOW = datetime(2026, 11, 20, 22, 20, tzinfo=UTC)
"""07:20 of Saturday the 21st in Seoul: chats were due at 07:00."""

TODAY = date(2026, 11, 21)
DEADLINES = (
    Deadline("backups/database_backup", time(5), 1, job="backups_database_job"),
    Deadline("chats/report", time(7), 1, job="chats_night_job"),
    Deadline("fortunes/published_fortunes", time(23, 50), -1, job="fortunes_night_job"),
    Deadline("interventions/published_records", time(9, 30), 1, job="interventions_job"),
    Deadline("stocks/daily_prices", time(10), 1, job="stocks_night_job"),
)
VARIABLES = {
    "ENGINE_FOR_SQLALCHEMY": "sqlite:///chats.sqlite",
    "DATABASE_URL": "sqlite:///fortunes.sqlite",
    "INTERVENTIONS_DATABASE_URL": "sqlite:///interventions.sqlite",
    "KRX_AUTH_KEY": "key",
    "LLM_DAILY_BUDGET_KRW": "3000",
    "ORG_NAME": "한빛교육재단",
}
CAUSE = "The model provider answered 500 for ten minutes. Try again later."
_BEFORE_SEVEN = (DEADLINES[0],)


@dataclass(frozen=True)
class MorningWorld:
    """The API, and the databases behind it."""

    api: RunningApi
    nights: MadeUpNights
    incidents: IncidentBook

    def set_dispatcher_seen(self, at: datetime) -> None:
        """Let the daemon have looked at a time."""
        with self.api.db.connect("test") as connection:
            connection.execute(
                "INSERT INTO operations.dispatcher (caught_up_at) VALUES (%s)"
                " ON CONFLICT (is_the_only_row) DO UPDATE SET caught_up_at = excluded.caught_up_at",
                [at],
            )


@contextmanager
def morning_world(
    db: PlatformDb,
    dagster_db: PlatformDb,
    *,
    nights: int = 40,
    home: str = "",
    url: str = "",
) -> Iterator[MorningWorld]:
    """Serve the pages over nights that all went well until yesterday; the daemon is there.

    Args:
        db: The platform's database.
        dagster_db: Dagster's, with its tables.
        nights: How many there are.
        home: The platform's folder.
        url: BATCH_PLATFORM_API_URL.
    """
    past = MadeUpNights(dagster_db)
    past.nights(DEADLINES, TODAY - timedelta(days=1), nights)
    past.nights(_BEFORE_SEVEN, TODAY, 1)
    know_jobs(db, DEADLINES)
    variables = VARIABLES | ({"BATCH_PLATFORM_HOME": home} if home else {})
    variables |= {"BATCH_PLATFORM_API_URL": url} if url else {}
    with running_api(db, dagster_db=dagster_db, clock=lambda: NOW, variables=variables) as api:
        world = MorningWorld(api, past, IncidentBook(db))
        world.set_dispatcher_seen(NOW)
        yield world


def let_chats_fail(world: MorningWorld) -> str:
    """The chats' run of yesterday fails at its second asset, and an incident tells so."""
    at = NOW - timedelta(hours=3)
    run_id = world.nights.run(
        "chats_night_job", "chats", "2026-11-20", at, status="FAILURE", made=["raw_chats"]
    )
    trouble = Trouble(
        kind=IncidentKind.FAILED,
        domain="chats",
        asset="chats/classifications",
        partition="2026-11-20",
        job="chats_night_job",
        causes=[CAUSE],
        advice=["바깥 서비스의 일시적인 문제입니다. 잠시 뒤 다시 실행하면 됩니다."],
        run_id=run_id,
        is_made_up=False,
    )
    world.incidents.report(trouble, at)
    return run_id


def let_stocks_run(world: MorningWorld) -> str:
    """The stocks' run goes on."""
    return world.nights.run(
        "stocks_night_job",
        "stocks",
        "2026-11-20",
        NOW - timedelta(minutes=4),
        status="STARTED",
        made=["listings"],
    )

"""What is late is found once and closed when it is there; a failure is closed by what it lacked."""

from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.step_progress import (
    StepProgress,
    progress_since,
    tell_progress,
)
from batch_platform.operations.deadline_changes import DeadlineChange, DeadlineChanges
from batch_platform.operations.deadlines_in_force import deadlines_in_force
from batch_platform.operations.incidents.models import IncidentKind, Trouble
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.operations.incidents.watch import close_recovered, report_at_risk, report_late
from batch_platform_tests.given_settings import settings_of

SEOUL = ZoneInfo("Asia/Seoul")
REPORT = Deadline("chats/report", time(7))
BEFORE = datetime(2026, 11, 20, 6, 59, tzinfo=SEOUL)
AFTER = datetime(2026, 11, 20, 7, 1, tzinfo=SEOUL)
FAILED = Trouble(
    kind=IncidentKind.FAILED,
    domain="chats",
    asset="chats/classifications",
    partition="2026-11-19",
    job="chats_night_job",
    causes=["No"],
    advice=[],
    run_id="run-1",
    is_made_up=False,
)


@dataclass
class GivenHistory:
    """A history that says what the test gave it."""

    made: dict[str, dict[str, datetime]] = field(default_factory=dict)
    succeeded: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def made_partitions(self, asset: str) -> set[str]:
        return set(self.made.get(asset, {}))

    def is_made_since(self, asset: str, partition: str, since: datetime) -> bool:
        at = self.made.get(asset, {}).get(partition)
        return at is not None and at > since

    def has_succeeded_since(self, job: str, partition: str, since: datetime) -> bool:
        at = self.succeeded.get((job, partition))
        return at is not None and at > since

    def is_asset(self, name: str) -> bool:
        return name in {"chats/report", "chats/classifications"}


def test_what_is_late_is_reported_once_and_closed_when_it_is_there(platform_db: PlatformDb) -> None:
    book, history = IncidentBook(platform_db), GivenHistory()
    history.made["chats/report"] = {"2026-11-18": BEFORE}
    settings = settings_of()
    assert report_late(book, [REPORT], history, settings, BEFORE) == 0
    assert report_late(book, [REPORT], history, settings, AFTER) == 1
    assert report_late(book, [REPORT], history, settings, AFTER) == 0
    (incident,) = book.open_incidents()
    assert (incident.trouble.asset, incident.trouble.partition) == ("chats/report", "2026-11-19")
    assert "07:00" in incident.trouble.causes[0]

    assert close_recovered(book, history, AFTER) == 0
    history.made["chats/report"]["2026-11-19"] = AFTER
    assert close_recovered(book, history, AFTER) == 1
    assert book.open_incidents() == []


def test_a_failure_is_over_when_its_partition_was_made_afterwards(platform_db: PlatformDb) -> None:
    book, history = IncidentBook(platform_db), GivenHistory()
    book.report(FAILED, AFTER)
    # Made before it failed; another day made since; the rest of the job fine: none of it helps.
    history.made["chats/classifications"] = {"2026-11-19": BEFORE, "2026-11-18": AFTER}
    later = AFTER.replace(hour=9)
    history.succeeded["chats_night_job", "2026-11-19"] = later
    assert close_recovered(book, history, later) == 0
    history.made["chats/classifications"]["2026-11-19"] = later
    assert close_recovered(book, history, later) == 1


def test_a_failed_check_or_a_dead_run_is_over_when_the_job_succeeds(
    platform_db: PlatformDb,
) -> None:
    book, history = IncidentBook(platform_db), GivenHistory()
    book.report(replace(FAILED, asset="chats/categories_are_known"), AFTER)
    book.report(replace(FAILED, asset="", run_id="run-2"), AFTER)
    later = AFTER.replace(hour=9)
    history.succeeded["chats_night_job", "2026-11-18"] = later
    assert close_recovered(book, history, later) == 0
    history.succeeded["chats_night_job", "2026-11-19"] = later
    assert close_recovered(book, history, later) == 2


def test_what_will_be_late_at_the_rate_it_goes_is_told_before_it_is(
    platform_db: PlatformDb,
) -> None:
    book, history, settings = IncidentBook(platform_db), GivenHistory(), settings_of()
    began = datetime(2026, 11, 20, 4, tzinfo=SEOUL)
    # 1,000 in an hour: 4,000 of 5,000 are left at five, and nine is after seven.
    step = StepProgress(
        "run-1", "chats/classifications", "2026-11-19", 1000, 5000, began,
        began + timedelta(hours=1),
    )  # fmt: skip
    tell_progress(platform_db, step)
    now = step.told_at + timedelta(seconds=20)

    def told(deadline: Deadline) -> int:
        going_on = progress_since(platform_db, now - timedelta(minutes=2))
        return report_at_risk(book, [deadline], going_on, history, settings, now)

    assert told(replace(REPORT, at=time(9, 1))) == 0
    assert told(Deadline("stocks/daily_prices", time(7))) == 0
    assert told(REPORT) == 1
    assert told(REPORT) == 0
    (incident,) = book.open_incidents()
    assert incident.severity == "warning"
    assert "1,000/5,000" in incident.trouble.causes[0]
    assert "09:00" in incident.trouble.causes[0]
    history.made["chats/report"] = {"2026-11-19": now}
    assert close_recovered(book, history, now) == 1


def test_people_put_a_deadline_elsewhere_or_take_it_away(platform_db: PlatformDb) -> None:
    changes = DeadlineChanges(platform_db)
    settings = settings_of(ENGINE_FOR_SQLALCHEMY="sqlite://")

    def in_force() -> list[Deadline]:
        return deadlines_in_force([REPORT], [], settings, changes.all())

    assert in_force() == [REPORT]
    changes.set("chats/report", DeadlineChange(time(6, 30), 1), AFTER, changed_by="t")
    assert in_force() == [replace(REPORT, at=time(6, 30))]
    changes.set("chats/report", DeadlineChange(None, None), AFTER, changed_by="t")
    assert in_force() == []
    changes.reset("chats/report")
    assert in_force() == [REPORT]

"""Which night is the last one, how it stands, what is usual."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.run_history import RunRow
from batch_platform.operations.incidents.models import Incident, IncidentKind, Trouble
from batch_platform.operations.morning import NightState
from batch_platform.operations.morning.rules import last_night, state_of, usual_seconds
from batch_platform.operations.nights import last_nights

SEOUL = ZoneInfo("Asia/Seoul")
CHATS = Deadline("chats/report", time(7), job="chats_night_job")
FORTUNES = Deadline("fortunes/published_fortunes", time(23, 50), -1, job="fortunes_night_job")
TODAY = date(2026, 11, 21)


def seoul(hour: int, minute: int = 0, day: int = 21) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=SEOUL)


def run(status: str, partition: str = "2026-11-20", seconds: float = 60) -> RunRow:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    is_over = status in {"SUCCESS", "FAILURE"}
    end = at + timedelta(seconds=seconds) if is_over else None
    return RunRow("r", "chats_night_job", partition, status, "chats", at, at, end)


def incident(kind: IncidentKind, partition: str = "2026-11-20") -> Incident:
    trouble = Trouble(kind, "chats", "chats/report_mail", partition, "j", ["c"], [], "r", False)
    return Incident(1, trouble, seoul(5), seoul(5), 1, None)


def state(
    now: datetime,
    *,
    made: dict[str, datetime] | None = None,
    runs: list[RunRow] | None = None,
    incidents: list[Incident] | None = None,
) -> NightState:
    first_made = {"2026-11-01": seoul(1, day=2), **(made or {})}
    (night,) = last_nights([CHATS], lambda _: set(first_made), now=now, zone=SEOUL, count=1)
    return state_of(
        CHATS, night, SEOUL, first_made=first_made, failed=incidents or [], runs=runs or []
    )


def test_how_a_night_stands() -> None:
    in_time = {"2026-11-20": seoul(3)}
    too_late = {"2026-11-20": seoul(9)}
    assert state(seoul(3)) is NightState.WAITING
    assert state(seoul(8)) is NightState.LATE
    assert state(seoul(8), made=in_time) is NightState.DONE
    assert state(seoul(10), made=too_late) is NightState.DONE_LATE
    assert state(seoul(3), runs=[run("STARTED")]) is NightState.RUNNING
    assert state(seoul(3), runs=[run("QUEUED")]) is NightState.RUNNING
    assert state(seoul(3), runs=[run("FAILURE")]) is NightState.FAILED
    assert state(seoul(8), runs=[run("FAILURE")]) is NightState.FAILED
    # Another day's run says nothing of this one.
    assert state(seoul(3), runs=[run("FAILURE", "2026-11-19")]) is NightState.WAITING
    # It was made again, and the newest run counts.
    assert state(seoul(3), runs=[run("STARTED"), run("FAILURE")]) is NightState.RUNNING
    assert state(seoul(8), made=in_time, runs=[run("FAILURE")]) is NightState.DONE


def test_what_failed_behind_the_deadline_is_failed_all_the_same() -> None:
    made = {"2026-11-20": seoul(3)}
    failed = [incident(IncidentKind.FAILED)]
    assert state(seoul(8), made=made, incidents=failed) is NightState.FAILED
    assert state(seoul(8), made=made, incidents=failed, runs=[run("STARTED")]) is NightState.RUNNING
    other_day = [incident(IncidentKind.FAILED, "2026-11-19")]
    assert state(seoul(8), made=made, incidents=other_day) is NightState.DONE


@pytest.mark.parametrize(
    ("deadline", "now", "newest", "shown"),
    [
        # Due tonight: in the morning, last night's is meant.
        (FORTUNES, seoul(8), NightState.WAITING, date(2026, 11, 20)),
        (FORTUNES, seoul(12), NightState.WAITING, TODAY),
        (FORTUNES, seoul(8), NightState.RUNNING, TODAY),
        (FORTUNES, seoul(8), NightState.DONE, TODAY),
        (CHATS, seoul(3), NightState.WAITING, TODAY),
        (CHATS, seoul(8), NightState.LATE, TODAY),
    ],
)
def test_last_night_is_the_newest_that_is_due_soon_or_has_begun(
    deadline: Deadline, now: datetime, newest: NightState, shown: date
) -> None:
    nights = [(TODAY, newest), (date(2026, 11, 20), NightState.DONE)]
    assert last_night(deadline, nights, now, SEOUL)[0] == shown


@given(st.lists(st.floats(1, 1e5), min_size=3, max_size=60), st.floats(1, 1e6))
def test_the_usual_is_within_what_there_was_and_one_bad_night_does_not_move_it_out(
    durations: list[float], bad: float
) -> None:
    good = [run("SUCCESS", f"p{n}", seconds) for n, seconds in enumerate(durations)]
    failed = [run("FAILURE", "p", 1e7)]
    compared = [run("SUCCESS", "own", bad)]
    usual = usual_seconds([*compared, *failed, *good], "own")
    assert usual is not None
    assert min(durations) - 1e-3 <= usual <= max(durations) + 1e-3


def test_two_runs_are_no_habit() -> None:
    assert usual_seconds([run("SUCCESS", "a"), run("SUCCESS", "b")], "own") is None

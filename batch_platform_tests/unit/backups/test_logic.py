"""Rules about backups: what stays, what adds to what, how much room is wanted."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.errors import PermanentError
from batch_platform.domains.backups import logic
from batch_platform.domains.backups.logic import Held, plan_increment, plan_retention
from batch_platform.domains.backups.models import BackupKind, State

SEOUL = ZoneInfo("Asia/Seoul")
MONDAY = date(2026, 1, 5)


def held(
    name: str,
    made_on: date,
    *,
    kind: BackupKind = BackupKind.DUMP,
    parent: Held | None = None,
    state: State = State.GOOD,
    hour: int = 1,
) -> Held:
    return Held(
        backup_id=name,
        kind=kind,
        made_on=made_on,
        order=datetime.combine(made_on, time(hour), UTC),
        parent_id=parent.backup_id if parent else None,
        base_id=parent.base_id if parent else name,
        state=state,
        system_identifier="server",
    )


def night(on: date, there: Sequence[Held], *, dump_state: State) -> list[Held]:
    """What one night adds: a dump and a link of the chain, as the platform would plan it."""
    dump = held(f"dump {on}", on, state=dump_state)
    plan = plan_increment(there, on, "server")
    by_id = {each.backup_id: each for each in there}
    link = held(
        f"link {on}",
        on,
        kind=BackupKind.BASE_INCREMENT if plan.parent_id else BackupKind.BASE,
        parent=by_id[plan.parent_id] if plan.parent_id else None,
        hour=2,
    )
    return [dump, link]


def test_over_a_year_of_nights_exactly_the_expected_backups_remain() -> None:
    """The expected set is told day by day, without the plan's own rules.

    Of dumps: the last 31 days', and the first good one of this and the two months before; for the
    weeks of a long failure, when every dump is bad: the last good one before it. Of the chain:
    the last 31 days', and back to the Sunday on which the oldest of them began.
    """
    there: list[Held] = []
    failure = (date(2026, 5, 10), date(2026, 6, 20))
    good_days: list[date] = []
    first_good_of_month: dict[tuple[int, int], date] = {}
    for number in range(365):
        on = MONDAY + timedelta(days=number)
        is_bad = failure[0] <= on <= failure[1]
        there += night(on, there, dump_state=State.BAD if is_bad else State.GOOD)
        if not is_bad:
            good_days.append(on)
            first_good_of_month.setdefault((on.year, on.month), on)
        plan = plan_retention(there, on, keep_days=30, keep_monthly=2)
        there = [each for each in there if each.backup_id in plan.kept]

        recent = {on - timedelta(days=back) for back in range(31)}
        recent = {day for day in recent if day >= MONDAY}
        months = {
            (on.year + (on.month - 1 - back) // 12, (on.month - 1 - back) % 12 + 1)
            for back in range(3)
        }
        expected_dumps = recent | {good_days[-1]}
        expected_dumps |= {day for month, day in first_good_of_month.items() if month in months}
        oldest = min(recent)
        began = max(MONDAY, oldest - timedelta(days=(oldest.weekday() + 1) % 7))
        expected_links = recent | {
            began + timedelta(days=back) for back in range((oldest - began).days)
        }
        assert {each.made_on for each in there if each.kind is BackupKind.DUMP} == expected_dumps
        links = {each.made_on for each in there if each.kind is not BackupKind.DUMP}
        assert links == expected_links, on
    assert len(there) > 62


@st.composite
def any_backups(draw: st.DrawFn) -> list[Held]:
    """Dumps and chains in any state, with links that may be missing."""
    made: list[Held] = []
    for number in range(draw(st.integers(0, 25))):
        kind = draw(st.sampled_from(BackupKind))
        parents = [each for each in made if each.kind is not BackupKind.CHANGED_DAYS]
        is_child = kind in (BackupKind.BASE_INCREMENT, BackupKind.CHANGED_DAYS)
        parent = draw(st.sampled_from(parents)) if is_child and parents else None
        made.append(
            held(
                f"backup {number}",
                MONDAY + timedelta(days=number * 3),
                kind=kind,
                parent=parent,
                state=draw(st.sampled_from(State)),
            )
        )
    lost = draw(st.sets(st.sampled_from(made))) if made else set()
    return [each for each in made if each not in lost]


@given(any_backups(), st.integers(0, 100), st.integers(1, 40), st.integers(0, 4))
def test_retention_never_takes_what_is_needed(
    backups: list[Held], days_later: int, keep_days: int, keep_monthly: int
) -> None:
    on = MONDAY + timedelta(days=days_later)
    plan = plan_retention(backups, on, keep_days=keep_days, keep_monthly=keep_monthly)
    by_id: Mapping[str, Held] = {each.backup_id: each for each in backups}

    assert set(plan.kept) | set(plan.removed) == set(by_id)
    assert not set(plan.kept) & set(plan.removed)
    # Nothing kept loses what it adds to.
    for name in plan.kept:
        parent = by_id[name].parent_id
        assert parent is None or parent not in plan.removed
    # Nor does anything on the way there.
    for position, name in enumerate(plan.removed):
        assert all(by_id[later].parent_id != name for later in plan.removed[position + 1 :])
    # The newest good dump stays, and everything that is young.
    good = [e for e in backups if e.kind is BackupKind.DUMP and e.state is State.GOOD]
    assert not good or max(good, key=lambda each: each.order).backup_id in plan.kept
    assert all((on - by_id[name].made_on).days > keep_days for name in plan.removed)
    # Carried out and planned again, nothing more goes.
    rest = [each for each in backups if each.backup_id in plan.kept]
    assert plan_retention(rest, on, keep_days=keep_days, keep_monthly=keep_monthly).removed == ()


def test_what_nobody_checked_is_kept_only_while_there_is_nothing_better() -> None:
    old, on = MONDAY, MONDAY + timedelta(days=100)
    unchecked = held("unchecked", old + timedelta(days=2), state=State.UNVERIFIED)
    good = held("good", old)
    assert set(plan_retention([unchecked], on, keep_days=30).kept) == {"unchecked"}
    assert set(plan_retention([unchecked, good], on, keep_days=30).kept) == {"good"}


def test_a_chain_begins_on_sunday_and_when_it_cannot_go_on() -> None:
    assert plan_increment([], MONDAY, "server").parent_id is None
    full = held("full", MONDAY, kind=BackupKind.BASE)
    tuesday = MONDAY + timedelta(days=1)
    assert plan_increment([full], tuesday, "server").parent_id == "full"
    # Another server, or a copy that failed its check.
    assert plan_increment([full], tuesday, "another").parent_id is None
    bad = held("full", MONDAY, kind=BackupKind.BASE, state=State.BAD)
    assert plan_increment([bad], tuesday, "server").parent_id is None
    sunday = MONDAY + timedelta(days=6)
    assert plan_increment([full], sunday, "server").reason == "It is Sunday"
    of_today = held("today", sunday, kind=BackupKind.BASE)
    assert plan_increment([full, of_today], sunday, "server").parent_id == "today"
    # A Sunday that was missed.
    late = MONDAY + timedelta(days=8)
    assert "more than a week" in plan_increment([full], late, "server").reason


def test_changed_days_add_to_sundays_dump() -> None:
    dumps = [held(f"{MONDAY + timedelta(days=n)}", MONDAY + timedelta(days=n)) for n in range(10)]
    wednesday = MONDAY + timedelta(days=9)
    assert logic.base_of_changed_days(dumps, wednesday) == "2026-01-11"
    assert logic.base_of_changed_days(dumps[:2], MONDAY + timedelta(days=1)) == "2026-01-05"
    assert logic.base_of_changed_days([], wednesday) is None


@pytest.mark.parametrize(
    ("last_gb", "database_gb", "needed_gb"), [(0, 3, 10), (0, 30, 30), (2, 99, 10), (8, 99, 16)]
)
def test_room_is_ten_gigabytes_and_twice_the_last(
    last_gb: int, database_gb: int, needed_gb: int
) -> None:
    assert (
        logic.room_needed(
            min_free_gb=10,
            factor=2,
            last_bytes=last_gb * 10**9,
            database_bytes=database_gb * 10**9,
        )
        == needed_gb * 10**9
    )


def test_two_backups_of_one_second_have_two_names() -> None:
    at = datetime(2026, 11, 20, 16, 0, 3, tzinfo=UTC)
    first = logic.name_of(BackupKind.DUMP, at, SEOUL, ())
    second = logic.name_of(BackupKind.DUMP, at, SEOUL, {first})
    assert (first, second) == ("dump_20261121_010003", "dump_20261121_010003_2")
    for name in (first, second):
        said = logic.kind_and_time(name)
        assert said == (BackupKind.DUMP, datetime(2026, 11, 21, 1, 0, 3))  # noqa: DTZ001
    assert logic.kind_and_time("holiday photos") is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), unique=True))
def test_a_table_keeps_its_last_snapshot(taken: list[tuple[str, int]]) -> None:
    on = MONDAY + timedelta(days=60)
    snapshots = [(f"{t}{day}", t, MONDAY + timedelta(days=day)) for t, day in taken]
    doomed = logic.plan_snapshot_retention(snapshots, on, keep_days=7)
    for table in {table for table, _ in taken}:
        last = max(day for each, day in taken if each == table)
        assert f"{table}{last}" not in doomed
        for each, day in taken:
            if each == table and day != last:
                assert (f"{table}{day}" in doomed) == (60 - day > 7)


def test_a_chain_is_told_from_the_full_one_and_a_missing_link_is_named() -> None:
    parents = {"a": None, "b": "a", "c": "b", "d": "lost"}
    assert logic.chain_to("c", parents) == ["a", "b", "c"]
    with pytest.raises(KeyError, match="lost"):
        logic.chain_to("d", parents)


def test_only_the_last_day_that_is_over_can_be_backed_up() -> None:
    def clock() -> datetime:
        return datetime(2026, 11, 20, 16, tzinfo=UTC)  # 01:00 of the 21st in Seoul

    logic.require_last_day(date(2026, 11, 20), clock, SEOUL)
    for day in (date(2026, 11, 19), date(2026, 11, 21)):
        with pytest.raises(PermanentError, match="cannot be made any more"):
            logic.require_last_day(day, clock, SEOUL)


def test_a_dump_takes_every_core_unless_somebody_says_how_many() -> None:
    assert logic.dump_jobs(0, 4) == 4
    assert logic.dump_jobs(3, 4) == 3

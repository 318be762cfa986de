"""What the old job wrote is taken over: no user is asked about twice, and no failure passes."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from batch_platform.domains.fortunes.importing import SYSTEM, FortuneImport, source_rows
from batch_platform.gateways.import_book import ImportBook, ImportPlan
from batch_platform.gateways.table_files import FoundRow, read_rows
from batch_platform.resources.roles import fortune_source
from batch_platform.sandbox.old_exports import old_fortune, write_csv, write_dumpdata
from batch_platform_tests import old_work
from batch_platform_tests.assets.fortunes.conftest import DAY, ELIGIBLE, World, parsed

LEFT = 5
"""Users whom the old job did not get to, or stored a placeholder for."""


def importing(world: World, rows: list[FoundRow], *placeholders: str) -> FortuneImport:
    return FortuneImport(
        rows,
        db=world.db,
        source=fortune_source(world.settings),
        settings=world.settings,
        clock=lambda: world.now,
        model="gpt-4o-mini",
        placeholders=placeholders,
    )


def bring_in(world: World, path: Path, *placeholders: str) -> ImportPlan:
    importer = importing(world, list(read_rows(path)), *placeholders)
    return old_work.bring_in(SYSTEM, importer, db=world.db, instance=world.instance)


@pytest.fixture
def export(world: World, tmp_path: Path) -> Path:
    """The old job's table: today's whole, and tomorrow's as it stood when it was stopped."""
    world.make("eligible_users")
    users = [row[0] for row in world.rows("SELECT user_id FROM fortunes.eligible_users")]
    assert len(users) == ELIGIBLE
    rows = [old_fortune(int(user), DAY, number=int(user)) for user in users[: -LEFT + 3]]
    rows[-1]["status"] = "processing"
    rows[-2]["fortune_data"] = {"today_fortune_summary": "운세를 준비 중입니다"}
    for row in rows[-3:-2]:
        row["fortune_data"] = dict.fromkeys(row["fortune_data"], "오늘의 운세를 준비 중입니다")  # type: ignore[call-overload]
    rows += [old_fortune(int(user), DAY - timedelta(days=1), number=int(user)) for user in users]
    return write_dumpdata(tmp_path / "fortuneresult.json", "core.fortuneresult", rows)


def test_a_night_after_an_import_asks_only_about_those_without_a_fortune(
    world: World, export: Path
) -> None:
    plan = bring_in(world, export, "준비 중")
    assert not plan.bad_rows
    assert sum(plan.undone.values()) == 3
    before, tomorrow = plan.partitions
    assert (before.items, before.left) == (ELIGIBLE, 0)
    assert (tomorrow.items, tomorrow.left) == (ELIGIBLE - LEFT, LEFT)
    assert old_work.made_partitions(world.instance, "fortunes/daily_fortunes") == {
        (DAY - timedelta(days=1)).isoformat()
    }
    assert world.model.received == []

    night = world.make()
    assert night.is_success, night.failures
    assert all(night.checks.values()), night.checks
    assert len(world.model.received) == LEFT
    assert night.metadata("daily_fortunes")["imported"] == ELIGIBLE - LEFT
    statuses = world.statuses()
    assert len(statuses) == ELIGIBLE
    assert set(statuses.values()) == {"completed"}
    # The app's table here never had the old rows: it gets them, as they were written.
    in_app = world.in_app("SELECT count(*), count(DISTINCT user_id) FROM core_fortuneresult")
    assert in_app == [(ELIGIBLE, ELIGIBLE)]
    old = world.rows(
        "SELECT user_id, fortune_data::text FROM fortunes.daily_fortunes"
        " WHERE for_date = %s AND model = 'imported: gpt-4o-mini' ORDER BY 1 LIMIT 1",
        [DAY],
    )[0]
    ((published,),) = world.in_app(
        "SELECT fortune_data FROM core_fortuneresult WHERE user_id = ?", int(old[0])
    )
    assert parsed(published) == parsed(old[1])

    # Once more by hand: nothing is asked, nothing changes.
    checksum = world.checksum()
    assert world.make().is_success
    assert len(world.model.received) == LEFT
    assert world.checksum() == checksum


def test_importing_twice_changes_nothing_and_undoing_it_leaves_the_platforms_own(
    world: World, export: Path
) -> None:
    bring_in(world, export, "준비 중")
    checksum = world.checksum()
    assert [each.items for each in bring_in(world, export, "준비 중").partitions] == [0, 0]
    assert world.checksum() == checksum
    world.make("natal_charts", "daily_fortunes")
    (record,) = ImportBook(world.db).imports()
    removed = old_work.take_back(
        record, db=world.db, settings=world.settings, instance=world.instance
    )
    assert removed == 2 * ELIGIBLE - LEFT
    assert len(world.statuses()) == LEFT
    assert old_work.made_partitions(world.instance, "fortunes/daily_fortunes") == {DAY.isoformat()}


def test_the_same_text_for_many_users_is_no_fortune_and_bad_rows_are_told(
    world: World, tmp_path: Path
) -> None:
    rows = [old_fortune(user, DAY, number=0) for user in range(4)]
    rows += [old_fortune(user, DAY, number=user) for user in (10, 11)]
    header = list(rows[0])
    lines = [
        [json.dumps(value) if isinstance(value, dict) else value for value in row.values()]
        for row in rows
    ]
    path = write_csv(tmp_path / "fortunes.csv", header, lines, encoding="cp949")
    plan = importing(world, list(read_rows(path))).plan()
    assert [each.items for each in plan.partitions] == [2]
    assert list(plan.undone.values()) == [4]

    bad = [dict(rows[5]), {**rows[5], "gapja_code": 60}, {**rows[5], "user_id": ""}]
    bad += [{**rows[5], "for_date": "내일"}, {**rows[5], "fortune_data": "{"}]
    bad += [{**rows[4], "user_id": 11}, {**rows[4], "for_date": "2025-12-31"}]
    found = [FoundRow(f"t:{number}", row) for number, row in enumerate(bad, 1)]
    plan = bring_in_rows(world, found)
    assert [(row.place, row.problem) for row in plan.bad_rows] == [
        ("t:2", "gapja_code가 0~59가 아닙니다: 60"),
        ("t:3", "user_id가 비어 있습니다"),
        ("t:4", "for_date: 날짜가 아닙니다: 내일"),
        ("t:5", "fortune_data: JSON이 아닙니다"),
        ("t:6", "t:1에 같은 사용자와 날의 다른 행이 있습니다"),
        ("t:7", "내일보다 뒤의 날입니다"),
    ]
    assert world.rows("SELECT count(*) FROM fortunes.daily_fortunes") == [(0,)]


def bring_in_rows(world: World, rows: list[FoundRow]) -> ImportPlan:
    importer = importing(world, rows)
    return old_work.bring_in(SYSTEM, importer, db=world.db, instance=world.instance)


def test_the_apps_own_table_is_read_where_it_is(world: World) -> None:
    assert world.make().is_success
    source = fortune_source(world.settings)
    rows = list(source_rows(source, world.settings.fortunes))
    plan = importing(world, rows).plan()
    # All of it is here already: made by the platform, which stays the one that made it.
    assert [(each.items, each.known) for each in plan.partitions] == [(0, ELIGIBLE)]

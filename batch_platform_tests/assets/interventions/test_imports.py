"""What the old system recommended is taken over: nobody is advised twice, errors are retried."""

from datetime import timedelta
from pathlib import Path

import pytest

from batch_platform.domains.interventions.importing import (
    SYSTEM,
    InterventionImport,
    source_rows,
)
from batch_platform.gateways.import_book import ImportBook, ImportPlan
from batch_platform.gateways.table_files import FoundRow, read_rows
from batch_platform.resources.roles import intervention_source
from batch_platform.sandbox.old_exports import old_recommendation, write_dumpdata
from batch_platform_tests import old_work
from batch_platform_tests.assets.interventions.conftest import DAY, MORNING, World

LEFT = 4


def importing(world: World, rows: list[FoundRow]) -> InterventionImport:
    return InterventionImport(
        rows,
        db=world.db,
        source=intervention_source(world.settings),
        settings=world.settings,
        clock=lambda: MORNING,
    )


def bring_in(world: World, rows: list[FoundRow]) -> ImportPlan:
    importer = importing(world, rows)
    return old_work.bring_in(SYSTEM, importer, db=world.db, instance=world.instance)


@pytest.fixture
def eligible(world: World) -> list[str]:
    """Users with food and exercise of the day, of whom the service has no record."""
    assert not world.make("user_records", "eligible_users").failures
    rows = world.rows(
        "SELECT user_id FROM interventions.eligible_users WHERE state = 'eligible' ORDER BY 1"
    )
    return [row[0] for row in rows]


@pytest.fixture
def export(eligible: list[str], tmp_path: Path) -> Path:
    """The day before whole; of the day all but four, of whom one has an error."""
    rows = [old_recommendation(int(user), DAY) for user in eligible[: -LEFT + 1]]
    rows[-1]["error_message"] = "Ollama timeout"
    rows += [old_recommendation(int(user), DAY - timedelta(days=1)) for user in eligible]
    return write_dumpdata(tmp_path / "records.json", "interventions.interventionrecord", rows)


def test_a_night_after_an_import_advises_only_who_was_not(
    world: World, eligible: list[str], export: Path
) -> None:
    plan = bring_in(world, list(read_rows(export)))
    assert plan.bad_rows == []
    assert list(plan.undone.values()) == [1]
    assert [each.items for each in plan.partitions] == [len(eligible), len(eligible) - LEFT]
    assert plan.partitions[1].left == LEFT
    assert DAY.isoformat() not in old_work.made_partitions(
        world.instance, "interventions/recommendations"
    )

    night = world.make()
    assert not night.failures
    assert all(night.checks.values()), night.checks
    written = dict(
        world.rows(
            "SELECT written_by = 'import', count(*) FROM interventions.recommendations"
            " WHERE record_date = %s AND error_message IS NULL GROUP BY 1",
            DAY,
        )
    )
    assert written == {True: len(eligible) - LEFT, False: LEFT}
    in_calls = world.rows("SELECT count(*) FROM llm.calls")[0][0]
    assert in_calls <= LEFT
    # The service's table has all of them, the old ones as they were written.
    published = world.in_source(
        "SELECT count(*), count(DISTINCT user_id) FROM interventions_interventionrecord"
        " WHERE record_date = ? AND gubun = 'all' AND error_message = ''",
        DAY.isoformat(),
    )
    assert published[0][0] == published[0][1] >= len(eligible)

    calls = len(world.model.received)
    assert not world.make().failures
    assert len(world.model.received) == calls

    # The service's own table says the same as the export: all of it is here already.
    rows = list(source_rows(intervention_source(world.settings), world.settings.interventions))
    again = importing(
        world, [row for row in rows if str(row.values["record_date"])[:10] == f"{DAY}"]
    )
    assert again.plan().partitions[0].known >= len(eligible)


def test_undoing_an_import_leaves_what_was_made_here_and_bad_rows_are_told(
    world: World, eligible: list[str], export: Path
) -> None:
    rows = list(read_rows(export))
    bring_in(world, rows)
    assert [each.items for each in bring_in(world, rows).partitions] == [0, 0]
    assert not world.make().failures
    (record,) = ImportBook(world.db).imports()
    removed = old_work.take_back(
        record, db=world.db, settings=world.settings, instance=world.instance
    )
    assert removed == 2 * len(eligible) - LEFT
    assert world.rows("SELECT count(*) FROM interventions.recommendations") == [(LEFT,)]

    good = old_recommendation(1, DAY)
    bad = [
        {**good, "gubun": "운동"},
        {**good, "record_date": "그제"},
        {**good, "target_date": DAY.isoformat()},
        {**good, "diet_target": "{"},
        {**good, "user_id": None},
    ]
    plan = bring_in(world, [FoundRow(f"r:{number}", row) for number, row in enumerate(bad, 1)])
    assert [(row.place, row.problem) for row in plan.bad_rows] == [
        ("r:1", "gubun이 all, sleep, food가 아닙니다: 운동"),
        ("r:2", "record_date: 날짜가 아닙니다: 그제"),
        ("r:3", "target_date가 record_date의 다음 날이 아닙니다"),
        ("r:4", "diet_target: JSON이 아닙니다"),
        ("r:5", "user_id가 비어 있습니다"),
    ]

"""What the old scripts analysed is taken over: no batch sends such a post once more."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from batch_platform.domains.emotions.importing import SYSTEM, EmotionImport
from batch_platform.domains.emotions.models import LeftOut, Mode
from batch_platform.gateways.import_book import ImportBook, ImportPlan
from batch_platform.gateways.table_files import FoundRow, read_rows
from batch_platform.sandbox.old_exports import (
    HISTORY_HEADER,
    old_answer,
    old_history,
    write_csv,
)
from batch_platform_tests import old_work
from batch_platform_tests.assets.emotions.conftest import Platform
from batch_platform_tests.emotion_world import MODEL, START, texts

POSTS = 12
RECENT = 7


@pytest.fixture
def export(platform: Platform, tmp_path: Path) -> list[FoundRow]:
    """A history of eight posts, one of them analysed long ago; results of three; two batches."""
    platform.world.read(texts(POSTS))
    keys = platform.world.db.fetch_all(
        "SELECT post_id::int, comment_id::int FROM emotions.posts ORDER BY post_id::int LIMIT 8"
    )
    recent, old = START - timedelta(days=3), START - timedelta(days=60)
    rows = [old_history(post, comment, recent, MODEL) for post, comment in keys[:RECENT]]
    rows.append(old_history(keys[RECENT][0], keys[RECENT][1], old, MODEL))
    history = write_csv(tmp_path / "history.csv", HISTORY_HEADER, rows, encoding="cp949")
    results = tmp_path / "results.jsonl"
    results.write_text(
        "\n".join(json.dumps(old_answer(*key), ensure_ascii=False) for key in keys[:3])
    )
    states = tmp_path / "batches.json"
    states.write_text(
        json.dumps(
            [
                {"name": "batches/1", "state": "JOB_STATE_SUCCEEDED"},
                {"name": "batches/2", "state": "JOB_STATE_RUNNING"},
            ]
        )
    )
    return [row for path in (results, history, states) for row in read_rows(path)]


def bring_in(platform: Platform, rows: list[FoundRow]) -> ImportPlan:
    importer = EmotionImport(
        rows,
        db=platform.world.db,
        settings=platform.world.settings,
        clock=platform.world.clock,
    )
    return old_work.bring_in(SYSTEM, importer, db=platform.world.db, instance=platform.instance)


def test_a_batch_after_an_import_takes_only_what_was_not_analysed_lately(
    platform: Platform, export: list[FoundRow]
) -> None:
    plan = bring_in(platform, export)
    assert plan.bad_rows == []
    assert [(each.items, each.note) for each in plan.partitions] == [
        (1, "점수 0건"),
        (RECENT, "점수 3건"),
    ]
    assert list(plan.undone.values()) == [1]
    world = platform.world
    assert world.db.fetch_all(
        "SELECT prompt_version, count(*) FROM emotions.analyses GROUP BY 1"
    ) == [("imported", 3)]

    batch = world.register(Mode.FULL)
    assert world.choose(batch).counts.left_out == {LeftOut.RECENT: RECENT}
    assert sum(job.requests for job in world.send(batch)) == POSTS - RECENT

    # Twice is the same; undone, all of them are to be done again.
    assert [each.items for each in bring_in(platform, export).partitions] == [0, 0]
    (record,) = ImportBook(world.db).imports()
    removed = old_work.take_back(
        record, db=world.db, settings=world.settings, instance=platform.instance
    )
    assert removed == RECENT + 1
    assert world.db.fetch_all("SELECT count(*) FROM emotions.analyses") == [(0,)]


def test_bad_rows_are_told_with_their_place(platform: Platform) -> None:
    good = dict(
        zip(HISTORY_HEADER, old_history(1, None, START - timedelta(days=1), MODEL), strict=True)
    )
    answer = old_answer(9, None)
    bad = [
        {**good, "id": "1_7"},
        {**good, "dominant_emotion": "그리움"},
        {**good, "model_used": ""},
        {**good, "analysis_date": "2031-01-01 00:00:00"},
        {**answer, "PAD": {"P": 4, "A": 0, "D": 0}},
        answer,
        {"무엇": 1},
    ]
    plan = bring_in(platform, [FoundRow(f"e:{number}", row) for number, row in enumerate(bad, 1)])
    assert [(row.place, row.problem) for row in plan.bad_rows] == [
        ("e:1", "id가 post_id와 comment_id로 만든 1_0이(가) 아닙니다"),
        ("e:2", "dominant_emotion이 여덟 감정 가운데 하나가 아닙니다"),
        ("e:3", "model_used가 비어 있습니다"),
        ("e:4", "analysis_date가 앞날입니다"),
        ("e:5", "PAD.P이(가) 있어야 할 값이 아닙니다"),
        ("e:7", "이력도 결과도 배치 상태도 아닌 행입니다"),
        ("e:6", "이력(history)에 없는 글의 결과입니다"),
    ]

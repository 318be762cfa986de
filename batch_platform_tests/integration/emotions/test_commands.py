"""What the commands show of batches, and asking at once instead of by batch."""

from pathlib import Path

import pytest

from batch_platform.cli import emotion_work
from batch_platform.core.errors import NoDataError, NotFoundError, PermanentError
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.models import BatchStage, Mode
from batch_platform_tests.emotion_world import EmotionWorld, texts
from batch_platform_tests.recording_model import recording_model


@pytest.fixture
def settings(world: EmotionWorld) -> Settings:
    world.variables["PLATFORM_DATABASE_URL"] = world.db.url
    return world.settings


def test_a_person_sees_what_became_of_a_batch(
    world: EmotionWorld, settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    emotion_work.show_list(settings, 20)
    assert "배치가 없습니다" in capsys.readouterr().out
    with pytest.raises(NotFoundError):
        emotion_work.named(settings, "")
    world.read([*texts(8), ""])
    key = world.submit()
    assert emotion_work.named(settings, "") == key
    emotion_work.show_results(settings, key)
    assert "아직 결과가 없습니다" in capsys.readouterr().out
    with pytest.raises(NoDataError):
        emotion_work.export(settings, key, tmp_path / "out.csv")
    world.finish(key)

    emotion_work.show_list(settings, 20)
    emotion_work.show_status(settings, key)
    emotion_work.show_results(settings, key)
    shown = capsys.readouterr().out
    for expected in (key, "완료", "빈 글", "SUCCEEDED", "바로 물으면", "PAD 평균", ".parquet"):
        assert expected in shown

    for name in ("out.csv", "out.parquet"):
        emotion_work.export(settings, key, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 0
    with pytest.raises(PermanentError, match=r"neither \.csv nor \.parquet"):
        emotion_work.export(settings, key, tmp_path / "out.txt")

    coded = tmp_path / "people.csv"
    coded.write_text("post_id,comment_id,dominant_emotion\n1,,기쁨\n2,,슬픔\n3,3,joy\n")
    capsys.readouterr()
    emotion_work.show_agreement(settings, key, str(coded))
    emotion_work.show_agreement(settings, key, key)
    shown = capsys.readouterr().out
    assert "코헨의 카파" in shown
    assert "100.0%" in shown
    assert "1.000" in shown


def test_a_dry_run_tells_the_price_of_both_ways_and_claims_nothing(
    world: EmotionWorld, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    world.read(texts(500))
    wanted = emotion_work.asked("sampling", "", "", "", is_direct=False)
    emotion_work.show_dry_run(settings, wanted, reads=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "고른 글 │ 384" in shown
    assert "충분한 수 │ 218" in shown
    assert "바로 물을 때 비용" in shown
    assert world.rows("SELECT count(*) FROM emotions.batch_requests") == [(0,)]
    assert world.server.stats()["jobs"] == []
    with pytest.raises(PermanentError, match="ends before it starts"):
        emotion_work.asked("full", "2026-11-02", "2026-11-01", "", is_direct=False)


def test_asked_at_once_a_batch_after_it_pays_nothing(world: EmotionWorld) -> None:
    world.read(texts(6))
    with recording_model() as model:
        world.variables["OPENAI_BASE_URL"] = model.server.url
        direct = world.finish(world.register(Mode.FULL, is_direct=True))
    assert direct.stage is BatchStage.FINISHED
    assert direct.jobs == []
    world.require_whole(direct.batch.key, 6)
    ((spent,),) = world.rows("SELECT spent_krw FROM llm.spending WHERE domain = 'emotions'")
    assert spent > 0

    world.variables["OPENAI_BASE_URL"] = world.server.openai_url
    again = world.submit(Mode.FULL, like_batch=direct.batch.key)
    assert world.finish(again).stage is BatchStage.FINISHED
    world.require_whole(again, 6)
    assert world.server.stats()["lines_asked"] == 0
    assert world.rows("SELECT spent_krw FROM llm.spending") == [(spent,)]

"""A batch from asking for it to its end, at both providers' sandbox, with time that passes."""

import itertools
import json
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from batch_platform.core.errors import (
    BudgetExceededError,
    NoDataError,
    NotFoundError,
    PermanentError,
    RetryableError,
)
from batch_platform.domains.emotions.models import BatchStage, Mode
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.models import BatchJob
from batch_platform_tests.emotion_world import EmotionWorld, texts

both_providers = pytest.mark.parametrize(
    "world", [{"provider": "openai"}, {"provider": "gemini"}], indirect=True, ids=str
)


@both_providers
def test_a_full_batch_analyses_every_post_once(world: EmotionWorld) -> None:
    world.variables["EMOTIONS_MAX_BATCH_SIZE"] = 10
    given = [*texts(22), " ", "같은 글", "같은 글 ", ""]
    assert world.read(given).is_whole
    key = world.submit()
    status = world.finish(key)

    assert status.stage is BatchStage.FINISHED
    assert world.states(key) == {"left_out": 2, "answered": 24}
    assert status.counts.left_out == {"empty": 2}
    world.require_whole(key, len(given))
    # Two posts with one text are one line; ten lines a job.
    assert [job.requests for job in status.jobs] == [10, 10, 3]
    assert world.server.stats()["lines_asked"] == 23
    assert world.rows("SELECT count(*) FROM emotions.history") == [(24,)]
    assert world.rows("SELECT DISTINCT is_made_up FROM emotions.analyses") == [(True,)]


def test_the_files_beside_hold_what_the_table_holds(world: EmotionWorld) -> None:
    world.read(["=1+1 위험한 글", *texts(3)])
    key = world.submit()
    files = world.finish(key).files
    table = pq.read_table(files.parquet)
    assert table.num_rows == 4
    assert set(table["post_key"].to_pylist()) == {"1_0", "2_0", "3_3", "4_0"}
    written = files.csv.read_text(encoding="utf-8-sig")
    assert written.startswith("배치,글,게시글 번호")
    assert "'=1+1 위험한 글" in written
    assert len(written.splitlines()) == 5


def test_a_pilot_takes_five_and_what_was_analysed_lately_is_left_out(world: EmotionWorld) -> None:
    world.read(texts(12))
    first = world.finish(world.submit(Mode.PILOT))
    assert first.counts.chosen == 5
    world.clock.pass_by(days=29)
    second = world.finish(world.submit())
    assert second.counts.left_out == {"analysed_lately": 5}
    assert second.counts.chosen == 7
    world.clock.pass_by(days=2)
    # After 30 days the first five may be chosen again, and the ledger knows their answers.
    third = world.finish(world.submit())
    assert (third.counts.chosen, third.counts.left_out) == (5, {"analysed_lately": 7})
    assert third.batch.estimate.lines == 0
    assert world.server.stats()["lines_asked"] == 12


def test_another_model_is_asked_about_the_same_posts(world: EmotionWorld) -> None:
    world.read(texts(12))
    first = world.submit(Mode.PILOT)
    world.finish(first)
    world.variables["OPENAI_MODEL"] = "gpt-4.1"
    second = world.submit(Mode.PILOT, like_batch=first)
    world.finish(second)
    posts = "SELECT post_key FROM emotions.analyses WHERE batch_key = %s ORDER BY 1"
    assert world.rows(posts, first) == world.rows(posts, second)
    assert world.server.stats()["lines_asked"] == 10


def test_no_post_is_sent_by_two_who_submit_at_once(world: EmotionWorld) -> None:
    world.read(texts(12))
    first, second = world.register(Mode.FULL), world.register(Mode.FULL)
    assert (first, second) == ("full-20261120-2201", "full-20261120-2201-2")
    world.choose(first)
    assert world.choose(second).counts.left_out == {"in_flight": 12}
    world.finish(first)
    assert world.finish(second).stage is BatchStage.FINISHED
    assert world.server.stats()["lines_asked"] == 12


@pytest.mark.parametrize("world", [{"error_share": 0.3, "spoiled_share": 0.1}], indirect=True)
def test_only_what_failed_is_asked_again_and_what_is_useless_is_kept(world: EmotionWorld) -> None:
    world.read(texts(60))
    key = world.submit()
    status = world.finish(key)
    world.require_whole(key, 60)
    rounds = [job.requests for job in status.jobs]
    assert 1 < len(rounds) <= 3
    assert rounds == sorted(rounds, reverse=True)
    aside = world.store.quarantined(key)
    assert aside
    spoiled = [raw for _, reason, raw in aside if "rounds" not in reason]
    assert spoiled
    for raw in spoiled:
        assert raw is not None
        assert "plutchik_emotions" in json.dumps(json.loads(raw), ensure_ascii=False)
    asked = sum(rounds)
    assert world.server.stats()["lines_asked"] == asked
    failed = world.server.stats()["jobs"][0]["failed"]
    assert rounds[1] == failed


@pytest.mark.parametrize("world", [{"run_seconds": 360_000}], indirect=True)
def test_after_26_hours_a_job_is_cancelled_and_only_the_rest_asked_again(
    world: EmotionWorld,
) -> None:
    world.read(texts(40))
    key = world.submit()
    for _ in range(5):
        world.clock.pass_by(hours=5)
        world.poll()
    assert [job.cancel_requested_at for job in world.jobs(key)] == [None]
    world.clock.pass_by(hours=2)
    world.poll()
    (job,) = world.jobs(key)
    assert job.cancel_requested_at is not None
    world.server.configure(run_seconds=0)
    status = world.finish(key)
    world.require_whole(key, 40)
    first, second = status.jobs
    assert first.state == "CANCELLED"
    assert second.requests == 40 - first.requests_completed == 40 - round(40 * 27 / 100)


@pytest.mark.parametrize("world", [{"run_seconds": 7200, "expires_after": 0.5}], indirect=True)
def test_what_expired_is_asked_again(world: EmotionWorld) -> None:
    world.read(texts(20))
    key = world.submit()
    while world.status(key).stage is BatchStage.IN_FLIGHT:
        world.clock.pass_by(minutes=30)
        world.poll()
    world.server.configure(expires_after=None)
    status = world.finish(key)
    assert [(job.state, job.requests) for job in status.jobs] == [
        ("EXPIRED", 20),
        ("SUCCEEDED", 10),
    ]
    world.require_whole(key, 20)


@pytest.mark.parametrize("world", [{"run_seconds": 4 * 3600}], indirect=True)
def test_switched_off_for_six_hours_it_picks_the_job_up_and_finishes(world: EmotionWorld) -> None:
    world.read(texts(20))
    key = world.submit()
    world.clock.pass_by(minutes=10)
    world.poll()
    assert world.status(key).stage is BatchStage.IN_FLIGHT
    world.clock.pass_by(hours=6)
    status = world.finish(key)
    assert status.stage is BatchStage.FINISHED
    world.require_whole(key, 20)
    stats = world.server.stats()
    assert stats["lines_asked"] == 20
    assert set(stats["jobs_by_key"].values()) == {1}


@pytest.mark.parametrize("world", [{"run_seconds": 3600}], indirect=True)
def test_off_for_days_it_takes_what_was_finished_rather_than_cancelling(
    world: EmotionWorld,
) -> None:
    world.read(texts(20))
    key = world.submit()
    world.clock.pass_by(days=3)
    status = world.finish(key)
    assert [job.state for job in status.jobs] == ["SUCCEEDED"]


@pytest.mark.parametrize("world", [{"has_no_output": True}], indirect=True)
def test_a_job_without_an_answer_is_no_success(world: EmotionWorld) -> None:
    world.read(texts(4))
    key = world.submit()
    status = world.finish(key)
    assert status.stage is BatchStage.FAILED
    assert len(status.jobs) == 3
    assert world.states(key) == {"quarantined": 4}
    assert world.rows("SELECT DISTINCT reason FROM emotions.batch_requests") == [
        ("no answer in 3 rounds",)
    ]
    # Nothing of it was analysed, so another batch may ask again.
    world.server.configure(has_no_output=False)
    assert world.finish(world.submit()).counts.chosen == 4


@pytest.mark.parametrize(
    ("world", "rounds", "stage"),
    [
        ({"whole_failure": "invalid_json_line"}, 1, BatchStage.FAILED),
        ({"whole_failure": "token_limit_exceeded"}, 3, BatchStage.FAILED),
    ],
    indirect=["world"],
)
def test_a_whole_batch_that_failed_for_good_is_not_asked_again(
    world: EmotionWorld, rounds: int, stage: BatchStage
) -> None:
    world.read(texts(4))
    key = world.submit()
    status = world.finish(key)
    assert status.stage is stage
    assert len(status.jobs) == rounds
    assert world.states(key) == {"quarantined": 4}


@pytest.mark.parametrize("world", [{"run_seconds": 36_000}], indirect=True)
def test_the_provider_is_asked_less_and_less_often(world: EmotionWorld) -> None:
    world.read(texts(4))
    key = world.submit()
    asked_after: list[float] = []
    for minute in range(5, 8 * 60, 5):
        world.clock.pass_by(minutes=5)
        if world.poll():
            asked_after.append(minute)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked_after)]
    assert set(gaps) == {5, 10, 20}
    assert gaps == sorted(gaps)
    assert world.status(key).stage is BatchStage.IN_FLIGHT


def test_what_a_batch_paid_for_is_free_at_once_and_the_other_way_round(
    world: EmotionWorld,
) -> None:
    world.read(texts(5))
    world.finish(world.submit())
    direct = world.register(Mode.FULL, is_direct=True)
    with world.db.connect("test") as connection:
        connection.execute("TRUNCATE emotions.history")
    world.choose(direct)
    assert world.status(direct).counts.states == {"answered": 5}
    status = world.finish(direct)
    assert status.stage is BatchStage.FINISHED
    assert world.store.analysis_count(direct) == 5
    ((calls, cost),) = world.rows("SELECT count(*), sum(cost_krw) FROM llm.calls")
    assert calls == 5
    assert cost > 0


def test_the_cost_is_half_and_the_budget_counts_what_is_in_flight(world: EmotionWorld) -> None:
    world.read(texts(30))
    key = world.submit(Mode.PILOT)
    estimate = world.status(key).batch.estimate
    assert 0 < estimate.batch_krw == pytest.approx(estimate.direct_krw / 2)
    world.variables["LLM_DAILY_BUDGET_KRW"] = estimate.batch_krw * 3
    refused = world.register(Mode.FULL)
    with pytest.raises(BudgetExceededError, match="pass the day's budget"):
        world.choose(refused)
    world.finish(key)
    ((spent,),) = world.rows("SELECT spent_krw FROM llm.spending WHERE domain = 'emotions'")
    assert spent == pytest.approx(world.status(key).cost_krw)
    ((ledger,),) = world.rows("SELECT sum(cost_krw) FROM llm.calls")
    assert ledger == pytest.approx(spent)


def test_without_posts_there_is_no_batch(world: EmotionWorld) -> None:
    key = world.register(Mode.FULL)
    with pytest.raises(NoDataError, match="no posts"):
        world.choose(key)


def test_personal_data_stays_home(world: EmotionWorld) -> None:
    world.read(["제 번호는 010-1234-5678 이고 메일은 hong@example.com 입니다"])
    key = world.submit()
    world.finish(key)
    sent = "".join(
        path.read_text(errors="replace")
        for path in (world.folder / "provider").rglob("*")
        if path.is_file()
    )
    assert "전화번호_1" in sent
    for secret in ("010-1234-5678", "hong@example.com"):
        assert secret not in sent
    ((text,),) = world.rows("SELECT text FROM emotions.analyses")
    assert "010-1234" not in text


class _Forgetful:
    """A provider that no longer knows a job."""

    def __init__(self, client: BatchClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def job(self, name: str) -> BatchJob:
        raise NotFoundError(f"openai has no batch {name}")


@pytest.mark.parametrize("world", [{"run_seconds": 3600}], indirect=True)
def test_a_job_that_is_gone_is_asked_again_and_an_unknown_state_is_an_error(
    world: EmotionWorld,
) -> None:
    world.read(texts(4))
    key = world.submit()
    world.server.configure(unknown_state="thinking_about_it")
    world.clock.pass_by(minutes=6)
    with pytest.raises(PermanentError, match="thinking_about_it"):
        world.poll()
    assert world.status(key).stage is BatchStage.IN_FLIGHT
    world.server.configure(unknown_state=None)
    world.changes_client = lambda client: cast(BatchClient, _Forgetful(client))
    world.poll()
    world.collect(key)
    world.changes_client = lambda client: client
    status = world.finish(key)
    assert [job.state for job in status.jobs] == ["FAILED", "SUCCEEDED"]
    world.require_whole(key, 4)


@pytest.mark.parametrize("world", [{"lost_creates": 1, "broken_uploads": 1}], indirect=True)
def test_a_creation_nobody_heard_of_makes_one_job(world: EmotionWorld) -> None:
    world.read(texts(4))
    key = world.register(Mode.FULL)
    world.choose(key)
    for _ in range(5):
        try:
            world.send(key)
            break
        except RetryableError:
            world.clock.pass_by(minutes=2)
    world.finish(key)
    assert list(world.server.stats()["jobs_by_key"].values()) == [1]
    world.require_whole(key, 4)


@pytest.mark.parametrize("world", [{"run_seconds": 3600}], indirect=True)
def test_a_cancelled_batch_keeps_what_was_finished_and_asks_nothing_again(
    world: EmotionWorld,
) -> None:
    from batch_platform.domains.emotions.polling import cancel_jobs

    world.read(texts(20))
    key = world.submit()
    world.clock.pass_by(minutes=30)
    cancel_jobs(key, db=world.db, open_client=world.open_client, clock=world.clock)
    status = world.finish(key)
    assert status.stage is BatchStage.CANCELLED
    assert world.states(key) == {"answered": 10, "cancelled": 10}
    assert len(status.jobs) == 1
    assert world.store.analysis_count(key) == 10

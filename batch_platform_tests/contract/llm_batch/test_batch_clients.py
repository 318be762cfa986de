"""Both providers' batch clients keep one promise, against the sandbox's server of each form."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batch_platform.core.errors import (
    ConfigurationError,
    NotFoundError,
    PermanentError,
    RetryableError,
)
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.jsonl import write_chunks
from batch_platform.gateways.llm_batch.models import BatchJob, BatchLine, BatchState
from batch_platform.gateways.llm_batch.transfers import Patience
from batch_platform.sandbox.batch_server import RunningBatchServer, running_batch_server
from batch_platform_tests.batch_providers import (
    KEY,
    ClientMaker,
    Mood,
    gemini_client,
    openai_client,
    requests,
)


class Clock:
    """Seconds since the epoch that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Given:
    server: RunningBatchServer
    client: BatchClient
    maker: ClientMaker
    folder: Path
    clock: Clock
    opened: ExitStack

    def another(self, **given: Any) -> BatchClient:
        return self.client_of(self.server, **given)

    def client_of(self, server: RunningBatchServer, **given: Any) -> BatchClient:
        return self.opened.enter_context(closing(self.maker(server, **given)))

    def chunk(self, count: int = 6) -> Path:
        folder = self.folder / "requests"
        return write_chunks(requests(count), self.client, folder, 1000, 10**6)[0].file

    def created(self, count: int = 6, key: str = "batch-1") -> BatchJob:
        return self.client.create(self.client.upload(self.chunk(count), key), key)

    def lines(self, job: BatchJob, client: BatchClient | None = None) -> list[BatchLine]:
        return list((client or self.client).results(job, self.folder / "results"))

    @property
    def in_parts(self) -> dict[str, int]:
        """What makes a client send even a small file in pieces."""
        if self.is_openai:
            return {"single_file_bytes": 50_000, "part_bytes": 50_000}
        return {"chunk_bytes": 50_000}

    @property
    def is_openai(self) -> bool:
        return self.client.provider == "openai"

    def calls(self, operation: str) -> int:
        return self.server.stats()["calls"].get(f"{self.client.provider}.{operation}", 0)


@pytest.fixture(params=[openai_client, gemini_client], ids=["openai", "gemini"])
def given(request, tmp_path: Path) -> Iterator[Given]:
    clock = Clock()
    with running_batch_server(tmp_path / "server", clock=clock) as server, ExitStack() as opened:
        client = opened.enter_context(closing(request.param(server)))
        yield Given(server, client, request.param, tmp_path, clock, opened)


def test_a_batch_goes_from_requests_to_answers(given: Given) -> None:
    given.server.configure(start_seconds=60, run_seconds=600)
    job = given.created(6)
    assert (job.state, job.run_key) == (BatchState.PENDING, "batch-1")
    assert given.client.find("batch-1") == job

    given.clock.now += 360
    running = given.client.job(job.name)
    assert running.state is BatchState.RUNNING
    assert 0 < running.requests_completed < 6
    assert running.output_ref is None

    given.clock.now += 3600
    done = given.client.job(job.name)
    assert done.state is BatchState.SUCCEEDED
    assert (done.requests_total, done.requests_completed, done.requests_failed) == (6, 6, 0)
    assert done.created_at is not None
    assert done.ended_at is not None
    assert (done.ended_at - done.created_at).total_seconds() == 660

    lines = given.lines(done)
    assert {line.custom_id for line in lines} == {each.custom_id for each in requests(6)}
    assert [line.custom_id for line in lines] != [each.custom_id for each in requests(6)]
    for line in lines:
        assert line.error is None
        assert Mood.model_validate_json(line.content or "").mood in ("좋음", "나쁨")
        assert line.input_tokens > 0
        assert line.output_tokens > 0
        assert line.custom_id.encode() in line.raw


def test_a_created_job_whose_answer_is_lost_is_found_and_not_created_again(given: Given) -> None:
    given.server.configure(lost_creates=1)
    job = given.created()
    assert job.run_key == "batch-1"
    assert given.server.stats()["jobs_by_key"] == {"batch-1": 1}
    assert given.calls("create") == 1


def test_when_the_list_lags_behind_the_next_try_finds_the_job(given: Given) -> None:
    given.server.configure(lost_creates=1, list_delay_seconds=30)
    reference = given.client.upload(given.chunk(), "batch-1")
    with pytest.raises(RetryableError, match="cannot be told whether") as raised:
        given.client.create(reference, "batch-1")
    # Whoever waits as long as the error says finds what was created.
    assert raised.value.retry_after_seconds is not None
    given.clock.now += raised.value.retry_after_seconds
    job = given.another().create(reference, "batch-1")
    assert given.server.stats()["jobs_by_key"] == {"batch-1": 1}
    assert job == given.client.find("batch-1")


def test_a_creation_that_was_refused_is_not_sent_again_by_itself(given: Given) -> None:
    given.server.configure(refused_creates=1)
    reference = given.client.upload(given.chunk(), "batch-1")
    with pytest.raises(RetryableError):
        given.client.create(reference, "batch-1")
    assert given.calls("create") == 1
    assert given.client.find("batch-1") is None
    assert given.client.create(reference, "batch-1").run_key == "batch-1"


def test_creating_twice_gives_the_first_job_from_any_page_of_the_list(given: Given) -> None:
    first = given.created()
    reference = given.client.upload(given.chunk(), "other")
    for number in range(7):
        given.client.create(reference, f"other-{number}")
    given.server.configure(page_entries=2)
    assert given.client.create(reference, "batch-1").name == first.name
    assert given.client.find("never") is None
    assert set(given.server.stats()["jobs_by_key"].values()) == {1}


def test_a_file_that_is_there_is_not_sent_again(given: Given) -> None:
    file = given.chunk()
    first = given.client.upload(file, "batch-1")
    sent = given.calls("upload") + given.calls("upload_part")
    assert given.another().upload(file, "batch-1") == first
    assert given.calls("upload") + given.calls("upload_part") == sent
    assert given.client.upload(given.chunk(7), "batch-1") != first


def test_a_broken_upload_goes_on_where_it_broke(given: Given) -> None:
    file = given.chunk(600)
    client = given.another(**given.in_parts)
    given.server.configure(broken_uploads=3)
    client.create(client.upload(file, "batch-1"), "batch-1")
    parts = -(-file.stat().st_size // 50_000)
    assert given.calls("begin_upload") == 1
    # Gemini is asked how much it has before each piece.
    tries = given.calls("upload_part") // (1 if given.is_openai else 2)
    assert parts <= tries <= parts + 4
    assert given.client.job(given.client.find("batch-1").name).requests_total == 600
    assert not file.with_suffix(".upload").exists()


def test_another_process_goes_on_with_an_upload(given: Given) -> None:
    file = given.chunk(600)
    given.clock.now = 4_000_000_000.0

    class KilledError(BaseException):
        pass

    killed = given.another(**given.in_parts)
    name = "_part" if given.is_openai else "_is_last_chunk_sent"
    whole = getattr(killed, name)
    sent: list[object] = []

    def dying(*args: object) -> object:
        if len(sent) == 2:
            raise KilledError
        sent.append(args)
        return whole(*args)

    setattr(killed, name, dying)
    with pytest.raises(KilledError):
        killed.upload(file, "batch-1")
    client = given.another(**given.in_parts)
    client.create(client.upload(file, "batch-1"), "batch-1")
    assert given.calls("begin_upload") == 1
    assert given.client.find("batch-1").requests_total == 600


def test_an_upload_that_breaks_every_time_says_so(given: Given) -> None:
    given.server.configure(broken_uploads=100)
    with pytest.raises(RetryableError, match="take a"):
        given.client.upload(given.chunk(), "batch-1")


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_broken_download_is_completed(given: Given, has_ranges: bool) -> None:
    job = given.client.job(given.created(300).name)
    given.server.configure(broken_downloads=3, has_ranges=has_ranges)
    assert len({line.custom_id for line in given.lines(job)}) == 300
    assert given.calls("download") == 4
    # What is here whole is not fetched again, by another process either.
    assert len(given.lines(job, given.another())) == 300
    assert given.calls("download") == 4


def test_a_download_that_was_cut_off_goes_on_in_another_process(given: Given) -> None:
    job = given.client.job(given.created(300).name)
    given.server.configure(broken_downloads=1)
    once = given.another(patience=Patience(attempts=1))
    with pytest.raises(RetryableError):
        given.lines(job, once)
    (part,) = (given.folder / "results").glob("*.part")
    had = part.stat().st_size
    assert had > 0
    assert len(given.lines(job)) == 300
    assert not part.exists()


def test_failed_lines_are_told_and_the_others_are_whole(given: Given) -> None:
    given.server.configure(error_share=0.3)
    job = given.client.job(given.created(50).name)
    lines = given.lines(job)
    bad = [line for line in lines if line.error is not None]
    assert 0 < len(bad) < 50
    assert len(bad) == job.requests_failed
    assert all(line.content is None and not line.is_expired for line in bad)
    assert {line.custom_id for line in lines} == {each.custom_id for each in requests(50)}


def test_a_job_that_ends_well_without_answers_has_only_failed_lines(given: Given) -> None:
    given.server.configure(has_no_output=True)
    job = given.client.job(given.created().name)
    assert job.state is BatchState.SUCCEEDED
    if given.is_openai:
        assert job.output_ref is None
    lines = given.lines(job)
    assert len(lines) == 6
    assert all(line.error for line in lines)


def test_what_was_finished_before_the_time_was_up_is_taken(given: Given) -> None:
    given.server.configure(expires_after=0.5)
    job = given.client.job(given.created().name)
    assert job.state is BatchState.EXPIRED
    lines = given.lines(job)
    if given.is_openai:
        assert sorted(line.is_expired for line in lines) == [False] * 3 + [True] * 3
    else:
        # Gemini gives nothing of a batch whose time was up.
        assert lines == []


def test_cancelling_keeps_what_was_finished(given: Given) -> None:
    given.server.configure(run_seconds=100)
    job = given.created(10)
    given.clock.now += 50
    cancelled = given.client.cancel(job.name)
    assert cancelled.state is BatchState.CANCELLED
    assert len([line for line in given.lines(cancelled) if line.content]) == (
        5 if given.is_openai else 0
    )
    # One that has ended stays as it is.
    assert given.client.cancel(job.name) == cancelled


def test_asking_again_for_the_end_of_a_job_that_is_about_to_end_changes_nothing(
    given: Given,
) -> None:
    given.server.configure(run_seconds=100, cancel_seconds=600)
    job = given.created(10)
    given.clock.now += 50
    assert given.client.cancel(job.name).state is BatchState.RUNNING
    given.clock.now += 300
    assert given.client.cancel(job.name).state is BatchState.RUNNING
    given.clock.now += 300
    assert given.client.job(job.name).state is BatchState.CANCELLED


def test_an_upload_that_the_provider_has_forgotten_is_begun_again(
    given: Given, tmp_path: Path
) -> None:
    given.clock.now = 4_000_000_000.0
    file = given.chunk(600)
    client = given.another(**given.in_parts, patience=Patience(attempts=1))
    given.server.configure(broken_uploads=1)
    with pytest.raises(RetryableError):
        client.upload(file, "batch-1")
    assert file.with_suffix(".upload").exists()
    # Another server on the same folder knows files and jobs, but no upload that was not ended.
    with running_batch_server(tmp_path / "server", clock=given.clock) as again:
        memory = file.with_suffix(".upload")
        memory.write_text(memory.read_text().replace(str(given.server.port), str(again.port)))
        client = given.client_of(again, **given.in_parts)
        job = client.create(client.upload(file, "batch-1"), "batch-1")
        assert client.job(job.name).requests_total == 600
        assert again.stats()["calls"][f"{client.provider}.begin_upload"] == 1


@pytest.mark.parametrize(
    ("code", "is_permanent"), [("invalid_json_line", True), ("token_limit_exceeded", False)]
)
def test_a_job_that_failed_as_a_whole_says_whether_to_ask_again(
    given: Given, code: str, is_permanent: bool
) -> None:
    given.server.configure(whole_failure=code)
    job = given.client.job(given.created().name)
    assert job.state is BatchState.FAILED
    assert job.is_permanent_failure is is_permanent
    assert code in (job.error or "")
    assert given.lines(job) == []


def test_a_state_that_nobody_knows_is_an_error_and_no_wait(given: Given) -> None:
    job = given.created()
    given.server.configure(unknown_state="pondering")
    with pytest.raises(PermanentError, match="pondering"):
        given.client.job(job.name)


def test_a_job_and_a_file_that_are_gone_are_said_to_be(given: Given) -> None:
    with pytest.raises(NotFoundError):
        given.client.job("batches/none")
    with pytest.raises(NotFoundError):
        given.client.cancel("batches/none")
    gone = BatchJob("batches/x", BatchState.SUCCEEDED, "x", output_ref="files/none")
    with pytest.raises(NotFoundError):
        given.lines(gone)


def test_a_refused_key_is_a_matter_of_configuration_and_never_told(given: Given) -> None:
    given.server.configure(api_key="another")
    name = "OPENAI_API_KEY" if given.is_openai else "GEMINI_API_KEY"
    for ask in (
        lambda: given.client.find("batch-1"),
        lambda: given.client.upload(given.chunk(), "batch-1"),
        lambda: given.client.create("files/x", "batch-1"),
    ):
        with pytest.raises(ConfigurationError, match=name) as raised:
            ask()
        assert KEY not in str(raised.value)
    given.server.configure(api_key=KEY)
    assert given.created().run_key == "batch-1"


def test_the_quota_of_the_day_is_not_asked_for_again(given: Given) -> None:
    reference = given.client.upload(given.chunk(), "batch-1")
    given.server.configure(quota_of_day=True)
    with pytest.raises(PermanentError, match="quota of the day"):
        given.client.create(reference, "batch-1")
    assert given.calls("create") == 1


def test_the_sandbox_is_refused_where_only_the_provider_may_answer(given: Given) -> None:
    client = given.another(is_made_up=False)
    with pytest.raises(ConfigurationError, match="made up"):
        client.upload(given.chunk(), "batch-1")
    with pytest.raises(ConfigurationError, match="made up"):
        client.find("batch-1")


def test_a_server_that_is_not_there_is_said_to_be_out_of_reach(tmp_path: Path) -> None:
    for maker in (openai_client, gemini_client):
        with (
            closing(maker(RunningBatchServer(1))) as client,
            pytest.raises(RetryableError, match="cannot be reached"),
        ):
            client.find("batch-1")


def test_a_server_that_was_ended_goes_on_with_its_jobs(given: Given, tmp_path: Path) -> None:
    job = given.created()
    with running_batch_server(tmp_path / "server", clock=given.clock) as again:
        client = given.client_of(again)
        assert client.find("batch-1").name == job.name
        assert len(list(client.results(client.job(job.name), tmp_path / "again"))) == 6


def test_two_who_create_at_once_with_different_keys_do_not_meet(given: Given) -> None:
    reference = given.client.upload(given.chunk(), "batch-1")
    jobs: list[BatchJob] = []

    def create(client: BatchClient, key: str) -> None:
        jobs.append(client.create(reference, key))

    threads = [
        threading.Thread(target=create, args=(given.another(), key)) for key in ("a", "b", "c")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.run_key for job in jobs) == ["a", "b", "c"]
    assert len({job.name for job in jobs}) == 3


_CREATE = """
import sys
from batch_platform.sandbox.batch_server import RunningBatchServer
from batch_platform_tests import batch_providers

server = RunningBatchServer(int(sys.argv[2]))
client = getattr(batch_providers, sys.argv[1])(server)
client.create(sys.argv[3], "batch-1")
"""


def test_a_process_killed_while_its_creation_is_not_answered_leaves_one_job(given: Given) -> None:
    reference = given.client.upload(given.chunk(), "batch-1")
    given.server.configure(lost_creates=1, hang_seconds=60)
    arguments = [given.maker.__name__, str(given.server.port), reference]
    with subprocess.Popen([sys.executable, "-c", _CREATE, *arguments]) as process:
        deadline = time.monotonic() + 60
        while not given.server.stats()["jobs"]:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    job = given.client.create(reference, "batch-1")
    assert job == given.client.find("batch-1")
    assert given.server.stats()["jobs_by_key"] == {"batch-1": 1}
    assert given.calls("create") == 1

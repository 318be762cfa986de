"""What we built by ourselves against what somebody else built.

Our client of OpenAI's form on a batch server by somebody else, and Google's own client on our
stand-in for Gemini: neither was made by reading the other.
"""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from batch_platform.core.settings import ModelSettings
from batch_platform.gateways.llm.providers import choose_provider
from batch_platform.gateways.llm_batch.jsonl import write_chunks
from batch_platform.gateways.llm_batch.models import BatchJob, BatchState, Chunk
from batch_platform.gateways.llm_batch.openai_batches import OpenAIBatches
from batch_platform.sandbox.batch_server import running_batch_server
from batch_platform_tests.batch_providers import KEY, Mood, gemini_client, requests

_DEADLINE_SECONDS = 60


def test_the_flow_on_a_batch_server_by_somebody_else(tmp_path: Path) -> None:
    pytest.importorskip("llmock", reason="llmock is not installed")
    with _running_llmock() as address:
        settings = ModelSettings(
            LLM_PROVIDER="compatible",
            LLM_BASE_URL=f"{address}/v1",
            LLM_MODEL="gpt-4o",
            LLM_API_KEY=KEY,
        )
        with closing(OpenAIBatches(choose_provider(settings), is_made_up=False)) as client:
            chunks = write_chunks(requests(25), client, tmp_path, 10, 10**6)
            assert [chunk.requests for chunk in chunks] == [10, 10, 5]
            jobs = {}
            for chunk in chunks:
                key = f"batch-{chunk.number}"
                assert client.find(key) is None
                reference = client.upload(chunk.file, key)
                jobs[key] = client.create(reference, key)
                # Whoever comes again, after a crash, finds it.
                assert client.create(reference, key).name == jobs[key].name
                assert client.find(key).name == jobs[key].name
            for chunk, (key, job) in zip(chunks, jobs.items(), strict=True):
                done = _ended(client, job)
                assert (done.state, done.run_key) == (BatchState.SUCCEEDED, key)
                assert done.requests_completed == chunk.requests
                _check_lines(client, done, chunk, tmp_path / "results")


@contextmanager
def _running_llmock() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from llmock.cli import app; app()", "serve"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "error"], stdout=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def _ended(client: OpenAIBatches, job: BatchJob) -> BatchJob:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not (job := client.job(job.name)).state.is_final:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return job


def _check_lines(client: OpenAIBatches, job: BatchJob, chunk: Chunk, folder: Path) -> None:
    lines = list(client.results(job, folder))
    assert sorted(line.custom_id for line in lines) == sorted(chunk.custom_ids)
    assert all(line.error is None and line.content for line in lines)


def test_googles_own_client_takes_our_stand_in_for_gemini(tmp_path: Path) -> None:
    genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
    with running_batch_server(tmp_path / "server", run_seconds=3600) as server:
        ours = gemini_client(server)
        (chunk,) = write_chunks(requests(5), ours, tmp_path, 10, 10**6)
        options = {
            "base_url": server.gemini_url.removesuffix("v1beta/openai/"),
            "api_version": "v1beta",
        }
        theirs = genai.Client(api_key=KEY, http_options=options)

        file = theirs.files.upload(
            file=str(chunk.file), config={"mime_type": "application/jsonl", "display_name": "a"}
        )
        assert file.size_bytes == chunk.bytes
        made = theirs.batches.create(
            model=ours.model, src=file.name, config={"display_name": "theirs"}
        )
        assert made.state.name == "JOB_STATE_PENDING"
        # What one of the two has created, the other sees.
        assert ours.find("theirs").name == made.name
        mine = ours.create(ours.upload(chunk.file, "ours"), "ours")
        assert {job.display_name for job in theirs.batches.list()} == {"ours", "theirs"}

        server.configure(run_seconds=3600, clock_offset_seconds=7200)
        done = theirs.batches.get(name=mine.name)
        assert done.state.name == "JOB_STATE_SUCCEEDED"
        content = theirs.files.download(file=done.dest.file_name)
        lines = list(ours.results(ours.job(made.name), tmp_path / "results"))
        assert {line.custom_id for line in lines} == set(chunk.custom_ids)
        assert len(content.splitlines()) == len(lines)
        assert all(Mood.model_validate_json(line.content or "") for line in lines)

        late = theirs.batches.create(
            model=ours.model, src=file.name, config={"display_name": "late"}
        )
        theirs.batches.cancel(name=late.name)
        assert ours.job(late.name).state is BatchState.CANCELLED
        theirs.close()
        ours.close()

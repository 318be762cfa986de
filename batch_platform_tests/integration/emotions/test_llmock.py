"""A whole batch on a batch server by somebody else."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from batch_platform.domains.emotions.models import BatchStage
from batch_platform_tests.emotion_world import EmotionWorld, texts

POSTS = 12
_DEADLINE_SECONDS = 60

pytestmark = pytest.mark.skipif(
    find_spec("llmock") is None,
    reason="llmock 0.2.2 is not installed (an optional test dependency)",
)


@pytest.fixture
def llmock() -> Iterator[str]:
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
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def test_the_flow_on_a_batch_server_by_somebody_else(world: EmotionWorld, llmock: str) -> None:
    world.variables |= {"OPENAI_BASE_URL": f"{llmock}/v1", "EMOTIONS_MAX_BATCH_SIZE": 8}
    world.read(texts(POSTS))
    key = world.submit()
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while world.status(key).stage is BatchStage.IN_FLIGHT:
        assert time.monotonic() < deadline, world.status(key)
        time.sleep(0.2)
        world.clock.pass_by(minutes=21)
        world.poll()
    status = world.finish(key)
    assert [(job.requests, job.state) for job in status.jobs] == [
        (8, "SUCCEEDED"),
        (4, "SUCCEEDED"),
    ]
    world.require_whole(key, POSTS)
    # It says hello to every request of a batch: each line came back once, and none is an analysis.
    assert status.stage is BatchStage.FAILED
    aside = world.store.quarantined(key)
    assert len(aside) == POSTS
    for name, reason, raw in aside:
        assert "not JSON" in reason
        assert raw is not None
        assert json.loads(raw)["custom_id"] == name
    assert status.cost_krw > 0

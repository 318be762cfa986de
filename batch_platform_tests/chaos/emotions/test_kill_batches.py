"""Killed with SIGKILL anywhere on its way, a batch is finished by the next start, sent once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.domains.emotions.models import BatchStage, Mode
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.chaos.emotions import dying_process
from batch_platform_tests.emotion_world import EmotionWorld, emotion_world, texts

POSTS = 24
CHUNKS = 2

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chaos")]


@pytest.fixture
def world(platform_db: PlatformDb, tmp_path: Path) -> Iterator[EmotionWorld]:
    with emotion_world(platform_db, tmp_path) as made:
        made.variables["EMOTIONS_MAX_BATCH_SIZE"] = POSTS // CHUNKS
        made.read(texts(POSTS))
        yield made


@dataclass
class Mother:
    """The process that forks those that die."""

    process: subprocess.Popen[str]

    def ask(self, **said: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, world: EmotionWorld, key: str, point: str) -> int:
        description = world.folder / "world.json"
        description.write_text(
            json.dumps(
                {
                    "db": world.db.url,
                    "folder": str(world.folder),
                    "port": world.server.port,
                    "now": world.clock.now.isoformat(),
                    "variables": {name: str(value) for name, value in world.variables.items()},
                }
            )
        )
        return self.ask(world=str(description), point=point, key=key)

    def end_of(self, number: int) -> int:
        return self.ask(wait=number)


@pytest.fixture(scope="module")
def mother() -> Iterator[Mother]:
    process = subprocess.Popen(
        [sys.executable, "-m", dying_process.__name__],
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Mother(process)
        assert process.stdin is not None
        process.stdin.close()


def told(world: EmotionWorld) -> str:
    log = world.folder / "world.log"
    return log.read_text() if log.exists() else ""


def require_once(world: EmotionWorld, key: str) -> None:
    status = world.status(key)
    assert status.stage is BatchStage.FINISHED
    world.require_whole(key, POSTS)
    stats = world.server.stats()
    assert len(stats["jobs_by_key"]) == CHUNKS
    assert set(stats["jobs_by_key"].values()) == {1}
    assert (stats["lines_asked"], stats["lines_asked_again"]) == (POSTS, 0)
    # Nothing is charged twice either.
    ((ledger,),) = world.rows("SELECT sum(cost_krw) FROM llm.calls")
    ((spent,),) = world.rows("SELECT sum(spent_krw) FROM llm.spending")
    assert ledger == pytest.approx(spent) == pytest.approx(status.cost_krw)
    assert spent > 0


@pytest.mark.parametrize("point", dying_process.POINTS)
def test_a_batch_killed_anywhere_is_sent_once_and_loses_nothing(
    world: EmotionWorld, mother: Mother, point: str
) -> None:
    key = world.register(Mode.FULL)
    assert mother.end_of(mother.start(world, key, point)) == -signal.SIGKILL, told(world)
    # Later than any request of the dead one can arrive.
    world.clock.pass_by(minutes=5)
    world.finish(key)
    require_once(world, key)


def test_two_who_submit_at_once_send_no_post_twice(world: EmotionWorld, mother: Mother) -> None:
    keys = [world.register(Mode.FULL), world.register(Mode.FULL)]
    running = [mother.start(world, key, "never") for key in keys]
    assert [mother.end_of(number) for number in running] == [0, 0], told(world)
    chosen = [world.status(key).counts.chosen for key in keys]
    assert sorted(chosen) == [0, POSTS]
    require_once(world, keys[chosen.index(POSTS)])

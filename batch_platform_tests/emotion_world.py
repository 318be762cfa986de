"""A small world around the emotions: real posts, database and batch server, and a clock to turn."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from batch_platform.core.settings import Profile, Settings
from batch_platform.domains.emotions.collection import Collected, collect_results
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.models import BatchStage, Job, Mode, RequestState
from batch_platform.domains.emotions.polling import Seen, poll_jobs
from batch_platform.domains.emotions.selection import Selection, choose_posts, register, spec_of
from batch_platform.domains.emotions.source import PostSource
from batch_platform.domains.emotions.store import EmotionStore
from batch_platform.domains.emotions.submission import OpenClient, send_batch
from batch_platform.domains.emotions.workflow import (
    BatchStatus,
    ReadPosts,
    enter_history,
    read_posts,
    status_of,
    write_analyses,
)
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.resources.roles import EmotionModels
from batch_platform.sandbox.batch_server import RunningBatchServer, running_batch_server
from batch_platform_tests.given_settings import settings_of

START = datetime(2026, 11, 20, 13, 1, tzinfo=UTC)
DAY = date(2026, 11, 20)
MODEL = "gpt-4.1-mini"
CANARY_KEY = "canary-batch-key"


def write_posts(path: Path, texts: Sequence[str]) -> Path:
    """A source of posts, numbered from 1, some of October and some of November."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["post_id", "comment_id", "구분", "title", "content", "date"])
        for number, text in enumerate(texts, 1):
            kind = "댓글" if number % 3 == 0 else "게시글"
            comment = str(number) if number % 3 == 0 else ""
            month = 10 if number % 2 else 11
            writer.writerow([number, comment, kind, "", text, f"2026-{month}-{1 + number % 20:02}"])
    return path


def texts(count: int) -> list[str]:
    """So many different texts."""
    return [f"글 {number}: 오늘 본 영화가 정말 좋았다" for number in range(1, count + 1)]


@dataclass
class Clock:
    """A clock that somebody turns."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)


@dataclass
class EmotionWorld:
    """Real counterparts of everything that the domain touches.

    Attributes:
        changes_client: What becomes of the provider's client: a test lets it die at some point.
    """

    db: PlatformDb
    folder: Path
    server: RunningBatchServer
    clock: Clock
    variables: dict[str, object] = field(default_factory=dict)
    changes_client: Callable[[BatchClient], BatchClient] = lambda client: client
    _models: dict[str, EmotionModels] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return settings_of(Profile.DEMO, **self.variables)

    @property
    def models(self) -> EmotionModels:
        """Of the variables as they are now; one for as long as they stay."""
        name = str(self.variables)
        if name not in self._models:
            self._models[name] = EmotionModels(self.settings, self.db)
        return self._models[name]

    def close(self) -> None:
        for models in self._models.values():
            models.close()

    @property
    def open_client(self) -> OpenClient:
        models = self.models
        return lambda provider, model: self.changes_client(models.client(provider, model))

    @property
    def store(self) -> EmotionStore:
        return EmotionStore(self.db)

    def read(self, given: Sequence[str] | None = None) -> ReadPosts:
        if given is not None:
            write_posts(self.folder / "posts.csv", given)
        settings = self.settings
        source = PostSource(settings.emotions, settings.platform.zone)
        return read_posts(None, source=source, db=self.db, settings=settings, today=DAY)

    def register(self, mode: Mode, **chosen: Any) -> str:
        provider, model = self.models.chosen
        spec = spec_of(mode, self.settings, provider=provider, model=model, **chosen)
        return register(spec, db=self.db, settings=self.settings, clock=self.clock)

    def choose(self, key: str) -> Selection:
        return choose_posts(
            key, db=self.db, open_llm=self.models.llm, settings=self.settings, clock=self.clock
        )

    def send(self, key: str) -> list[Job]:
        return send_batch(
            key,
            db=self.db,
            open_client=self.open_client,
            settings=self.settings,
            clock=self.clock,
        )

    def submit(self, mode: Mode = Mode.FULL, **chosen: Any) -> str:
        key = self.register(mode, **chosen)
        self.choose(key)
        self.send(key)
        return key

    def poll(self) -> list[Seen]:
        return poll_jobs(
            db=self.db, open_client=self.open_client, settings=self.settings, clock=self.clock
        )

    def collect(self, key: str) -> Collected:
        return collect_results(
            key,
            db=self.db,
            open_client=self.open_client,
            open_llm=self.models.llm,
            settings=self.settings,
            clock=self.clock,
        )

    def write(self, key: str) -> int:
        rows, _ = write_analyses(
            key, db=self.db, open_llm=self.models.llm, settings=self.settings, clock=self.clock
        )
        enter_history(key, db=self.db, settings=self.settings, clock=self.clock)
        return rows

    def status(self, key: str) -> BatchStatus:
        return status_of(key, db=self.db, settings=self.settings)

    def jobs(self, key: str) -> list[Job]:
        return JobStore(self.db).jobs(key)

    def finish(self, key: str, *, minutes: float = 6, most: int = 400) -> BatchStatus:
        """Do what the sensor does, again and again, while time passes."""
        for _ in range(most):
            match self.status(key).stage:
                case BatchStage.REGISTERED:
                    self.choose(key)
                case BatchStage.TO_SEND:
                    self.send(key)
                case BatchStage.TO_COLLECT:
                    self.collect(key)
                    self.write(key)
                case BatchStage.IN_FLIGHT:
                    self.clock.pass_by(minutes=minutes)
                    self.poll()
                case _:
                    return self.status(key)
        raise AssertionError(f"{key} never came to an end: {self.status(key)}")

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.db.fetch_all(query, list(parameters))  # type: ignore[arg-type]

    def states(self, key: str) -> dict[str, int]:
        """State → posts of a batch."""
        return {state.value: count for state, count in self.status(key).counts.states.items()}

    def require_whole(self, key: str, read: int) -> None:
        """Every post that was read is analysed once, set aside, or left out."""
        counts = self.status(key).counts
        assert counts.open == 0
        assert sum(counts.states.values()) == read
        ((rows, distinct),) = self.rows(
            "SELECT count(*), count(DISTINCT post_key) FROM emotions.analyses WHERE batch_key = %s",
            key,
        )
        assert rows == distinct == counts.of(RequestState.ANSWERED)


@contextmanager
def emotion_world(
    db: PlatformDb, folder: Path, *, provider: str = "openai", **options: Any
) -> Iterator[EmotionWorld]:
    """A world with a batch server of one provider's form, whose clock is the platform's."""
    clock = Clock()
    served = running_batch_server(
        folder / "provider", clock=lambda: clock.now.timestamp(), **options
    )
    with served as server:
        variables: dict[str, object] = {
            "BATCH_PLATFORM_HOME": folder / "home",
            "EMOTIONS_SOURCE": str(folder / "posts.csv"),
            "EMOTIONS_COLUMN_DATE": "date",
            "EMOTIONS_PROVIDER": provider,
            "OPENAI_API_KEY": CANARY_KEY,
            "OPENAI_BASE_URL": server.openai_url,
            "GEMINI_API_KEY": CANARY_KEY,
            "GEMINI_BASE_URL": server.gemini_url,
        }
        world = EmotionWorld(db, folder, server, clock, variables)
        try:
            yield world
        finally:
            world.close()

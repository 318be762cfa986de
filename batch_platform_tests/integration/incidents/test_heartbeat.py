"""Who waits for our calls hears of each good day once, and of no other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from batch_platform.core.deadlines import Deadline
from batch_platform.core.settings import Profile, Settings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.webhook import call_heartbeat
from batch_platform.operations.incidents.heartbeat import tell_good_days
from batch_platform.sandbox.loopback import loopback_socket, serving_in_a_thread
from batch_platform_tests.given_settings import settings_of

SEOUL = ZoneInfo("Asia/Seoul")
DEADLINES = [Deadline("chats/report", time(7)), Deadline("fortunes/done", time(23, 50), -1)]
MORNING = datetime(2026, 11, 20, 7, 1, tzinfo=SEOUL)
NIGHT = datetime(2026, 11, 20, 22, 10, tzinfo=SEOUL)


@dataclass
class World:
    """What was made, and a service that waits for calls."""

    db: PlatformDb
    url: str
    made: dict[str, set[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    status: int = 200

    def tell(self, now: datetime, settings: Settings | None = None) -> str:
        return tell_good_days(
            self.db,
            DEADLINES,
            lambda asset: self.made.get(asset, set()),
            settings or settings_of(HEARTBEAT_URL=self.url),
            now,
            call_heartbeat,
        )

    def make(self, asset: str, *partitions: str) -> None:
        self.made.setdefault(asset, set()).update(partitions)


@pytest.fixture
def world(platform_db: PlatformDb) -> Iterator[World]:
    listening = loopback_socket()
    port = listening.getsockname()[1]
    made = World(platform_db, f"http://127.0.0.1:{port}/ping/secret")

    async def hear(request: web.Request) -> web.Response:
        made.calls.append(request.path)
        return web.Response(status=made.status)

    def application() -> web.Application:
        app = web.Application()
        app.router.add_post("/ping/secret", hear)
        return app

    with serving_in_a_thread(application, listening):
        yield made


def test_a_day_is_told_once_all_that_was_due_is_there(world: World) -> None:
    world.make("chats/report", "2026-11-18", "2026-11-19")
    world.make("fortunes/done", "2026-11-20")
    assert world.tell(MORNING) == ""
    told_before = len(world.calls)  # the 19th was good
    world.make("fortunes/done", "2026-11-21")
    assert (world.tell(NIGHT), world.tell(NIGHT + timedelta(hours=1))) == ("", "")
    assert (told_before, len(world.calls)) == (1, 2)


def test_a_day_with_a_gap_is_not_told_until_the_gap_is_filled(world: World) -> None:
    world.make("chats/report", "2026-11-17")
    world.make("fortunes/done", "2026-11-20", "2026-11-21")
    world.tell(NIGHT)
    assert world.calls == []
    world.make("chats/report", "2026-11-19")
    # After midnight it is still told.
    world.tell(NIGHT + timedelta(hours=3))
    assert len(world.calls) == 1


def test_a_service_that_is_away_is_called_again_and_its_address_is_not_told(world: World) -> None:
    world.make("chats/report", "2026-11-19")
    world.make("fortunes/done", "2026-11-21")
    world.status = 503
    assert "HEARTBEAT_URL answers 503" in (problem := world.tell(NIGHT))
    assert "secret" not in problem
    world.status = 200
    assert world.tell(NIGHT + timedelta(minutes=1)) == ""
    assert len(world.calls) == 1, "not at every look"
    world.tell(NIGHT + timedelta(minutes=11))
    world.tell(NIGHT + timedelta(minutes=30))
    assert len(world.calls) == 2


def test_without_an_address_and_for_made_up_work_nobody_is_called(world: World) -> None:
    world.make("chats/report", "2026-11-19")
    world.make("fortunes/done", "2026-11-21")
    world.tell(NIGHT, settings_of())
    demo = {"profile": Profile.DEMO}
    world.tell(NIGHT, settings_of(HEARTBEAT_URL=world.url).model_copy(update=demo))
    assert world.calls == []

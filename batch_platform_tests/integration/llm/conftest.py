"""Fixtures of the engine's tests: a task, a model server that misbehaves, a client of it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batch_platform.gateways.llm import BulkLlm, open_bulk_llm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.model_server import RunningModelServer, running_model_server
from batch_platform_tests.integration.llm.asking import model_settings

MakeLlm = Callable[..., BulkLlm]


async def short_sleep(seconds: float) -> None:
    """Waits a tenth: what is waited for is looked at again, so that nothing goes wrong by it."""
    await asyncio.sleep(seconds / 10)


@pytest.fixture
def model_server() -> Iterator[RunningModelServer]:
    with running_model_server() as server:
        yield server


@pytest.fixture
def make_llm(platform_db: PlatformDb, model_server: RunningModelServer) -> MakeLlm:
    def make(
        *, is_made_up: bool = True, options: dict[str, Any] | None = None, **variables: Any
    ) -> BulkLlm:
        settings = model_settings(model_server.url, **variables)
        return open_bulk_llm(settings, platform_db.url, is_made_up=is_made_up, **(options or {}))

    return make

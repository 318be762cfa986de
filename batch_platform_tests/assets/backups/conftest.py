"""The small platform that the assets' tests back up."""

from collections.abc import Iterator

import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.backup_world import World, make_world, remove_world


@pytest.fixture
def world(platform_db: PlatformDb, postgres_server: str) -> Iterator[World]:
    made = make_world(platform_db, postgres_server)
    yield made
    remove_world(made)

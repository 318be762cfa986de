"""The pages over a week of made-up nights, and a browser that is only a client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.morning_world import MorningWorld, morning_world


@pytest.fixture
def world(
    platform_db: PlatformDb, dagster_db: PlatformDb, tmp_path: Path
) -> Iterator[MorningWorld]:
    with morning_world(platform_db, dagster_db, nights=8, home=str(tmp_path)) as made:
        yield made

"""The emotions' world, of either provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.emotion_world import EmotionWorld, emotion_world


@pytest.fixture
def world(
    platform_db: PlatformDb, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[EmotionWorld]:
    with emotion_world(platform_db, tmp_path, **getattr(request, "param", {})) as made:
        yield made

"""A served API for each test, with a platform database of its own."""

from collections.abc import Iterator

import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.running_api import RunningApi, running_api


@pytest.fixture
def api(platform_db: PlatformDb) -> Iterator[RunningApi]:
    """The API on an empty platform database."""
    with running_api(platform_db) as running:
        yield running

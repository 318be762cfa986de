"""A command whose storage goes away says so in a sentence."""

from pathlib import Path

import dagster as dg
import pytest
from dagster_postgres.utils import DagsterPostgresException

from batch_platform.cli.runs import run_job
from batch_platform.core.errors import RetryableError
from batch_platform_tests.given_settings import settings_of


def test_a_storage_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> dg.DagsterInstance:
        raise DagsterPostgresException("too many retries") from OSError("refused\nat length")

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(dg.DagsterInstance, "get", fail)
    with pytest.raises(RetryableError, match=r"storage .* failed: refused\. Check the database"):
        run_job("a_job", "2026-11-19", settings=settings_of(BATCH_PLATFORM_HOME=tmp_path))

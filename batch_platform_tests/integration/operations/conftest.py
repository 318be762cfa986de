"""A quarantine with something in it."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.made_up_nights import know_jobs
from batch_platform_tests.morning_world import DEADLINES

NOW = datetime(2026, 11, 20, 22, 20, tzinfo=UTC)
REASON = "No answer could be used: the category 17 is not among the categories"


@dataclass(frozen=True)
class Calls:
    """Writes what the engine would leave behind."""

    db: PlatformDb

    def call(self, task: str, partition: str, *, krw: float = 1.5, is_answered: bool) -> bytes:
        """One text that a model was asked about; return its key."""
        key = os.urandom(32)
        with self.db.connect("test") as connection:
            connection.execute(
                "INSERT INTO llm.calls (key, task, prompt_version, provider, model, parameters,"
                " call_id, output, error, input_tokens, output_tokens, cost_krw, cost_usd,"
                " price_table, latency_seconds, attempts, masked, is_made_up, used_by, created_at)"
                " VALUES (%s, %s, '1', 'openai', 'gpt-4.1-mini', '{}', 'c', %s, %s, 100, 20, %s,"
                " 0.001, 'genai-prices', 1, 3, '{}', false, ARRAY[%s], %s)",
                [
                    key,
                    task,
                    "{}" if is_answered else None,
                    None if is_answered else REASON,
                    krw,
                    partition,
                    NOW,
                ],
            )
        return key

    def set_aside(self, task: str, partition: str, item_id: str) -> bytes:
        """One item in quarantine."""
        key = self.call(task, partition, is_answered=False)
        with self.db.connect("test") as connection:
            connection.execute(
                "INSERT INTO llm.quarantine (task, partition, item_id, reason, key)"
                " VALUES (%s, %s, %s, %s, %s)",
                [task, partition, item_id, REASON, key],
            )
        return key


@pytest.fixture
def calls(platform_db: PlatformDb) -> Calls:
    know_jobs(platform_db, DEADLINES)
    return Calls(platform_db)

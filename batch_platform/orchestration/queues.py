"""The queues of steps that workers serve, and the tag by which a step goes to one.

Without workers the tags say nothing.
"""

from collections.abc import Mapping

QUEUE_TAG = "dagster-celery/queue"

LLM = "llm"
DATA = "data"
BACKUP = "backup"
QUEUES = (LLM, DATA, BACKUP)
"""Steps that wait for a model, steps that read and write, steps that need the database's tools."""

ON_LLM_WORKERS: Mapping[str, str] = {QUEUE_TAG: LLM}
"""Tags of a step that asks a model."""

ON_BACKUP_WORKERS: Mapping[str, str] = {QUEUE_TAG: BACKUP}
"""Tags of a step that dumps or restores."""

"""The one way to a model: many items in, validated answers out, none paid for twice.

`open_bulk_llm` makes a `BulkLlm`. Knows no domain and no Dagster.
"""

from batch_platform.gateways.llm.batched import BatchedCalls, BatchedResult, PreparedText
from batch_platform.gateways.llm.bulk import Ask, BulkLlm, open_bulk_llm
from batch_platform.gateways.llm.models import (
    Answered,
    AskSummary,
    Estimate,
    Item,
    Outcome,
    Progress,
    Quarantined,
    Task,
)

__all__ = [
    "Answered",
    "Ask",
    "AskSummary",
    "BatchedCalls",
    "BatchedResult",
    "BulkLlm",
    "Estimate",
    "Item",
    "Outcome",
    "PreparedText",
    "Progress",
    "Quarantined",
    "Task",
    "open_bulk_llm",
]

"""Asking about a chunk of a partition ahead of the step that writes it: it only fills the ledger.

Whatever ends such an ask early, the step that writes meets it by itself and deals with it: it finds
in the ledger what is there and asks for the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batch_platform.core.errors import PlatformError
from batch_platform.gateways.llm.bulk import Ask
from batch_platform.gateways.llm.models import AskSummary, Quarantined
from batch_platform.gateways.platform_db import PlatformDb

_KEPT_DAYS = 7


@dataclass(frozen=True, slots=True)
class ChunkAsk:
    """An ask about a chunk that nobody has begun yet.

    Attributes:
        is_useless: Tells by how many answers could not be used whether asking on is no use.
    """

    ask: Ask[Any]
    is_useless: Callable[[int], bool]


def fill_ledger(asking: ChunkAsk) -> PlatformError | None:
    """Ask about all of it, and keep nothing but what the ledger keeps.

    Returns:
        What ended it early; None when nothing did.
    """
    set_aside = 0
    try:
        for outcome in asking.ask:
            if isinstance(outcome, Quarantined):
                set_aside += 1
                if asking.is_useless(set_aside):
                    return None
    except PlatformError as error:
        return error
    return None


def note_chunk(
    db: PlatformDb, run_id: str, asset: str, partition: str, chunk: int, summary: AskSummary
) -> None:
    """Note what asking about a chunk took; a chunk that is asked about again adds to it."""
    with db.connect(f"run {run_id}") as connection:
        connection.execute(
            "DELETE FROM operations.asked_chunks"
            " WHERE ended_at < now() - make_interval(days => %s)",
            [_KEPT_DAYS],
        )
        connection.execute(
            """
            INSERT INTO operations.asked_chunks AS known (
                run_id, asset, partition, chunk, asked, calls, retries, refusals, input_tokens,
                output_tokens, cost_krw
            )
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (run_id, asset, partition, chunk) DO UPDATE SET
                asked = known.asked + excluded.asked,
                calls = known.calls + excluded.calls,
                retries = known.retries + excluded.retries,
                refusals = known.refusals + excluded.refusals,
                input_tokens = known.input_tokens + excluded.input_tokens,
                output_tokens = known.output_tokens + excluded.output_tokens,
                cost_krw = known.cost_krw + excluded.cost_krw,
                ended_at = now()
            """,
            [
                *(run_id, asset, partition, chunk),
                *(summary.asked, summary.calls, summary.retries, summary.refusals),
                *(summary.input_tokens, summary.output_tokens, summary.cost_krw),
            ],
        )


def asked_in_chunks(db: PlatformDb, run_id: str, asset: str, partition: str) -> AskSummary | None:
    """What a run's chunks of a partition took together; None when it was not cut."""
    ((chunks, *sums),) = db.fetch_all(
        """
        SELECT count(*), sum(asked)::bigint, sum(calls)::bigint, sum(retries)::bigint,
               sum(refusals)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint,
               sum(cost_krw)
        FROM operations.asked_chunks WHERE run_id = %s AND asset = %s AND partition = %s
        """,
        [run_id, asset, partition],
    )
    if not chunks:
        return None
    asked, calls, retries, refusals, input_tokens, output_tokens, cost_krw = sums
    return AskSummary(
        asked=asked,
        calls=calls,
        retries=retries,
        refusals=refusals,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_krw=cost_krw,
    )

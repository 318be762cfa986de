"""SQL of recommendations that an old system made: put beside the platform's, and taken back."""

from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa

from batch_platform.domains.interventions.store import RECOMMENDATION_SCHEMA
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb

IMPORTED_RECOMMENDATION_SCHEMA = pa.unify_schemas(
    [RECOMMENDATION_SCHEMA, pa.schema([("import_id", pa.int64())])]
)
_TABLE = "interventions.recommendations"

Key = tuple[str, str]
"""A gubun and a user."""


def recommendations_here(db: PlatformDb, day: date) -> frozenset[Key]:
    """Who has a recommendation of the day, imported before or made here; an error is none."""
    rows = db.fetch_all(
        "SELECT gubun, user_id FROM interventions.recommendations"
        " WHERE record_date = %s AND error_message IS NULL",
        [day],
    )
    return frozenset((gubun, user_id) for gubun, user_id in rows)


def add_imported(
    transaction: PartitionTransaction,
    day: date,
    keys: Sequence[Key],
    rows: Iterator[pa.RecordBatch],
) -> int:
    """Add recommendations, in place of errors that stand there; returns how many."""
    with transaction.connection.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM interventions.recommendations WHERE record_date = %s AND gubun = %s"
            " AND user_id = %s AND error_message IS NOT NULL",
            [(day, gubun, user_id) for gubun, user_id in keys],
        )
    added = transaction.append(_TABLE, rows)
    transaction.note_overwritten(_TABLE, ("record_date", [day]))
    return added


def remove_imported(transaction: PartitionTransaction, partition: str, import_id: int) -> int:
    """Delete a day's recommendations of an import; returns how many."""
    day = date.fromisoformat(partition)
    removed = transaction.connection.execute(
        "DELETE FROM interventions.recommendations WHERE record_date = %s AND import_id = %s",
        [day, import_id],
    ).rowcount
    transaction.note_overwritten(_TABLE, ("record_date", [day]))
    return removed

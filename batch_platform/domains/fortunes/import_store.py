"""SQL of fortunes that an old system wrote: put beside what the platform made, and taken back."""

from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa

from batch_platform.domains.fortunes.store import FORTUNE_SCHEMA
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb

IMPORTED_FORTUNE_SCHEMA = pa.unify_schemas([FORTUNE_SCHEMA, pa.schema([("import_id", pa.int64())])])
_TABLE = "fortunes.daily_fortunes"


def users_with_fortune(db: PlatformDb, day: date) -> frozenset[str]:
    """Users who have a fortune of the day, imported before or made here; a failure is none."""
    rows = db.fetch_all(
        "SELECT user_id FROM fortunes.daily_fortunes WHERE for_date = %s AND status = 'completed'",
        [day],
    )
    return frozenset(row[0] for row in rows)


def add_imported(
    transaction: PartitionTransaction,
    day: date,
    user_ids: Sequence[str],
    fortunes: Iterator[pa.RecordBatch],
) -> int:
    """Add fortunes of users, in place of failures that stand there; returns how many."""
    transaction.connection.execute(
        "DELETE FROM fortunes.daily_fortunes"
        " WHERE for_date = %s AND status = 'failed' AND user_id = ANY(%s)",
        [day, list(user_ids)],
    )
    rows = transaction.append(_TABLE, fortunes)
    transaction.note_overwritten(_TABLE, ("for_date", [day]))
    return rows


def remove_imported(transaction: PartitionTransaction, partition: str, import_id: int) -> int:
    """Delete a day's fortunes of an import; returns how many."""
    day = date.fromisoformat(partition)
    removed = transaction.connection.execute(
        "DELETE FROM fortunes.daily_fortunes WHERE for_date = %s AND import_id = %s",
        [day, import_id],
    ).rowcount
    transaction.note_overwritten(_TABLE, ("for_date", [day]))
    return removed

"""SQL of analyses that an old system made: entered in the history, and taken back."""

from collections.abc import Collection, Iterator, Mapping

import pyarrow as pa

from batch_platform.domains.emotions.store import ANALYSES_SCHEMA
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb

IMPORTED_ANALYSES_SCHEMA = pa.unify_schemas(
    [ANALYSES_SCHEMA, pa.schema([("import_id", pa.int64())])]
)
HISTORY_SCHEMA = pa.schema(
    [
        ("batch_key", pa.string()),
        ("id", pa.string()),
        ("post_id", pa.string()),
        ("comment_id", pa.string()),
        ("analysis_date", pa.timestamp("us", "UTC")),
        ("analysis_type", pa.string()),
        ("model_used", pa.string()),
        ("dominant_emotion", pa.string()),
        ("analysis_file", pa.string()),
        ("is_made_up", pa.bool_()),
        ("import_id", pa.int64()),
    ]
)
"""Rows of `emotions.history` that an import enters."""

_TABLES = ("emotions.history", "emotions.analyses")


def entered(db: PlatformDb, batch_key: str) -> frozenset[str]:
    """Posts of a batch that are in the history."""
    rows = db.fetch_all("SELECT id FROM emotions.history WHERE batch_key = %s", [batch_key])
    return frozenset(row[0] for row in rows)


def days_and_kinds(db: PlatformDb, keys: Collection[str]) -> Mapping[str, tuple[object, str, str]]:
    """Post → (its day, kind, text), of those that were read from the source."""
    rows = db.fetch_all(
        "SELECT DISTINCT ON (post_key) post_key, post_date, kind, btrim(title || ' ' || content)"
        " FROM emotions.posts WHERE post_key = ANY(%s) ORDER BY post_key, post_date DESC",
        [list(keys)],
    )
    return {key: (day, kind, text) for key, day, kind, text in rows}


def add_imported(
    transaction: PartitionTransaction,
    batch_key: str,
    history: Iterator[pa.RecordBatch],
    analyses: Iterator[pa.RecordBatch],
) -> int:
    """Enter analyses in the history, with their scores where they are known; returns how many."""
    entries = transaction.append("emotions.history", history)
    transaction.append("emotions.analyses", analyses)
    for table in _TABLES:
        transaction.note_overwritten(table, ("batch_key", [batch_key]))
    return entries


def remove_imported(transaction: PartitionTransaction, partition: str, import_id: int) -> int:
    """Delete a batch's rows of an import; returns the entries of the history."""
    connection = transaction.connection
    connection.execute(
        "DELETE FROM emotions.analyses WHERE batch_key = %s AND import_id = %s",
        [partition, import_id],
    )
    removed = connection.execute(
        "DELETE FROM emotions.history WHERE batch_key = %s AND import_id = %s",
        [partition, import_id],
    ).rowcount
    for table in _TABLES:
        transaction.note_overwritten(table, ("batch_key", [partition]))
    return removed

"""SQL of what an old system classified: written beside what the platform made, and taken back."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import psycopg
import pyarrow as pa

from batch_platform.domains.chats.store import CLASSIFICATION_SCHEMA, QUESTION_SCHEMA
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb

_IMPORT = pa.schema([("import_id", pa.int64())])
IMPORTED_QUESTION_SCHEMA = pa.unify_schemas([QUESTION_SCHEMA, _IMPORT])
IMPORTED_CLASSIFICATION_SCHEMA = pa.unify_schemas([CLASSIFICATION_SCHEMA, _IMPORT])


def questions_here(db: PlatformDb, day: date) -> frozenset[str]:
    """Ids of the day's questions that have an end: imported before, or made here."""
    rows = db.fetch_all("SELECT question_id FROM chats.questions WHERE chat_date = %s", [day])
    return frozenset(row[0] for row in rows)


def add_imported(
    transaction: PartitionTransaction,
    day: date,
    questions: Iterator[pa.RecordBatch],
    classifications: Iterator[pa.RecordBatch],
) -> int:
    """Add a day's imported questions and classifications; returns the classifications."""
    transaction.append("chats.questions", questions)
    rows = transaction.append("chats.classifications", classifications)
    for table in ("chats.questions", "chats.classifications"):
        transaction.note_overwritten(table, ("chat_date", [day]))
    return rows


def remove_imported(transaction: PartitionTransaction, partition: str, import_id: int) -> int:
    """Delete a day's rows of an import; returns the questions."""
    day = date.fromisoformat(partition)
    connection: psycopg.Connection[Any] = transaction.connection
    where: Mapping[str, object] = {"day": day, "import_id": import_id}
    connection.execute(
        "DELETE FROM chats.classifications WHERE chat_date = %(day)s AND import_id = %(import_id)s",
        where,
    )
    removed = connection.execute(
        "DELETE FROM chats.questions WHERE chat_date = %(day)s AND import_id = %(import_id)s",
        where,
    ).rowcount
    for table in ("chats.questions", "chats.classifications"):
        transaction.note_overwritten(table, ("chat_date", [day]))
    return removed

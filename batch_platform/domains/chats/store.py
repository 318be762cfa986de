"""SQL of the chats domain on the platform's database.

Rules are in `logic`, tables in `migrations/`, what a report reads in `report_store`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import LiteralString

import pyarrow as pa

from batch_platform.core.hashing import text_id
from batch_platform.core.personal_data import mask
from batch_platform.domains.chats.logic import INVISIBLE
from batch_platform.domains.chats.models import Extraction, Question
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb

_TIMESTAMP = pa.timestamp("us", tz="UTC")

QUESTION_SCHEMA = pa.schema(
    [
        ("chat_date", pa.date32()),
        ("question_id", pa.string()),
        ("question", pa.string()),
        ("query_count", pa.int64()),
        ("asked_at", _TIMESTAMP),
        ("state", pa.string()),
        ("final_category_id", pa.int32()),
        ("final_category", pa.string()),
        ("reason", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `chats.questions`."""

CLASSIFICATION_SCHEMA = pa.schema(
    [
        ("chat_date", pa.date32()),
        ("question_id", pa.string()),
        ("keyword", pa.string()),
        ("category_id", pa.int32()),
        ("category_name", pa.string()),
        ("question", pa.string()),
        ("query_count", pa.int64()),
        ("asked_at", _TIMESTAMP),
        ("model", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `chats.classifications`."""

# Not [:space:], whose meaning is the database's locale's.
_IS_ASKED = f"input_text ~ '[^{INVISIBLE}]'"


@dataclass(frozen=True)
class DayCounts:
    """What a day holds, for checks and the command `missing`."""

    chat_date: date
    landed_rows: int | None
    asked_rows: int
    question_count: int
    classified_count: int
    quarantined_count: int
    counted_queries: int

    @property
    def is_extracted(self) -> bool:
        """Whether the day was ever read from the source."""
        return self.landed_rows is not None

    @property
    def missing_count(self) -> int:
        """Distinct questions with neither a classification nor a place in quarantine."""
        return self.question_count - self.classified_count - self.quarantined_count


class ChatStore:
    """Reads and writes the tables of the schema `chats`."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def questions(self, day: date) -> Iterator[Question]:
        """Yield each distinct text of the day that is not blank, the most frequent first."""
        for text, count, asked_at in self._db.stream(
            "SELECT input_text, count(*), min(created_at) FROM chats.raw_chats"
            f" WHERE chat_date = %s AND {_IS_ASKED}"
            ' GROUP BY input_text ORDER BY count(*) DESC, input_text COLLATE "C"',
            [day],
        ):
            yield Question(text_id(text), text, count, asked_at)

    def replace_classifications(
        self,
        transaction: PartitionTransaction,
        day: date,
        questions: Iterator[pa.RecordBatch],
        classifications: Iterator[pa.RecordBatch],
        *,
        keeps_imported: bool,
    ) -> int:
        """Put a day's questions and their classifications in place of what was there.

        Imported ones that are kept are counted anew in the day's chats; one that is no longer among
        them goes, as any other would.

        Returns:
            The day's classifications, kept ones among them.
        """
        where = {"chat_date": day}
        transaction.overwrite("chats.questions", where, questions, keeps_imported=keeps_imported)
        rows = transaction.overwrite(
            "chats.classifications", where, classifications, keeps_imported=keeps_imported
        )
        return rows + (_count_imported_anew(transaction, day) if keeps_imported else 0)

    def imported_questions(self, day: date) -> frozenset[str]:
        """Ids of the day's questions that an old system classified."""
        rows = self._db.fetch_all(
            "SELECT question_id FROM chats.questions"
            " WHERE chat_date = %s AND import_id IS NOT NULL",
            [day],
        )
        return frozenset(row[0] for row in rows)

    def replace_extraction(
        self, transaction: PartitionTransaction, extraction: Extraction, is_made_up: bool
    ) -> None:
        """Note what the source held and what landed, in the transaction in which it landed."""
        transaction.connection.execute(
            """
            INSERT INTO chats.extractions
                (chat_date, source_rows, landed_rows, blank_rows, mended_rows, undated_rows,
                 warnings, is_made_up)
            VALUES (%(chat_date)s, %(source_rows)s, %(landed_rows)s, %(blank_rows)s,
                    %(mended_rows)s, %(undated_rows)s, %(warnings)s, %(is_made_up)s)
            ON CONFLICT (chat_date) DO UPDATE SET
                source_rows = excluded.source_rows, landed_rows = excluded.landed_rows,
                blank_rows = excluded.blank_rows, mended_rows = excluded.mended_rows,
                undated_rows = excluded.undated_rows, warnings = excluded.warnings,
                is_made_up = excluded.is_made_up, extracted_at = now()
            """,
            asdict(extraction) | {"warnings": list(extraction.warnings), "is_made_up": is_made_up},
        )

    def day_counts(self, start: date, end: date) -> list[DayCounts]:
        """What every day from `start` to `end` holds, days without anything among them."""
        rows = self._db.fetch_all(
            f"""
            SELECT day::date, extraction.landed_rows,
                   coalesce(chat.asked, 0), coalesce(chat.distinct_texts, 0),
                   coalesce(question.classified, 0), coalesce(question.quarantined, 0),
                   coalesce(question.queries, 0)
            FROM generate_series(%(start)s::date, %(end)s::date, '1 day') AS day
            LEFT JOIN chats.extractions AS extraction ON extraction.chat_date = day
            LEFT JOIN LATERAL (
                SELECT count(*) AS asked, count(DISTINCT input_text) AS distinct_texts
                FROM chats.raw_chats WHERE chat_date = day AND {_IS_ASKED}
            ) AS chat ON true
            LEFT JOIN LATERAL (
                SELECT count(*) FILTER (WHERE state = 'classified') AS classified,
                       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
                       sum(query_count)::bigint AS queries
                FROM chats.questions WHERE chat_date = day
            ) AS question ON true
            ORDER BY day
            """,
            {"start": start, "end": end},
        )
        return [DayCounts(*row) for row in rows]

    def unknown_categories(self, day: date, known_ids: Sequence[int]) -> list[str]:
        """Names of the day's categories whose id is not among the known ones."""
        rows = self._db.fetch_all(
            "SELECT DISTINCT category_name FROM chats.classifications"
            " WHERE chat_date = %s AND category_id <> ALL(%s) ORDER BY 1",
            [day, list(known_ids)],
        )
        return [row[0] for row in rows]

    def publishable(self, day: date) -> Iterator[tuple[str, str, int, int, datetime]]:
        """Yield (question, keyword, category id, times asked, first asked at) of the day."""
        yield from self._db.stream(
            "SELECT question, keyword, category_id, query_count, asked_at"
            " FROM chats.classifications WHERE chat_date = %s"
            " ORDER BY asked_at, question_id, keyword, category_id",
            [day],
        )

    def preview(self, day: date, limit: int = 10) -> list[tuple[str, str, str, int]]:
        """The day's first (question, keyword, category, times asked), the most frequent first.

        Personal data is masked: a preview ends in Dagster's event log, which is kept for ever.
        """
        rows = self._db.fetch_all(
            "SELECT question, keyword, category_name, query_count FROM chats.classifications"
            " WHERE chat_date = %s ORDER BY query_count DESC, question_id, keyword LIMIT %s",
            [day, limit],
        )
        return [
            (mask(question).text, mask(keyword).text, category, count)
            for question, keyword, category, count in rows
        ]

    def stored_rows(self, day: date) -> int:
        """Chats of the day that stand in the platform's table."""
        ((rows,),) = self._db.fetch_all(
            "SELECT count(*) FROM chats.raw_chats WHERE chat_date = %s", [day]
        )
        return rows

    def warnings(self, start: date, end: date) -> list[str]:
        """What the extractions of the days had to say about the source, each sentence once."""
        rows = self._db.fetch_all(
            "SELECT DISTINCT unnest(warnings) FROM chats.extractions"
            " WHERE chat_date BETWEEN %s AND %s ORDER BY 1",
            [start, end],
        )
        return [row[0] for row in rows]


def _count_imported_anew(transaction: PartitionTransaction, day: date) -> int:
    transaction.connection.execute(
        "CREATE TEMP TABLE asked ON COMMIT DROP AS SELECT input_text AS question,"
        " count(*) AS query_count, min(created_at) AS asked_at FROM chats.raw_chats"
        " WHERE chat_date = %s GROUP BY input_text",
        [day],
    )
    tables: tuple[LiteralString, ...] = ("chats.questions", "chats.classifications")
    for table in tables:
        transaction.connection.execute(
            f"DELETE FROM {table} AS row WHERE chat_date = %s AND import_id IS NOT NULL"
            " AND NOT EXISTS (SELECT FROM asked WHERE asked.question = row.question)",
            [day],
        )
        transaction.connection.execute(
            f"UPDATE {table} AS row SET query_count = asked.query_count, asked_at = asked.asked_at"
            " FROM asked WHERE chat_date = %s AND import_id IS NOT NULL"
            " AND asked.question = row.question"
            " AND (row.query_count, row.asked_at) <> (asked.query_count, asked.asked_at)",
            [day],
        )
    rows = transaction.connection.execute(
        "SELECT count(*) FROM chats.classifications WHERE chat_date = %s AND import_id IS NOT NULL",
        [day],
    ).fetchone()
    return rows[0] if rows else 0

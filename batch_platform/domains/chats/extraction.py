"""`extract_day`: a day's chats from the organisation's database into `chats.raw_chats`.

Reading and writing go on at the same time and hold a few thousand rows, however large the day is.
How a source is read belongs to `gateways.source_db`; SQL on the platform's database to `store`.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, cast

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from batch_platform.core.errors import PermanentError, RetryableError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.settings import ChatsSettings, Settings
from batch_platform.domains.chats.models import Extraction
from batch_platform.domains.chats.store import ChatStore
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase, SourceRows

_BATCHES_AHEAD = 8
"""How far reading may run ahead of writing: enough to even out both, small beside a day."""

_COLUMNS = ("chat_date", "chatting_pk", "input_text", "created_at")
"""Of `chats.raw_chats`."""

_NUL = "\x00"
_REPLACEMENT = "\ufffd"
# The same texts as `store` leaves out of the questions: white space as Unicode defines it, and what
# machines type without anybody seeing it.
_VISIBLE = r"[^\s\v\x{85}\p{Z}\x{200b}\x{feff}]"


def extract_day(
    day: date,
    *,
    source: SourceDatabase,
    db: PlatformDb,
    settings: Settings,
    on_progress: ProgressReport = unheard,
    may_become_empty: bool = False,
) -> Extraction:
    """Replace a day's chats by what the source holds now, in one transaction.

    Args:
        day: Calendar day in the zone of the settings.
        source: Where the chats are.
        db: Where they go.
        settings: Names of the source's table and columns; whether the source is made up.
        on_progress: Hears how many chats have landed of how many.
        may_become_empty: Whether a day that held chats may be replaced by one without any.

    Returns:
        What the source held and what landed, with what the source cannot hold.

    Raises:
        ConfigurationError: The source's address, table or columns are wrong.
        RetryableError: The source or the database went away, or the day changed while it was read;
            the day stands as before.
        PermanentError: The key column does not tell one chat from another, or the source has lost
            a day that was read before.
    """
    chats = settings.chats
    undated = source.undated_count(chats.table_chattings, chats.column_created_at)
    warnings = source.column_warnings(chats.table_chattings, [chats.column_input_text])
    with (
        source.open_day(
            chats.table_chattings,
            {
                "chatting_pk": chats.column_chatting_pk,
                "input_text": chats.column_input_text,
                "created_at": chats.column_created_at,
            },
            chats.column_created_at,
            day,
        ) as rows,
        db.replacing("chats/raw_chats", day.isoformat()) as transaction,
    ):
        if rows.source_rows == 0 and not may_become_empty:
            _require_empty(day, ChatStore(db).stored_rows(day))
        landing = _Landing(day, rows, on_progress)
        try:
            landed = transaction.overwrite("chats.raw_chats", {"chat_date": day}, landing.batches())
        except psycopg.IntegrityError:
            # Not chained: its message quotes the row.
            raise _not_a_key(chats) from None
        if landed != rows.source_rows:
            raise RetryableError(
                f"The source counted {rows.source_rows:,} chats on {day} but gave {landed:,};"
                " nothing was changed",
                "Run the day again when nobody writes to it",
            )
        extraction = Extraction(
            chat_date=day,
            source_rows=rows.source_rows,
            landed_rows=landed,
            blank_rows=landing.blank_rows,
            mended_rows=landing.mended_rows,
            undated_rows=undated,
            warnings=warnings,
        )
        ChatStore(db).replace_extraction(transaction, extraction, settings.is_made_up)
    return extraction


class _Landing:
    """The day's rows on their way, in the shape of `chats.raw_chats`, and what is counted."""

    def __init__(self, day: date, rows: SourceRows, on_progress: ProgressReport) -> None:
        self.blank_rows = 0
        self.mended_rows = 0
        self._day = pa.scalar(day, pa.date32())
        self._rows = rows
        self._on_progress = on_progress

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches, telling how far they are."""
        done = 0
        for batch in read_ahead(self._rows.batches(), _BATCHES_AHEAD):
            yield self._landed(batch)
            done += batch.num_rows
            self._on_progress(done, self._rows.source_rows)

    def _landed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        # A missing text says as much as an empty one, and is as little of a question.
        written = cast(pa.StringArray, batch.column("input_text"))
        texts = cast(pa.StringArray, written.fill_null(""))
        mended = pc.match_substring(texts, _NUL).true_count
        if mended:
            texts = pc.replace_substring(texts, _NUL, _REPLACEMENT)
        self.mended_rows += mended
        self.blank_rows += batch.num_rows - pc.match_substring_regex(texts, _VISIBLE).true_count
        columns: list[pa.Array[Any]] = [
            pa.repeat(self._day, batch.num_rows),
            batch.column("chatting_pk"),
            texts,
            batch.column("created_at"),
        ]
        return pa.record_batch(columns, names=list(_COLUMNS))


def read_ahead(batches: Iterator[pa.RecordBatch], count: int) -> Generator[pa.RecordBatch]:
    """Yield the batches in order while a thread already takes up to `count` further ones."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        waiting = deque(reader.submit(next, batches, None) for _ in range(count))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(reader.submit(next, batches, None))
            yield batch


def _require_empty(day: date, stored_rows: int) -> None:
    """Refuse to follow a source that deletes its old chats: ours may be the last copy."""
    if stored_rows:
        raise PermanentError(
            f"The source holds no chats of {day} any more, but {stored_rows:,} were read before;"
            " nothing was changed",
            "If the day is empty on purpose, materialize raw_chats with may_become_empty",
        )


def _not_a_key(chats: ChatsSettings) -> PermanentError:
    return PermanentError(
        f"Column {chats.column_chatting_pk} of {chats.table_chattings} is missing or the same in"
        " two chats of the day; nothing was changed",
        "Name the table's key in DB_COLUMN_CHATTING_PK",
    )

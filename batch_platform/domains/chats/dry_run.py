"""What classifying a day would take, counted from the source: nothing asked, nothing written."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from batch_platform.core.hashing import text_id
from batch_platform.core.settings import ChatsSettings, Settings
from batch_platform.domains.chats.logic import is_blank, text_for_model
from batch_platform.domains.chats.prompts import classification_task
from batch_platform.domains.chats.workflow import read_categories
from batch_platform.gateways.llm import BulkLlm, Estimate, Item
from batch_platform.gateways.source_db import SourceDatabase


@dataclass
class DryRun:
    """A day's chats in the source and what asking about them would cost."""

    chat_date: date
    chats: int
    estimate: Estimate


def estimate_day(
    day: date,
    *,
    source: SourceDatabase,
    llm: BulkLlm,
    settings: Settings,
    imported: Collection[str] = (),
) -> DryRun:
    """Count a day's chats, distinct questions, calls, tokens and won.

    Ids of `imported` questions are not asked about: an old system classified them.
    """
    choice = read_categories(source, settings.chats)
    task = classification_task(choice.offered, choice.default, settings.chats.questions_per_call)
    chats = 0

    def items() -> Iterator[Item]:
        nonlocal chats
        # Ids, not texts: a day of a million chats must fit.
        seen: set[str] = set()
        for text, _ in day_texts(day, source, settings.chats):
            chats += 1
            question_id = text_id(text)
            if not is_blank(text) and question_id not in seen and question_id not in imported:
                seen.add(question_id)
                yield Item(question_id, text_for_model(text))

    estimate = llm.estimate(task, items())
    return DryRun(day, chats, estimate)


def day_texts(
    day: date, source: SourceDatabase, chats: ChatsSettings
) -> Iterator[tuple[str, datetime]]:
    """Yield each chat of a day in the source as it would land, with its time."""
    columns = {"text": chats.column_input_text, "at": chats.column_created_at}
    with source.open_day(chats.table_chattings, columns, chats.column_created_at, day) as rows:
        for batch in rows.batches():
            texts = cast(list[str | None], batch.column("text").to_pylist())
            times = cast(list[datetime], batch.column("at").to_pylist())
            for text, at in zip(texts, times, strict=True):
                yield (text or "").replace("\x00", "\ufffd"), at

"""Finding days and questions without a classification, by comparing with the source."""

from collections.abc import Sequence
from datetime import date

from batch_platform.core.settings import Settings
from batch_platform.domains.chats.models import MissingDay
from batch_platform.domains.chats.store import ChatStore, DayCounts
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase


def missing_days(
    days: Sequence[date], *, source: SourceDatabase, db: PlatformDb, settings: Settings
) -> list[MissingDay]:
    """The days, in order, whose chats or classifications are not all here.

    A day on which the source holds nothing misses nothing, read or not.
    """
    found: list[MissingDay] = []
    chats = settings.chats
    for counts in ChatStore(db).day_counts(days[0], days[-1]):
        in_source = source.count_day(
            chats.table_chattings, chats.column_created_at, counts.chat_date
        )
        reason = _reason(counts, in_source)
        if reason:
            found.append(
                MissingDay(
                    counts.chat_date,
                    in_source,
                    counts.landed_rows,
                    counts.missing_count if counts.is_extracted else None,
                    reason,
                )
            )
    return found


def _reason(counts: DayCounts, in_source: int) -> str:
    if not counts.is_extracted:
        return "아직 가져오지 않음" if in_source else ""
    if counts.landed_rows != in_source:
        return "가져온 뒤 원본이 바뀜"
    if counts.missing_count:
        return "분류되지 않은 질문이 있음"
    return ""

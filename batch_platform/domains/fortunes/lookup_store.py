"""SQL behind the app's question for one user's fortune: asynchronous, many users at once.

Apart from `store`, because the API answers it hundreds of times a second and imports little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose fortune is asked for.

    Attributes:
        for_date: None for the day that it is now where the user lives.
    """

    user_id: str
    for_date: date | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A row of `fortunes.daily_fortunes` as it is answered.

    Attributes:
        content: The answer's JSON; None when the fortune failed.
        generated_at: When the content was first there.
    """

    for_date: date
    time_zone: str
    content: bytes | None
    reason: str | None
    next_retry_at: datetime | None
    generated_at: datetime


_LOOK_UP = """
    SELECT wanted.number, fortune.for_date, fortune.time_zone,
           CASE WHEN status = 'completed' THEN convert_to(json_build_object(
               'user_id', fortune.user_id,
               'for_date', fortune.for_date,
               'status', status,
               'time_zone', time_zone,
               'gapja_code', gapja_code,
               'gapja_name', gapja_name,
               'gapja_element', gapja_element,
               'fortune_data', fortune_data,
               'fortune_score', fortune_score,
               'is_made_up', is_made_up,
               'generated_at', generated_at
           )::text, 'UTF8') END,
           fortune.reason, fortune.next_retry_at, fortune.generated_at
    FROM unnest(%(user_ids)s::text[], %(for_dates)s::date[])
        WITH ORDINALITY AS wanted (user_id, for_date, number)
    CROSS JOIN LATERAL (
        SELECT * FROM fortunes.daily_fortunes AS each
        WHERE each.user_id = wanted.user_id AND each.for_date = wanted.for_date
        UNION ALL
        SELECT * FROM fortunes.daily_fortunes AS each
        WHERE wanted.for_date IS NULL AND each.user_id = wanted.user_id
          AND each.for_date = ANY(%(near)s)
          AND each.for_date = (%(now)s AT TIME ZONE each.time_zone)::date
    ) AS fortune
"""


async def find_fortunes(
    connection: psycopg.AsyncConnection[Any], wanted: Sequence[Wanted], now: datetime
) -> Mapping[Wanted, Found]:
    """Look many fortunes up in one statement.

    Args:
        connection: In autocommit mode.
        wanted: Whose, each once.
        now: The current time.

    Returns:
        Those that are there.
    """
    utc_day = now.astimezone(UTC).date()
    cursor = await connection.execute(
        _LOOK_UP,
        {
            "user_ids": [each.user_id for each in wanted],
            "for_dates": [each.for_date for each in wanted],
            # Wherever a user lives, it is one of these days.
            "near": [utc_day + timedelta(days=offset) for offset in (-1, 0, 1)],
            "now": now,
        },
        binary=True,
    )
    return {wanted[number - 1]: Found(*row) for number, *row in await cursor.fetchall()}

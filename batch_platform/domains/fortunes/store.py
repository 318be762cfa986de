"""SQL of the fortunes domain on the platform's database. Rules are in `logic` and `pillars`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from batch_platform.domains.fortunes.models import (
    Birth,
    EligibleUser,
    Failure,
    FortuneStatus,
    Luck,
    NatalChart,
    Pillar,
    Reading,
    StoredFortune,
)
from batch_platform.domains.fortunes.pillars import RULESET
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb

_TIMESTAMP = pa.timestamp("us", tz="UTC")

USER_SCHEMA = pa.schema(
    [
        ("for_date", pa.date32()),
        ("user_id", pa.string()),
        ("birth_date", pa.date32()),
        ("birth_time", pa.time64("us")),
        ("is_male", pa.bool_()),
        ("time_zone", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `fortunes.eligible_users`."""

FORTUNE_SCHEMA = pa.schema(
    [
        ("for_date", pa.date32()),
        ("user_id", pa.string()),
        ("status", pa.string()),
        ("gapja_code", pa.int16()),
        ("gapja_name", pa.string()),
        ("gapja_element", pa.string()),
        ("fortune_data", pa.string()),
        ("fortune_score", pa.string()),
        ("time_zone", pa.string()),
        ("reason", pa.string()),
        ("attempts", pa.int32()),
        ("next_retry_at", _TIMESTAMP),
        ("model", pa.string()),
        ("is_made_up", pa.bool_()),
        ("generated_at", _TIMESTAMP),
    ]
)
"""Rows of `fortunes.daily_fortunes`; JSON as text."""

CHARTED_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("birth_date", pa.date32()),
        ("birth_time", pa.time64("us")),
        ("is_male", pa.bool_()),
        ("time_zone", pa.string()),
        ("year", pa.int16()),
        ("month", pa.int16()),
        ("day", pa.int16()),
        ("hour", pa.int16()),
        ("is_term_day", pa.bool_()),
        ("luck_direction", pa.int16()),
        ("luck_start_years", pa.float64()),
        ("ruleset", pa.string()),
    ]
)
"""A user with the chart; see `charted_user`."""

_HAS_CHART = """
    chart.user_id = person.user_id AND chart.birth_date = person.birth_date
    AND chart.birth_time IS NOT DISTINCT FROM person.birth_time
    AND chart.is_male IS NOT DISTINCT FROM person.is_male AND chart.ruleset = %(ruleset)s
"""
_FORTUNE_COLUMNS = """
    for_date, user_id, status, gapja_code, gapja_name, gapja_element, fortune_data, fortune_score,
    time_zone, reason, attempts, next_retry_at, is_made_up, generated_at
"""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """What a day holds, for checks and commands.

    Attributes:
        charted: Eligible users with a chart of today's rules and of their birth as it is now.
        completed: Eligible users with a fortune.
        failed: Eligible users whose fortune failed.
        strays: Fortunes of users who are not eligible.
    """

    for_date: date
    eligible: int
    charted: int
    completed: int
    failed: int
    strays: int

    @property
    def missing(self) -> int:
        """Eligible users without a row of either kind."""
        return self.eligible - self.completed - self.failed


class FortuneStore:
    """Reads and writes the tables of the schema `fortunes`."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def replace_users(
        self,
        transaction: PartitionTransaction,
        reading: Reading,
        users: Iterator[pa.RecordBatch],
        *,
        default_zone: str,
        is_made_up: bool,
        read_at: datetime,
    ) -> None:
        """Put what was read from the app in place of what was read for that day before."""
        transaction.overwrite("fortunes.eligible_users", {"for_date": reading.for_date}, users)
        # The API has PostgreSQL tell which day it is in a zone: it must know every one.
        transaction.connection.execute(
            """
            UPDATE fortunes.eligible_users SET time_zone = %s
            WHERE for_date = %s AND time_zone <> 'Asia/Seoul'
              AND time_zone NOT IN (SELECT name FROM pg_timezone_names)
            """,
            [default_zone, reading.for_date],
        )
        transaction.connection.execute(
            "DELETE FROM fortunes.readings WHERE for_date = %s", [reading.for_date]
        )
        transaction.connection.execute(
            """
            INSERT INTO fortunes.readings (
                for_date, source_rows, eligible_rows, inactive_rows, undated_rows, unborn_rows,
                unreadable_rows, unknown_hour_rows, is_made_up, read_at
            ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                reading.for_date,
                reading.source_rows,
                reading.eligible_rows,
                reading.inactive_rows,
                reading.undated_rows,
                reading.unborn_rows,
                reading.unreadable_rows,
                reading.unknown_hour_rows,
                is_made_up,
                read_at,
            ],
        )

    def reading(self, day: date) -> Reading | None:
        """What the app's users were counted to be for a day; None when they were never read."""
        rows = self._db.fetch_all(
            """
            SELECT for_date, source_rows, eligible_rows, inactive_rows, undated_rows, unborn_rows,
                   unreadable_rows, unknown_hour_rows
            FROM fortunes.readings WHERE for_date = %s
            """,
            [day],
        )
        return Reading(*rows[0]) if rows else None

    def users_without_chart(self, day: date) -> Iterator[EligibleUser]:
        """Yield the day's users whose chart is missing, or was of another birth or other rules."""
        for row in self._db.stream(
            f"""
            SELECT user_id, birth_date, birth_time, is_male, time_zone
            FROM fortunes.eligible_users AS person
            WHERE for_date = %(day)s
              AND NOT EXISTS (SELECT FROM fortunes.natal_charts AS chart WHERE {_HAS_CHART})
            ORDER BY user_id
            """,
            {"day": day, "ruleset": RULESET},
        ):
            yield _user(row)

    def put_charts(
        self,
        charts: Iterable[tuple[EligibleUser, NatalChart]],
        *,
        is_made_up: bool,
        computed_at: datetime,
    ) -> int:
        """Write charts, each in place of the person's old one; one writer at a time."""
        with self._db.replacing("fortunes/natal_charts", "all") as transaction:
            cursor = transaction.connection.cursor()
            rows = [(*_chart_row(user, chart), is_made_up, computed_at) for user, chart in charts]
            cursor.executemany(
                """
                INSERT INTO fortunes.natal_charts (
                    user_id, birth_date, birth_time, is_male, year_pillar, month_pillar,
                    day_pillar, hour_pillar, is_term_day, luck_direction, luck_start_years,
                    ruleset, is_made_up, computed_at
                ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (user_id) DO UPDATE SET
                    birth_date = excluded.birth_date, birth_time = excluded.birth_time,
                    is_male = excluded.is_male, year_pillar = excluded.year_pillar,
                    month_pillar = excluded.month_pillar, day_pillar = excluded.day_pillar,
                    hour_pillar = excluded.hour_pillar, is_term_day = excluded.is_term_day,
                    luck_direction = excluded.luck_direction,
                    luck_start_years = excluded.luck_start_years, ruleset = excluded.ruleset,
                    is_made_up = excluded.is_made_up, computed_at = excluded.computed_at
                """,
                rows,
            )
            return len(rows)

    def charted(self, day: date, user_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield rows of `CHARTED_SCHEMA`: the day's users, or one, who have a chart, by id."""
        for row in self._db.stream(
            f"""
            SELECT person.user_id, person.birth_date, person.birth_time, person.is_male,
                   person.time_zone, chart.year_pillar, chart.month_pillar, chart.day_pillar,
                   chart.hour_pillar, chart.is_term_day, chart.luck_direction,
                   chart.luck_start_years, chart.ruleset
            FROM fortunes.eligible_users AS person
            JOIN fortunes.natal_charts AS chart ON {_HAS_CHART}
            WHERE for_date = %(day)s
              AND (%(user_id)s::text IS NULL OR person.user_id = %(user_id)s)
            ORDER BY person.user_id
            """,
            {"day": day, "ruleset": RULESET, "user_id": user_id},
        ):
            yield dict(zip(CHARTED_SCHEMA.names, row, strict=True))

    def failures(self, day: date) -> dict[str, Failure]:
        """The day's users whose fortune failed, by their id."""
        rows = self._db.fetch_all(
            "SELECT user_id, reason, attempts, next_retry_at FROM fortunes.daily_fortunes"
            " WHERE for_date = %s AND status = 'failed'",
            [day],
        )
        return {row[0]: Failure(*row[1:]) for row in rows}

    def replace_fortunes(
        self,
        transaction: PartitionTransaction,
        day: date,
        fortunes: Iterator[pa.RecordBatch],
        user_id: str | None = None,
        *,
        keeps_imported: bool = True,
    ) -> None:
        """Put a day's fortunes, or one user's, in place of those that are there.

        A fortune that says the same as before keeps the time at which it was made. Imported ones
        stay unless `keeps_imported` is false.
        """
        connection = transaction.connection
        connection.execute(
            """
            CREATE TEMP TABLE earlier ON COMMIT DROP AS
            SELECT user_id, status, fortune_data, fortune_score, reason, attempts, generated_at
            FROM fortunes.daily_fortunes
            WHERE for_date = %(day)s AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
            """,
            {"day": day, "user_id": user_id},
        )
        where: dict[str, Any] = {"for_date": day}
        if user_id is not None:
            where["user_id"] = user_id
        transaction.overwrite(
            "fortunes.daily_fortunes", where, fortunes, keeps_imported=keeps_imported
        )
        connection.execute(
            """
            UPDATE fortunes.daily_fortunes AS fortune SET generated_at = earlier.generated_at
            FROM earlier
            WHERE fortune.for_date = %s AND fortune.user_id = earlier.user_id
              AND fortune.import_id IS NULL
              AND fortune.status = earlier.status
              AND fortune.fortune_data IS NOT DISTINCT FROM earlier.fortune_data
              AND fortune.fortune_score = earlier.fortune_score
              AND fortune.reason IS NOT DISTINCT FROM earlier.reason
              AND fortune.attempts = earlier.attempts
            """,
            [day],
        )

    def imported_users(self, day: date) -> frozenset[str]:
        """Users whose fortune of the day an old system wrote."""
        rows = self._db.fetch_all(
            "SELECT user_id FROM fortunes.daily_fortunes"
            " WHERE for_date = %s AND import_id IS NOT NULL",
            [day],
        )
        return frozenset(row[0] for row in rows)

    def counts(self, day: date) -> DayCounts:
        """How far a day has come."""
        ((eligible, charted, completed, failed),) = self._db.fetch_all(
            f"""
            SELECT count(*), count(chart.user_id),
                   count(*) FILTER (WHERE fortune.status = 'completed'),
                   count(*) FILTER (WHERE fortune.status = 'failed')
            FROM fortunes.eligible_users AS person
            LEFT JOIN fortunes.natal_charts AS chart ON {_HAS_CHART}
            LEFT JOIN fortunes.daily_fortunes AS fortune
                ON fortune.for_date = person.for_date AND fortune.user_id = person.user_id
            WHERE person.for_date = %(day)s
            """,
            {"day": day, "ruleset": RULESET},
        )
        # Who was eligible for the old system may be so no more; that fortune was read long since.
        ((strays,),) = self._db.fetch_all(
            """
            SELECT count(*) FROM fortunes.daily_fortunes AS fortune
            WHERE for_date = %(day)s AND import_id IS NULL AND NOT EXISTS (
                SELECT FROM fortunes.eligible_users AS person
                WHERE person.for_date = %(day)s AND person.user_id = fortune.user_id)
            """,
            {"day": day},
        )
        return DayCounts(day, eligible, charted, completed, failed, strays)

    def fortunes(
        self, day: date, user_id: str | None = None, *, imported: bool | None = None
    ) -> Iterator[StoredFortune]:
        """Yield a day's fortunes, failed ones among them, or one user's.

        `imported` takes those alone that an old system wrote, or those alone that it did not.
        """
        for row in self._db.stream(
            f"""
            SELECT {_FORTUNE_COLUMNS} FROM fortunes.daily_fortunes
            WHERE for_date = %(day)s AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
              AND (%(imported)s::boolean IS NULL OR (import_id IS NOT NULL) = %(imported)s)
            ORDER BY user_id
            """,
            {"day": day, "user_id": user_id, "imported": imported},
        ):
            yield _fortune(row)

    def preview(self, day: date, limit: int = 10) -> list[tuple[str, str, str, str]]:
        """Of the day's first fortunes: user, status, overall score, headline or reason."""
        return self._db.fetch_all(
            """
            SELECT user_id, status, coalesce(fortune_data -> 'overall' ->> 'score', '-'),
                   coalesce(fortune_data ->> 'today_fortune_summary', reason)
            FROM fortunes.daily_fortunes WHERE for_date = %s ORDER BY user_id LIMIT %s
            """,
            [day, limit],
        )

    def days_with_retries_due(self, days: Sequence[date], now: datetime) -> list[date]:
        """Those of the days that have a failed user whom a run may ask about again by now."""
        rows = self._db.fetch_all(
            """
            SELECT DISTINCT for_date FROM fortunes.daily_fortunes
            WHERE status = 'failed' AND next_retry_at <= %s AND for_date = ANY(%s) ORDER BY 1
            """,
            [now, list(days)],
        )
        return [row[0] for row in rows]


def _user(row: tuple[Any, ...]) -> EligibleUser:
    user_id, birth_date, birth_time, is_male, time_zone = row
    return EligibleUser(user_id, Birth(birth_date, birth_time, is_male), time_zone)


def _chart_row(user: EligibleUser, chart: NatalChart) -> tuple[Any, ...]:
    return (
        user.user_id,
        user.birth.day,
        user.birth.clock,
        user.birth.is_male,
        chart.year.index,
        chart.month.index,
        chart.day.index,
        chart.hour.index if chart.hour else None,
        chart.is_term_day,
        chart.luck.direction if chart.luck else None,
        chart.luck.start_years if chart.luck else None,
        chart.ruleset,
    )


def charted_user(row: Mapping[str, Any]) -> tuple[EligibleUser, NatalChart]:
    """The user and the chart of a row of `CHARTED_SCHEMA`."""
    hour, direction = row["hour"], row["luck_direction"]
    chart = NatalChart(
        Pillar(row["year"]),
        Pillar(row["month"]),
        Pillar(row["day"]),
        None if hour is None else Pillar(hour),
        row["is_term_day"],
        None if direction is None else Luck(direction, row["luck_start_years"]),
        row["ruleset"],
    )
    birth = Birth(row["birth_date"], row["birth_time"], row["is_male"])
    return EligibleUser(row["user_id"], birth, row["time_zone"]), chart


def _fortune(row: tuple[Any, ...]) -> StoredFortune:
    for_date, user_id, status, *rest = row
    return StoredFortune(for_date, user_id, FortuneStatus(status), *rest)

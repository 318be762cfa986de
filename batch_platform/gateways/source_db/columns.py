"""A source's column: what kind of value it holds, and what a calendar day means for it.

SQL expressions only; nothing here is executed.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum, auto
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from batch_platform.core.days import day_window

Condition = sa.ColumnElement[bool]
Expression = sa.ColumnElement[Any]


class Kind(Enum):
    """How a column's values are to be taken."""

    LOCAL = auto()
    """A date or a time without a zone: local time in the settings' zone."""
    INSTANT = auto()
    """A time with a zone (PostgreSQL's timestamptz)."""
    TEXT = auto()
    """Text; as a time `YYYY-MM-DD HH:MM:SS[.ffffff]` or the same with `T`, local time."""
    BINARY = auto()
    """Bytes, e.g. a UUID as BINARY(16)."""
    OTHER = auto()


@dataclass(frozen=True)
class Column:
    """A column as the source's catalogue describes it.

    Attributes:
        type_name: The source's own name of its type.
        charset: Character set of its texts, where columns have one (MariaDB).
        fraction_digits: Digits of a second that it keeps, 0 to 6.
    """

    name: str
    type_name: str
    kind: Kind
    backend: str
    charset: str | None = None
    fraction_digits: int = 6

    @property
    def expression(self) -> Expression:
        """The bare column."""
        return sa.column(self.name)

    @property
    def as_text(self) -> Expression:
        """The column as text: the same shape from every database, and no value that cannot come.

        Bytes come as hexadecimal digits, an instant as its UTC time, a zero date as it is written.
        """
        if self.kind is Kind.BINARY:
            is_postgresql = self.backend == "postgresql"
            return (
                sa.func.encode(self.expression, "hex")
                if is_postgresql
                else sa.func.lower(sa.func.hex(self.expression))
            )
        if self.kind is Kind.INSTANT:
            return sa.cast(sa.func.timezone("UTC", self.expression), sa.Text)
        return sa.cast(self.expression, sa.Text)

    def in_day(self, day: date, zone: ZoneInfo) -> Condition:
        """Rows of [day 00:00, next day 00:00), in a form for which an index can be used."""
        column, next_day = self.expression, day + timedelta(days=1)
        if self.kind is Kind.TEXT:
            # `2026-11-19` sorts before both shapes of any time of that day.
            return sa.and_(column >= day.isoformat(), column < next_day.isoformat())
        if self.kind is Kind.INSTANT:
            start, end = day_window(day, zone)
            return sa.and_(column >= start, column < end)
        window = sa.and_(
            column >= datetime.combine(day, time.min), column < datetime.combine(next_day, time.min)
        )
        if self.backend == "mysql":
            # 2026-11-00 sorts into the window of 31 October and is no day at all.
            return sa.and_(window, sa.func.date(column) == day)
        return window

    def undated(self) -> Condition:
        """Rows that belong to no day: no time, a zero date, an infinite time, no time's shape."""
        column = self.expression
        if self.kind is Kind.TEXT:
            return sa.or_(
                column.is_(None),
                column.not_like("____-__-__%"),
                column < "0001-01-01",
                column >= "9999-12-32",
            )
        if self.backend == "mysql":
            parts = (sa.func.year(column), sa.func.month(column), sa.func.dayofmonth(column))
            return sa.or_(column.is_(None), *(part == 0 for part in parts))
        return sa.or_(column.is_(None), sa.not_(sa.func.isfinite(column)))

    def stored(self, value: object, zone: ZoneInfo) -> object:
        """The form in which a value is written to the column; only times change.

        A fraction of a second that the column does not keep is cut off, because MySQL would round
        it and move 23:59:59.9 into the next day.
        """
        if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat() if self.kind is Kind.TEXT else value
        if not isinstance(value, datetime):
            return value
        local = value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
        unit = 10 ** (6 - self.fraction_digits)
        local = local.replace(microsecond=local.microsecond // unit * unit)
        if self.kind is Kind.TEXT:
            return local.isoformat(sep=" ")
        return local.replace(tzinfo=zone) if self.kind is Kind.INSTANT else local

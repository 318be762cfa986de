"""Texts of times, as a source wrote them, to instants. Pure and vectorised.

Zones come of Python's database alone: Arrow's is missing on machines without tzdata.
"""

from datetime import date, datetime, time, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

UTC_TIMESTAMP = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")
_SECONDS_OF_DAY = 24 * 60 * 60


def utc_times(texts: pa.StringArray) -> pa.TimestampArray:
    """Read texts that are UTC times already.

    Raises:
        pa.ArrowInvalid: A text is no time.
    """
    return cast(pa.TimestampArray, texts.cast(_NAIVE).cast(UTC_TIMESTAMP))


class LocalDay:
    """Turns a day's local times into instants.

    A time that the clock shows twice means the first; one that it skips is taken by the offset
    before (both as in PEP 495 with fold 0).
    """

    def __init__(self, day: date, zone: ZoneInfo) -> None:
        self._midnight = datetime.combine(day, time.min)
        self._zone = zone
        self._offset = self._offset_at(0)
        self._later_offset = self._offset_at(_SECONDS_OF_DAY - 1)
        self._change = self._first_second_of(self._later_offset)

    def to_utc(self, texts: pa.StringArray) -> pa.TimestampArray:
        """Read texts `YYYY-MM-DD HH:MM:SS[.ffffff]`, or with `T`, as instants in microseconds.

        Raises:
            pa.ArrowInvalid: A text is no time.
        """
        local = texts.cast(_NAIVE)
        utc = pc.subtract(local, pa.scalar(self._offset, pa.duration("us")))
        if self._change is not None:
            later = pc.subtract(local, pa.scalar(self._later_offset, pa.duration("us")))
            change = pa.scalar(self._change, _NAIVE)
            is_before = pc.less(local, change)  # pyright: ignore[reportUnknownMemberType]
            utc = pc.if_else(is_before, utc, later)
        return cast(pa.TimestampArray, utc.cast(UTC_TIMESTAMP))

    def _offset_at(self, second: int) -> timedelta:
        moment = (self._midnight + timedelta(seconds=second)).replace(tzinfo=self._zone)
        return moment.utcoffset() or timedelta()

    def _first_second_of(self, offset: timedelta) -> datetime | None:
        """When the day's clock changes, found by halving; None on an ordinary day."""
        if offset == self._offset:
            return None
        before, after = 0, _SECONDS_OF_DAY - 1
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset_at(middle) == offset:
                after = middle
            else:
                before = middle
        return self._midnight + timedelta(seconds=after)

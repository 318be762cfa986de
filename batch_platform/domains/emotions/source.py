"""Posts as the source has them: a CSV or Excel file, or a table of a database, read as a stream.

What a column is called is in the settings; what becomes of a post is not decided here.
"""

import csv
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import EmotionsSettings
from batch_platform.domains.emotions.models import Post
from batch_platform.gateways.source_db import SourceDatabase

_TABLE = "posts"
_SETTING = "EMOTIONS_SOURCE"
_EXCEL = (".xlsx", ".xlsm")
_LONGEST_CELL = 10_000_000
_DATE_FORMS = ("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that is no post: its number (from 1) and why. Its text is not repeated."""

    row: int
    reason: str


class PostSource:
    """Where posts come from.

    Args:
        names: The settings: address and names of columns.
        zone: The zone of times without one, and of days.
    """

    def __init__(self, names: EmotionsSettings, zone: ZoneInfo) -> None:
        self._names = names
        self._zone = zone

    @property
    def is_dated(self) -> bool:
        """Whether a post says which day it is from."""
        return self._names.column_date is not None

    def posts(self, undated_day: date) -> Iterator[Post | Unreadable]:
        """Every row of the source, in its order.

        Args:
            undated_day: The day of all posts when the source has no dates.

        Raises:
            ConfigurationError: There is no source, it cannot be read, or it lacks a column.
            RetryableError: The database does not answer.
        """
        with self._rows() as rows:
            for number, row in enumerate(rows, 1):
                yield self._post(number, row, undated_day)

    def day_range(self, undated_day: date) -> tuple[date, date] | None:
        """The first and last day that it has posts of; None when it has none.

        Raises:
            ConfigurationError: As `posts`.
        """
        if not self.is_dated:
            return undated_day, undated_day
        first = last = None
        for found in self.posts(undated_day):
            if isinstance(found, Post):
                first = min(first or found.post_date, found.post_date)
                last = max(last or found.post_date, found.post_date)
        return (first, last) if first and last else None

    def check_readable(self) -> str:
        """Open the source and look its columns up; tell what it is.

        Raises:
            ConfigurationError: As `posts`.
        """
        with self._rows() as rows:
            next(rows, None)
        address = self._address()
        return Path(address).name if _is_file(address) else self._database(address).address

    def _address(self) -> str:
        if self._names.source is None:
            raise ConfigurationError(
                f"{_SETTING} is not set, so there are no posts to analyse",
                "Set it to a CSV or Excel file, or a SQLAlchemy URL, or try `make demo`",
            )
        return self._names.source.get_secret_value()

    @contextmanager
    def _rows(self) -> Generator[Iterator[Row]]:
        address = self._address()
        if not _is_file(address):
            with self._database_rows(address) as rows:
                yield rows
            return
        path = Path(address).expanduser()
        if not path.is_file():
            raise ConfigurationError(f"There is no file {path}", f"Correct {_SETTING}")
        opener = _excel_rows if path.suffix.lower() in _EXCEL else _csv_rows
        with opener(path, self._names.table) as (header, rows):
            self._require(header, str(path.name))
            yield rows

    def _database(self, address: str) -> SourceDatabase:
        return SourceDatabase(address, self._zone, url_variable=_SETTING)

    @contextmanager
    def _database_rows(self, address: str) -> Generator[Iterator[Row]]:
        source, table = self._database(address), self._names.table or _TABLE
        there = source.existing_columns(table)
        self._require(there, table)
        columns = {name: name for name in self._columns() if name in there}
        with source.open_table(table, columns) as opened:
            yield (row for batch in opened.batches() for row in batch.to_pylist())

    def _columns(self) -> list[str]:
        names = self._names
        return [
            name
            for name in (
                names.column_post_id,
                names.column_comment_id,
                names.column_kind,
                names.column_title,
                names.column_content,
                names.column_depth,
                names.column_views,
                names.column_likes,
                names.column_date,
            )
            if name
        ]

    def _require(self, there: frozenset[str], what: str) -> None:
        names = self._names
        needed = {
            "EMOTIONS_COLUMN_POST_ID": names.column_post_id,
            "EMOTIONS_COLUMN_CONTENT": names.column_content,
            "EMOTIONS_COLUMN_DATE": names.column_date,
        }
        for variable, name in needed.items():
            if name and name not in there:
                raise ConfigurationError(
                    f"{what} has no column {name}; it has {', '.join(sorted(there)[:12])}",
                    f"Set {variable}",
                )

    def _post(self, number: int, row: Row, undated_day: date) -> Post | Unreadable:
        names = self._names
        post_id = _identifier(row.get(names.column_post_id))
        if post_id is None:
            return Unreadable(number, "it has no key")
        day: date | None = undated_day
        if names.column_date:
            day = self._day(row.get(names.column_date))
        if day is None:
            return Unreadable(number, "its date cannot be read")
        comment_id = _identifier(row.get(names.column_comment_id or ""))
        return Post(
            day,
            post_id,
            comment_id,
            _text(row.get(names.column_kind)) or ("comment" if comment_id else "post"),
            _text(row.get(names.column_title)),
            _text(row.get(names.column_content)),
            _whole(row.get(names.column_depth)),
            _whole(row.get(names.column_views)),
            _whole(row.get(names.column_likes)),
        )

    def _day(self, value: object) -> date | None:
        if isinstance(value, datetime):
            return (value.astimezone(self._zone) if value.tzinfo else value).date()
        if isinstance(value, date):
            return value
        text = str(value or "").strip()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return next(filter(None, (_date(text, form) for form in _DATE_FORMS)), None)
        return (moment.astimezone(self._zone) if moment.tzinfo else moment).date()


def _is_file(address: str) -> bool:
    return "://" not in address


@contextmanager
def _csv_rows(path: Path, _table: str | None) -> Generator[tuple[frozenset[str], Iterator[Row]]]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding=_encoding(path), newline="") as file:
        reader = csv.DictReader(file)
        try:
            header = frozenset(reader.fieldnames or ())
            yield header, iter(reader)
        except csv.Error as error:
            raise ConfigurationError(
                f"{path.name} is no CSV near line {reader.line_num}: {error}", f"Mend {path.name}"
            ) from error


def _encoding(path: Path) -> str:
    """UTF-8, or the one that Korean Excel writes; decided by the whole file, not its beginning."""
    with path.open("rb") as file:
        try:
            for line in file:
                line.decode("utf-8")
        except UnicodeDecodeError:
            return "cp949"
    return "utf-8-sig"


@contextmanager
def _excel_rows(path: Path, sheet: str | None) -> Generator[tuple[frozenset[str], Iterator[Row]]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, KeyError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path.name} is no Excel file ({type(error).__name__})", f"Correct {_SETTING}"
        ) from error
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise ConfigurationError(
                f"{path.name} has no sheet {sheet}; it has {', '.join(book.sheetnames)}",
                "Set EMOTIONS_TABLE",
            )
        rows = book[sheet or book.sheetnames[0]].iter_rows(values_only=True)
        header = [str(name or "").strip() for name in next(rows, ())]
        yield (
            frozenset(header),
            (dict(zip(header, row, strict=False)) for row in rows if any(row)),
        )
    finally:
        book.close()


def _identifier(value: object) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _text(value).strip() or None


def _text(value: object) -> str:
    """A cell as a text that PostgreSQL can hold."""
    if value is None:
        return ""
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode()


def _whole(value: object) -> int | None:
    text = str(value if value is not None else "").replace(",", "").strip()
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if abs(number) < 2**31 else None


def _date(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text[:10].strip(), form).date()  # noqa: DTZ007 - a local day
    except ValueError:
        return None

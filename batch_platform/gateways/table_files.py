"""Tables that another system exported: CSV, JSON and Excel files, read row by row with their place.

What a row means belongs to the domain that imports it. A value is text, or what JSON or Excel say
it is; the functions at the end read one as what a domain needs.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal, cast
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow as pa
from openpyxl.utils.exceptions import InvalidFileException
from pyarrow import csv as arrow_csv

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.gateways.source_db import SourceDatabase

ENCODINGS = ("utf-8-sig", "cp949")
"""Tried in this order: what is no UTF-8 (with or without a mark) was written by Excel in Korea."""

_MOST_IN_A_FIELD = 64 * 1024 * 1024
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row of an exported table.

    Attributes:
        place: The file and where in it, for a person: `a.csv:12`.
        values: Column → value; columns as the file names them, without white space around.
        problem: Why it cannot be read, a Korean sentence; empty when it can.
    """

    place: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    problem: str = ""


def read_rows(path: Path, *, sheet: str | None = None) -> Iterator[FoundRow]:
    """Yield the rows of a file, by the kind that its name says.

    JSON is a list of objects, one object a line, or what Django's `dumpdata` writes (its `pk` is
    then the column `id`).

    Args:
        path: `.csv`, `.tsv`, `.json`, `.jsonl`, `.ndjson` or `.xlsx`.
        sheet: Of a workbook; its first one by default.

    Raises:
        NoDataError: There is no such file, or it has no table in it.
        PermanentError: Its kind or its encoding is not known, or it is broken.
    """
    if not path.is_file():
        raise NoDataError(f"There is no file {path}", "Check the path")
    match path.suffix.lower():
        case ".csv" | ".tsv" | ".txt":
            yield from _csv_rows(path)
        case ".json" | ".jsonl" | ".ndjson":
            yield from _json_rows(path)
        case ".xlsx":
            yield from _workbook_rows(path, sheet)
        case _:
            raise PermanentError(
                f"{path.name} is no CSV, JSON or Excel (.xlsx) file", "Export it as one of these"
            )


def table_rows(
    source: SourceDatabase, table: str, columns: Mapping[str, str]
) -> Iterator[FoundRow]:
    """Yield the rows of a table of the old system's own database, every value as text.

    Args:
        source: The database.
        table: Its name.
        columns: Name in the result → column.

    Raises:
        ConfigurationError: The table or a column does not exist.
        RetryableError: The database does not answer.
    """
    number = 0
    with source.open_table(table, columns) as rows:
        for batch in rows.batches():
            for values in batch.to_pylist():
                number += 1
                yield FoundRow(f"{table}:{number}", values)


def encoding_of(path: Path) -> str:
    """The first of `ENCODINGS` that the whole file is written in.

    Raises:
        PermanentError: It is in none of them.
    """
    for encoding in ENCODINGS:
        try:
            with path.open(encoding=encoding, newline="") as file:
                while file.read(_BLOCK):
                    pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise PermanentError(f"{path.name} is neither UTF-8 nor CP949", "Export it once more, in UTF-8")


def _csv_rows(path: Path) -> Iterator[FoundRow]:
    csv.field_size_limit(_MOST_IN_A_FIELD)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding=encoding_of(path), newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, list[str]())]
            _require_header(path, header)
            line = reader.line_num + 1
            for cells in reader:
                yield from _csv_row(f"{path.name}:{line}", header, cells)
                line = reader.line_num + 1
        except csv.Error as error:
            raise PermanentError(
                f"{path.name} is broken at line {reader.line_num}: {error}", "Export it once more"
            ) from None


def _csv_row(place: str, header: Sequence[str], cells: Sequence[str]) -> Iterator[FoundRow]:
    if not cells:
        return
    if len(cells) != len(header):
        problem = f"칸이 {len(header)}개여야 하는데 {len(cells)}개입니다"
        yield FoundRow(place, problem=problem)
    else:
        yield FoundRow(place, dict(zip(header, cells, strict=True)))


def _require_header(path: Path, header: Sequence[str]) -> None:
    if not any(header):
        raise NoDataError(f"{path.name} is empty", "Export the table with its column names")
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        raise PermanentError(
            f"{path.name} names the column {sorted(repeated)[0]!r} twice", "Export it once more"
        )


def _json_rows(path: Path) -> Iterator[FoundRow]:
    text = path.read_text(encoding=encoding_of(path)).strip()
    if not text:
        raise NoDataError(f"{path.name} is empty", "Export it once more")
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        yield from _json_lines(path, text)
        return
    items = cast("list[Any]", whole) if isinstance(whole, list) else [whole]
    for number, item in enumerate(items, 1):
        yield _json_row(f"{path.name}:{number}", item)


def _json_lines(path: Path, text: str) -> Iterator[FoundRow]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = f"{path.name}:{number}"
        try:
            item = json.loads(line)
        except json.JSONDecodeError:
            yield FoundRow(place, problem="JSON이 아닙니다")
            continue
        yield _json_row(place, item)


def _json_row(place: str, item: object) -> FoundRow:
    if not isinstance(item, dict):
        return FoundRow(place, problem="JSON 객체가 아닙니다")
    values = cast("dict[str, Any]", item)
    fields = values.get("fields")
    if isinstance(fields, dict) and "model" in values:
        values = {"id": values.get("pk"), **cast("dict[str, Any]", fields)}
    return FoundRow(place, values)


def _workbook_rows(path: Path, sheet: str | None) -> Iterator[FoundRow]:
    try:
        workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, KeyError, OSError):
        raise PermanentError(f"{path.name} is no Excel file", "Save it as .xlsx again") from None
    try:
        if sheet is not None and sheet not in workbook.sheetnames:
            raise PermanentError(
                f"{path.name} has no sheet {sheet}", f"It has {', '.join(workbook.sheetnames)}"
            )
        rows = workbook[sheet or workbook.sheetnames[0]].iter_rows(values_only=True)
        header: list[str] | None = None
        for number, cells in enumerate(rows, 1):
            shown = [cell for cell in cells if cell is not None]
            # A title or a made-up mark may stand above the table: it has one cell.
            if header is None:
                if len(shown) > 1:
                    header = [str(cell or "").strip() for cell in cells]
                continue
            if shown:
                named = {name: cell for name, cell in zip(header, cells, strict=False) if name}
                yield FoundRow(f"{path.name}:{number}", named)
        if header is None:
            raise NoDataError(f"{path.name} has no table", "Export it once more")
    finally:
        workbook.close()


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Some rows of a large CSV file as columns of text.

    Attributes:
        rows: The columns that were asked for; an empty text where the file has none.
        lines: Line of each row.
        broken: Lines that are no rows, each with why, a Korean sentence.
    """

    rows: pa.RecordBatch
    lines: Sequence[int]
    broken: Sequence[tuple[int, str]]


def header_of(path: Path) -> list[str]:
    """The column names of a CSV file.

    Raises:
        NoDataError: There is no such file, or nothing is in it.
        PermanentError: Its encoding is not known, or it names a column twice.
    """
    if not path.is_file():
        raise NoDataError(f"There is no file {path}", "Check the path")
    with path.open(encoding=encoding_of(path), newline="") as file:
        header = [name.strip() for name in next(csv.reader(file), list[str]())]
    _require_header(path, header)
    return header


def column_texts(path: Path, columns: Sequence[str]) -> Iterator[TextBatch]:
    """Yield a CSV file of millions of rows, none of whose cells holds a line end, in columns.

    Args:
        path: The file.
        columns: Which; all of them are in the file (see `header_of`).

    Raises:
        PermanentError: It is broken.
    """
    header = header_of(path)
    broken: list[tuple[int, str]] = []

    def note(row: arrow_csv.InvalidRow) -> Literal["skip"]:
        if row.text.strip():
            problem = f"칸이 {row.expected_columns}개여야 하는데 {row.actual_columns}개입니다"
            broken.append((row.number or 0, problem))
        return "skip"

    encoding = "utf8" if encoding_of(path) == "utf-8-sig" else "cp949"
    texts = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        include_columns=list(columns),
        strings_can_be_null=False,
    )
    try:
        with arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                encoding=encoding, use_threads=False, column_names=header, skip_rows=1
            ),
            parse_options=arrow_csv.ParseOptions(
                invalid_row_handler=note, ignore_empty_lines=False
            ),
            convert_options=texts,
        ) as reader:
            line, told = 2, 0
            for rows in reader:
                # What is broken stands between the rows: their lines go on behind it.
                gone = {number for number, _ in broken}
                lines: list[int] = []
                while len(lines) < rows.num_rows:
                    if line not in gone:
                        lines.append(line)
                    line += 1
                yield TextBatch(rows, lines, broken[told:])
                told = len(broken)
    except pa.ArrowInvalid as error:
        reason = str(error).partition("\n")[0]
        raise PermanentError(f"{path.name} is broken: {reason}", "Export it once more") from None


def as_text(value: object) -> str:
    """A value as text, without what PostgreSQL cannot store; empty when there is none."""
    return "" if value is None else str(value).replace("\x00", "\ufffd")


def as_whole(value: object) -> int:
    """A whole number: `1234`, `1,234` or `1234.0`.

    Raises:
        ValueError: It is none; says so in a Korean sentence.
    """
    number = as_number(value)
    if number != int(number):
        raise ValueError(f"정수가 아닙니다: {value}")
    return int(number) if abs(number) < 2**53 else int(_plain(value))


def as_number(value: object) -> float:
    """A finite number, with or without commas.

    Raises:
        ValueError: It is none; says so in a Korean sentence.
    """
    try:
        number = float(_plain(value))
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"숫자가 아닙니다: {as_text(value)[:40] or '(빈 값)'}")
    return number


def as_date(value: object) -> date:
    """A day: `2026-11-20`, `20261120`, `2026/11/20`, or the day of a time.

    Raises:
        ValueError: It is none; says so in a Korean sentence.
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    said = as_text(value).strip()
    try:
        return date.fromisoformat(said[:10].replace("/", "-") if len(said) != 8 else said)
    except ValueError:
        raise ValueError(f"날짜가 아닙니다: {said[:40] or '(빈 값)'}") from None


def as_time(value: object, zone: ZoneInfo) -> datetime:
    """A moment in UTC; one without a zone is local, a day alone its first second.

    Raises:
        ValueError: It is none; says so in a Korean sentence.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time.min)
    else:
        said = as_text(value).strip().replace("/", "-")
        try:
            moment = datetime.fromisoformat(said)
        except ValueError:
            raise ValueError(f"시각이 아닙니다: {said[:40] or '(빈 값)'}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def as_json(value: object) -> Any:
    """An object or list: as JSON holds it, or as a text of JSON.

    Raises:
        ValueError: It is no JSON; says so in a Korean sentence.
    """
    if isinstance(value, dict | list):
        return cast(Any, value)
    try:
        return json.loads(as_text(value))
    except json.JSONDecodeError:
        raise ValueError("JSON이 아닙니다") from None


def _plain(value: object) -> str:
    return as_text(value).strip().replace(",", "")

"""Excel workbooks that are safe to open, good to print and cheap to write. No domain's words here.

A workbook is made in two steps. openpyxl makes all that is small: styles, charts, print set-up,
tables of some hundred rows. The rows of large tables are then streamed straight into the file as
SpreadsheetML (ECMA-376 part 1, 18.3.1): in constant memory, and several times as fast as openpyxl's
`write_only` mode, which makes an object of every cell.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import IO, Literal
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from batch_platform.core.errors import RetryableError

ROW_LIMIT = 1_048_576
"""Rows of a sheet (Excel specifications and limits)."""

CELL_LIMIT = 32_767
"""Characters of a cell, counted as Excel does: in UTF-16 code units."""

CUT_MARK = "…(잘림)"
"""Ends a text that was too long for a cell."""

FONT = "맑은 고딕"
INK = "1F2937"
MUTED = "6B7280"
ACCENT = "1F3A5F"
PALE = "EEF2F7"
RULE = "D5DBE3"
WARNING = "B42318"
WARNING_PALE = "FDECEA"

Value = str | int | float | date | datetime | None
ColumnKind = Literal["text", "paragraph", "integer", "decimal", "percent", "date", "datetime"]

_FORMATS: dict[str, str] = {
    "integer": "#,##0",
    "decimal": "#,##0.0",
    "percent": "0.0%",
    "date": "yyyy-mm-dd",
    "datetime": "yyyy-mm-dd hh:mm:ss",
}
# Half a code point of UTF-16, and what XML 1.0 (2.2) does not allow.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# ECMA-376 part 1, 22.9.2.19: `_x0041_` in a cell is read as `A` unless its first mark is escaped.
_ESCAPE_LOOKALIKE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_FORMULA_STARTS = frozenset("=+-@\t")
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  a sheet's times have no zone
_DAY = timedelta(days=1)
_LINE_POINTS = 15.0
_MOST_LINES = 8
_ROWS_AT_A_TIME = 512
_HEADER_PART_LIMIT = 70  # Excel calls a file damaged whose header has more than 255 characters


def clean_text(text: str) -> tuple[str, bool]:
    """Make a text fit for a cell.

    Returns:
        The text without what Excel or XML refuses, and whether it had to be cut.
    """
    if not text.isprintable():
        text = _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) * 2 <= CELL_LIMIT or len(text.encode("utf-16-le")) <= CELL_LIMIT * 2:
        return text, False
    room = (CELL_LIMIT - len(CUT_MARK)) * 2
    # `ignore` drops the half of a surrogate pair that the cut may leave at the end.
    return text.encode("utf-16-le")[:room].decode("utf-16-le", "ignore") + CUT_MARK, True


def text_width(text: str) -> int:
    """Columns that a text takes in a fixed-width font: two for each wide (Korean) character."""
    return sum(2 if ord(character) >= 0x1100 else 1 for character in text)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        width: In characters of the default font; a Korean character takes two.
        kind: What its values are: `paragraph` is a text that wraps.
    """

    title: str
    width: float
    kind: ColumnKind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A small table that stands in a sheet, for charts to refer to."""

    sheet: Worksheet
    header_row: int
    last_row: int


@dataclass(frozen=True, slots=True)
class _Stream:
    """A large table's part in one sheet, to be written when the file is."""

    sheet: Worksheet
    columns: Sequence[Column]
    style_ids: Sequence[tuple[int, int]]
    rows: Iterator[Sequence[Value]]
    count: int


class ReportWorkbook:
    """A workbook that looks the same whoever writes it.

    Args:
        title: In the header of every printed page and in the file's properties.
        subtitle: The period, in the header of every printed page.
        organisation: Whose report it is; may be empty.
        zone: In which times are shown.
        generated_at: When the report was made; nothing in the file comes from another clock.
        banner: A warning above every table and on every printed page; none when empty.
    """

    def __init__(
        self,
        *,
        title: str,
        subtitle: str,
        organisation: str,
        zone: ZoneInfo,
        generated_at: datetime,
        banner: str = "",
    ) -> None:
        self.zone = zone
        self.cut_cells = 0
        self._title = title
        self._subtitle = subtitle
        self._organisation = organisation
        self._banner = banner
        self._generated_at = generated_at
        self._streams: dict[str, _Stream] = {}
        self._book = Workbook()
        self._book.remove(self._book.worksheets[0])
        properties = self._book.properties
        properties.title = clean_text(f"{title} {subtitle}")[0]
        properties.creator = clean_text(organisation)[0] or "batch-platform"

    @property
    def sheet_titles(self) -> tuple[str, ...]:
        """Titles of the sheets, in order."""
        return tuple(self._book.sheetnames)

    @property
    def has_banner(self) -> bool:
        """Whether every sheet carries a warning."""
        return bool(self._banner)

    def open_on(self, sheet: Worksheet) -> None:
        """Choose the sheet that is shown when the file is opened."""
        for other in self._book.worksheets:
            other.sheet_view.tabSelected = other is sheet
        self._book.active = self._book.sheetnames.index(sheet.title)

    def add_page(self, title: str, widths: Sequence[float], *, pages_high: int = 0) -> Worksheet:
        """Add an empty sheet, set up for the screen and the printer.

        Args:
            title: The sheet's name.
            widths: Width of each column.
            pages_high: Printed pages that the sheet must fit on; 0 for as many as it takes.
        """
        sheet = self._book.create_sheet(title)
        for index, width in enumerate(widths, 1):
            sheet.column_dimensions[get_column_letter(index)].width = width
        sheet.sheet_view.showGridLines = False
        self._set_up_print(sheet, pages_high)
        if self._banner:
            sheet.sheet_properties.tabColor = WARNING
        return sheet

    def add_table(
        self, title: str, columns: Sequence[Column], rows: Iterable[Sequence[Value]]
    ) -> Table:
        """Add a sheet with a table of at most some thousand rows."""
        sheet, header_row = self._table_sheet(title, columns)
        paragraphs = _paragraphs(columns)
        number = header_row
        for number, values in enumerate(rows, header_row + 1):
            for index, (column, value) in enumerate(zip(columns, values, strict=True), 1):
                cell = self.put(sheet, number, index, value)
                _dress(cell, column.kind)
            height = _row_points(paragraphs, values)
            if height:
                sheet.row_dimensions[number].height = height
        sheet.auto_filter.ref = _area(columns, header_row, number)
        return Table(sheet, header_row, number)

    def add_stream(
        self,
        title: str,
        columns: Sequence[Column],
        rows: Iterator[Sequence[Value]],
        count: int,
        *,
        row_limit: int = ROW_LIMIT,
    ) -> None:
        """Add a table of any length; its rows are taken from `rows` when the file is saved.

        What one sheet cannot hold goes on in `title (2)` and so on, each under its own header.

        Args:
            title: The first sheet's name.
            columns: The table's columns.
            rows: The values of each row, one per column.
            count: How many rows there are.
            row_limit: Rows that a sheet may have, header included.
        """
        capacity = row_limit - (2 if self._banner else 1)
        for part in range(max(1, ceil(count / capacity))):
            name = title if part == 0 else f"{title} ({part + 1})"
            sheet, header_row = self._table_sheet(name, columns)
            part_count = min(capacity, count - part * capacity)
            sheet.auto_filter.ref = _area(columns, header_row, header_row + part_count)
            self._streams[name] = _Stream(
                sheet, columns, _style_ids(sheet, columns), rows, part_count
            )

    def put(self, sheet: Worksheet, row: int, column: int, value: Value) -> Cell:
        """Write one value; a text stays a text, whatever it begins with."""
        cell = sheet.cell(row, column)
        assert isinstance(cell, Cell), "only the first cell of a merged area holds a value"  # noqa: S101
        if isinstance(value, str):
            text, was_cut = clean_text(value)
            self.cut_cells += was_cut
            cell.value = text
            cell.data_type = "s"
            cell.quotePrefix = text[:1] in _FORMULA_STARTS
        else:
            cell.value = _local(value, self.zone) if isinstance(value, datetime) else value
        return cell

    def save(self, path: Path) -> None:
        """Write the file, rows of large tables included.

        Raises:
            RetryableError: A large table has more or fewer rows than was said: its source changed
                meanwhile. The file must not be used.
        """
        skeleton = BytesIO()
        streams = {
            f"xl/worksheets/sheet{index}.xml": self._streams[title]
            for index, title in enumerate(self._book.sheetnames, 1)
            if title in self._streams
        }
        self._book.save(skeleton)
        stamp = self._generated_at.astimezone(self.zone).timetuple()[:6]
        with ZipFile(skeleton) as parts, ZipFile(path, "w") as archive:
            for name in parts.namelist():
                entry_info = ZipInfo(name, date_time=stamp)
                entry_info.compress_type = ZIP_DEFLATED
                with archive.open(entry_info, "w") as entry:
                    part = parts.read(name)
                    if name in streams:
                        self._write_stream(entry, part, streams[name])
                    else:
                        entry.write(self._dated(part) if name == "docProps/core.xml" else part)
        for stream in streams.values():
            if next(stream.rows, None) is not None:
                raise _changed(f"more than {stream.count:,}")

    def _table_sheet(self, title: str, columns: Sequence[Column]) -> tuple[Worksheet, int]:
        sheet = self.add_page(title, [column.width for column in columns])
        header_row = 1
        if self._banner:
            header_row = 2
            self.add_banner(sheet, 1, len(columns))
        for index, column in enumerate(columns, 1):
            cell = self.put(sheet, header_row, index, column.title)
            cell.font = Font(name=FONT, size=10, bold=True, color="FFFFFF")
            cell.fill = PatternFill("solid", start_color=ACCENT)
            is_text = column.kind in {"text", "paragraph"}
            cell.alignment = Alignment(
                horizontal="left" if is_text else "center", vertical="center", indent=int(is_text)
            )
        sheet.row_dimensions[header_row].height = 24
        sheet.freeze_panes = f"A{header_row + 1}"
        sheet.print_title_rows = f"1:{header_row}"
        return sheet, header_row

    def add_banner(self, sheet: Worksheet, row: int, columns: int, first_column: int = 1) -> None:
        """Write the warning across a row."""
        cell = self.put(sheet, row, first_column, self._banner)
        cell.font = Font(name=FONT, size=10, bold=True, color=WARNING)
        cell.alignment = Alignment(horizontal="left", vertical="center", indent=1)
        for column in range(first_column, first_column + columns):
            sheet.cell(row, column).fill = PatternFill("solid", start_color=WARNING_PALE)
        sheet.row_dimensions[row].height = 22

    def _set_up_print(self, sheet: Worksheet, pages_high: int) -> None:
        sheet.page_setup.orientation = "landscape"
        sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
        sheet.page_setup.fitToWidth = 1
        sheet.page_setup.fitToHeight = pages_high
        sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
        margins = sheet.page_margins
        margins.left = margins.right = 0.5
        margins.top, margins.bottom, margins.header, margins.footer = 0.75, 0.65, 0.35, 0.3
        sheet.print_options.horizontalCentered = True
        header, footer = sheet.oddHeader, sheet.oddFooter
        assert header is not None and footer is not None, "a new sheet has both"  # noqa: S101, PT018
        made_at = f"{self._generated_at.astimezone(self.zone):%Y-%m-%d %H:%M}"
        for part, text in (
            (header.left, f"{self._title} · {sheet.title}"),
            (header.center, self._banner),
            (header.right, self._subtitle),
            (footer.left, self._organisation),
            (footer.right, f"{made_at} 작성"),
        ):
            part.text = clean_text(text)[0][:_HEADER_PART_LIMIT].replace("&", "&&") or None
            part.size = 9
        footer.center.text = "&P / &N"
        footer.center.size = 9

    def _write_stream(self, entry: IO[bytes], part: bytes, stream: _Stream) -> None:
        head, end, tail = part.partition(b"</sheetData>")
        header_row = stream.sheet.max_row
        area = _area(stream.columns, 1, header_row + stream.count).encode()
        entry.write(re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="' + area + b'"', head))
        row_xml = self._row_writer(stream.columns, stream.style_ids)
        buffer: list[str] = []
        number = header_row
        for number, values in zip(
            range(header_row + 1, header_row + stream.count + 1), stream.rows, strict=False
        ):
            buffer.append(row_xml(number, values))
            if len(buffer) == _ROWS_AT_A_TIME:
                entry.write("".join(buffer).encode())
                buffer.clear()
        entry.write("".join(buffer).encode())
        entry.write(end + tail)
        if number != header_row + stream.count:
            raise _changed(f"{number - header_row:,} instead of {stream.count:,}")

    def _row_writer(
        self, columns: Sequence[Column], style_ids: Sequence[tuple[int, int]]
    ) -> Callable[[int, Sequence[Value]], str]:
        letters = [get_column_letter(index) for index in range(1, len(columns) + 1)]
        shapes = list(zip(letters, style_ids, strict=True))
        paragraphs = _paragraphs(columns)

        def row_xml(number: int, values: Sequence[Value]) -> str:
            points = _row_points(paragraphs, values)
            height = f' ht="{points}" customHeight="1"' if points else ""
            cells = [
                self._cell_xml(f"{letter}{number}", styles, value)
                for (letter, styles), value in zip(shapes, values, strict=True)
            ]
            return f'<row r="{number}"{height}>{"".join(cells)}</row>'

        return row_xml

    def _cell_xml(self, reference: str, styles: tuple[int, int], value: Value) -> str:
        if isinstance(value, str):
            text, was_cut = clean_text(value)
            self.cut_cells += was_cut
            style = styles[text[:1] in _FORMULA_STARTS]
            return (
                f'<c r="{reference}" s="{style}" t="inlineStr">'
                f'<is><t xml:space="preserve">{_xml_text(text)}</t></is></c>'
            )
        if value is None:
            return f'<c r="{reference}" s="{styles[0]}"/>'
        if isinstance(value, datetime):
            value = (_local(value, self.zone) - _EPOCH) / _DAY
        elif isinstance(value, date):
            value = value.toordinal() - _EPOCH.toordinal()
        return f'<c r="{reference}" s="{styles[0]}"><v>{value!r}</v></c>'

    def _dated(self, core_properties: bytes) -> bytes:
        """Put `generated_at` where openpyxl wrote the time of the machine."""
        made_at = f"{self._generated_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}".encode()
        return re.sub(
            rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>" + made_at, core_properties
        )


def _dress(cell: Cell, kind: ColumnKind) -> None:
    cell.font = Font(name=FONT, size=10, color=INK)
    cell.border = Border(bottom=Side(style="hair", color=RULE))
    is_text = kind in {"text", "paragraph"}
    cell.alignment = Alignment(
        horizontal="left" if is_text else "center" if kind in {"date", "datetime"} else "right",
        vertical="top",
        wrap_text=kind == "paragraph",
        indent=1 if kind not in {"date", "datetime"} else 0,
    )
    cell.number_format = _FORMATS.get(kind, "General")


def _style_ids(sheet: Worksheet, columns: Sequence[Column]) -> list[tuple[int, int]]:
    """Register the columns' styles: of each, the plain one and that of formula look-alikes."""
    ids: list[tuple[int, int]] = []
    for column in columns:
        cell = Cell(sheet, row=1, column=1)  # of the sheet, but not in it
        _dress(cell, column.kind)
        plain = cell.style_id
        cell.quotePrefix = True
        ids.append((plain, cell.style_id))
    return ids


def _area(columns: Sequence[Column], first_row: int, last_row: int) -> str:
    return f"A{first_row}:{get_column_letter(len(columns))}{last_row}"


def _paragraphs(columns: Sequence[Column]) -> list[tuple[int, float]]:
    """Index and width of each column whose texts wrap."""
    return [
        (index, column.width) for index, column in enumerate(columns) if column.kind == "paragraph"
    ]


def _lines(value: Value, width: float) -> int:
    """Lines that a paragraph takes in a column, about: the font where it is opened is not known."""
    if not isinstance(value, str):
        return 1
    if len(value) * 2 <= width and "\n" not in value:
        return 1
    # Not more than fills the highest row: some texts are tens of thousands of characters long.
    shown = value[: int(width) * _MOST_LINES]
    return sum(max(1, ceil(text_width(line) / width)) for line in shown.split("\n"))


def _row_points(paragraphs: list[tuple[int, float]], values: Sequence[Value]) -> float | None:
    """Height of a row whose paragraphs need more than one line; None for the default height.

    Excel would find it out by itself, LibreOffice and viewers would not.
    """
    lines = max((_lines(values[index], width) for index, width in paragraphs), default=1)
    return min(lines, _MOST_LINES) * _LINE_POINTS if lines > 1 else None


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.tzinfo is None:
        raise TypeError("a time without a zone cannot be shown in another")
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0)


def _xml_text(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ESCAPE_LOOKALIKE.sub("_x005F_", escaped) if "_x" in escaped else escaped


def _changed(rows: str) -> RetryableError:
    return RetryableError(
        f"The rows of the report changed while it was written: {rows}", "Make the report again"
    )

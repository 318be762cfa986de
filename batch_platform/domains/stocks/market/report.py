"""The monthly price report: which sheets it has, what stands in them, and how it looks.

Where the figures come from is `report_store`'s business; how a workbook is written safely is
`gateways.workbook`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from openpyxl.chart import BarChart
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from batch_platform.core.days import Clock
from batch_platform.core.errors import NoDataError
from batch_platform.core.settings import Settings
from batch_platform.core.trading_days import TradingCalendar
from batch_platform.domains.stocks.market.models import PriceDay
from batch_platform.domains.stocks.market.report_store import (
    ActionLine,
    DayOfMarket,
    MonthSource,
    StockMonth,
    month_source,
)
from batch_platform.domains.stocks.market.store import MarketStore
from batch_platform.gateways.files import atomic_file
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.workbook import (
    ACCENT,
    FONT,
    MUTED,
    Column,
    ReportWorkbook,
    Table,
    Value,
)
from batch_platform.gateways.workbook_charts import bar_chart, day_chart, place_chart

REPORT_TITLE = "월간 주가 보고서"
MADE_UP_BANNER = "가상 데이터(샌드박스) — 실제 종목과 시세가 아닙니다"
FOLDER_SETTING = "STOCKS_REPORT_FOLDER"

_MOVERS = 30
_MOST_TRADED = 50
_CHART_BARS = 10
_TRILLION = 1_000_000_000_000
_HUNDRED_MILLION = 100_000_000
_KINDS = {"split": "액면분할", "consolidation": "액면병합", "rights": "권리락", "other": "기타"}
_SUMMARY_WIDTHS = (2, *[11.5] * 12, 2)

_MOVER_COLUMNS = (
    Column("순위", 7, "integer"),
    Column("종목", 24),
    Column("코드", 10),
    Column("시장", 10),
    Column("등락률", 11, "percent"),
    Column("월말 종가(원)", 15, "integer"),
    Column("시가총액(억원)", 16, "integer"),
    Column("거래대금(억원)", 16, "integer"),
)
_TRADED_COLUMNS = (
    *_MOVER_COLUMNS[:4],
    Column("거래대금(억원)", 16, "integer"),
    Column("거래량(주)", 19, "integer"),
    Column("등락률", 11, "percent"),
    Column("월말 종가(원)", 15, "integer"),
)
_SECTOR_COLUMNS = (
    Column("섹터", 26),
    Column("종목 수", 11, "integer"),
    Column("시가총액(조원)", 16, "decimal"),
    Column("거래대금(조원)", 16, "decimal"),
    Column("등락률(시총 가중)", 18, "percent"),
)
_DAY_COLUMNS = (
    Column("날짜", 13, "date"),
    Column("거래대금(조원)", 15, "decimal"),
    Column("상승", 9, "integer"),
    Column("하락", 9, "integer"),
    Column("거래정지", 10, "integer"),
    Column("거래량(백만 주)", 15, "integer"),
    Column("시가총액(조원)", 15, "decimal"),
)
_ACTION_COLUMNS = (
    Column("날짜", 13, "date"),
    Column("종목", 24),
    Column("코드", 10),
    Column("추정 종류", 12),
    Column("전일 종가(원)", 15, "integer"),
    Column("기준가(원)", 15, "integer"),
    Column("조정 계수", 13, "text"),
    Column("이전 주식수", 18, "integer"),
    Column("이후 주식수", 18, "integer"),
)
_COVERAGE_COLUMNS = (
    Column("날짜", 13, "date"),
    Column("종목 수", 11, "integer"),
    Column("KOSPI", 10, "integer"),
    Column("KOSDAQ", 10, "integer"),
    Column("출처", 16),
    Column("상태", 34),
)


@dataclass(frozen=True, slots=True)
class MonthReport:
    """A report that was written.

    Attributes:
        stocks: That had a price in the month.
        trading_days: With prices.
        missing_days: Trading days without.
    """

    path: Path
    stocks: int
    trading_days: int
    missing_days: int
    size_bytes: int


def report_file_name(month: date) -> str:
    """Name of a month's report."""
    return f"주가보고서_{month:%Y-%m}.xlsx"


def write_month_report(
    month: date, *, db: PlatformDb, settings: Settings, clock: Clock
) -> MonthReport:
    """Write a month's workbook, whole or not at all.

    Args:
        month: Its first day.
        db: The platform's database.
        settings: The folder, the organisation and the zone.
        clock: When it is made.

    Raises:
        NoDataError: The month has no prices.
        ConfigurationError: The folder cannot be written to.
        RetryableError: The disk is full.
    """
    last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    store = MarketStore(db)
    calendar, stored = store.calendar(), store.price_days(month, last)
    path = settings.stocks_report_folder / report_file_name(month)
    with month_source(db, month, last) as source:
        days = source.days()
        if not days:
            raise NoDataError(
                f"There are no prices of {month:%Y-%m}: there is nothing to report",
                f"Fetch them: batch-platform stocks prices --start {month} --end {last}",
            )
        book = ReportWorkbook(
            title=REPORT_TITLE,
            subtitle=f"{month:%Y-%m}",
            organisation=settings.platform.org_name,
            zone=settings.platform.zone,
            generated_at=clock(),
            banner=MADE_UP_BANNER if source.has_made_up() else "",
        )
        stocks = source.stock_count()
        missing = _fill(book, month, last, source, days, stocks, stored, calendar)
    with atomic_file(path, setting=FOLDER_SETTING) as temporary:
        book.save(temporary)
        size = temporary.stat().st_size
    return MonthReport(path, stocks, len(days), missing, size)


def _fill(
    book: ReportWorkbook,
    month: date,
    last: date,
    source: MonthSource,
    days: Sequence[DayOfMarket],
    stocks: int,
    stored: dict[date, PriceDay],
    calendar: TradingCalendar,
) -> int:
    up, down = (source.movers(_MOVERS, is_rising=rising) for rising in (True, False))
    rising = _movers(book, "상승 상위", up)
    falling = _movers(book, "하락 상위", down)
    traded = _most_traded(book, source.most_traded(_MOST_TRADED))
    sectors = _sectors(book, source)
    daily = _days(book, days)
    actions = source.actions()
    _actions(book, actions)
    missing = _coverage(book, month, last, stored, calendar)
    tables = {"up": rising, "down": falling, "traded": traded, "sectors": sectors, "days": daily}
    _summary(book, month, days, stocks, len(actions), missing, tables)
    return missing


def _movers(book: ReportWorkbook, title: str, stocks: Sequence[StockMonth]) -> Table:
    table = book.add_table(
        title,
        _MOVER_COLUMNS,
        (
            (
                rank,
                stock.name or stock.ticker,
                stock.ticker,
                stock.market,
                stock.month_return,
                stock.close,
                stock.market_cap // _HUNDRED_MILLION,
                stock.trading_value // _HUNDRED_MILLION,
            )
            for rank, stock in enumerate(stocks, 1)
        ),
    )
    _beside(table, _return_chart(table, f"{title} (월 등락률)"), len(_MOVER_COLUMNS))
    return table


def _return_chart(table: Table, title: str) -> BarChart:
    return bar_chart(table, title, 2, 5, most=_CHART_BARS, number_format="0.0%", is_from_zero=False)


def _most_traded(book: ReportWorkbook, stocks: Sequence[StockMonth]) -> Table:
    table = book.add_table(
        "거래 상위",
        _TRADED_COLUMNS,
        (
            (
                rank,
                stock.name or stock.ticker,
                stock.ticker,
                stock.market,
                stock.trading_value // _HUNDRED_MILLION,
                stock.volume,
                stock.month_return,
                stock.close,
            )
            for rank, stock in enumerate(stocks, 1)
        ),
    )
    chart = bar_chart(table, "거래대금 상위 (억원)", 2, 5, most=20)
    _beside(table, chart, len(_TRADED_COLUMNS))
    return table


def _sectors(book: ReportWorkbook, source: MonthSource) -> Table:
    table = book.add_table(
        "섹터",
        _SECTOR_COLUMNS,
        (
            (
                sector.sector,
                sector.stocks,
                sector.market_cap / _TRILLION,
                sector.trading_value / _TRILLION,
                sector.month_return,
            )
            for sector in source.sectors()
        ),
    )
    chart = bar_chart(table, "섹터별 시가총액 (조원)", 1, 3, most=20, number_format="#,##0.0")
    _beside(table, chart, len(_SECTOR_COLUMNS))
    return table


def _days(book: ReportWorkbook, days: Sequence[DayOfMarket]) -> Table:
    table = book.add_table(
        "일별 시장",
        _DAY_COLUMNS,
        (
            (
                day.date,
                day.trading_value / _TRILLION,
                day.rising,
                day.falling,
                day.suspended,
                day.volume // 1_000_000,
                day.market_cap / _TRILLION,
            )
            for day in days
        ),
    )
    if len(days) > 1:
        _beside(table, _breadth_chart(table), len(_DAY_COLUMNS))
    return table


def _breadth_chart(days: Table) -> BarChart:
    return day_chart(days, "일별 상승·하락 종목 수", days=1, columns=3, line=4)


def _actions(book: ReportWorkbook, actions: Sequence[ActionLine]) -> None:
    book.add_table(
        "권리 변동",
        _ACTION_COLUMNS,
        (
            (
                action.date,
                action.name or action.ticker,
                action.ticker,
                _KINDS[action.kind],
                action.previous_close,
                action.base_price,
                f"{action.factor:.6g}",
                action.shares_before,
                action.shares_after,
            )
            for action in actions
        ),
    )


def _coverage(
    book: ReportWorkbook,
    month: date,
    last: date,
    stored: dict[date, PriceDay],
    calendar: TradingCalendar,
) -> int:
    """Every day of the month with what is there of it; tells how many trading days are missing."""
    lines = list(_coverage_lines(month, last, stored, calendar))
    table = book.add_table("수집 현황", _COVERAGE_COLUMNS, lines)
    chart = day_chart(table, "일별 종목 수 (KOSPI, 전체)", days=1, columns=2, line=3)
    _beside(table, chart, len(_COVERAGE_COLUMNS))
    return sum(line[5] == "빠짐" for line in lines)


def _coverage_lines(
    month: date, last: date, stored: dict[date, PriceDay], calendar: TradingCalendar
) -> Iterator[tuple[Value, ...]]:
    for offset in range((last - month).days + 1):
        day = month + timedelta(days=offset)
        found = stored.get(day)
        closed = calendar.closing_reason(day)
        if found and found.row_count:
            rows = found.rows
            yield (
                day,
                found.row_count,
                rows.get("KOSPI"),
                rows.get("KOSDAQ"),
                _SOURCES.get(found.source or "", found.source),
                "정상",
            )
        else:
            yield day, None, None, None, "", f"휴장 ({closed})" if closed else "빠짐"


_SOURCES = {"KRX": "한국거래소", "PUBLIC_DATA": "공공데이터포털", "IMPORTED": "이전 시스템"}


def _beside(table: Table, chart: BarChart, columns: int) -> None:
    """Put a chart right of a table, and both on the printed page."""
    sheet = table.sheet
    sheet.column_dimensions[get_column_letter(columns + 1)].width = 3
    first_row, last_row = table.header_row + 1, table.header_row + 25
    first, last = get_column_letter(columns + 2), get_column_letter(columns + 9)
    place_chart(sheet, chart, f"{first}{first_row}:{last}{last_row}")
    sheet.print_area = f"A1:{last}{max(table.last_row, last_row)}"


def _summary(
    book: ReportWorkbook,
    month: date,
    days: Sequence[DayOfMarket],
    stocks: int,
    actions: int,
    missing: int,
    tables: dict[str, Table],
) -> None:
    """Add the page that a manager reads: the figures by name, and four charts."""
    sheet = book.add_page("요약", _SUMMARY_WIDTHS, pages_high=1)
    row = 1
    if book.has_banner:
        book.add_banner(sheet, row, 12, first_column=2)
        row += 1
    title = book.put(sheet, row, 2, f"{REPORT_TITLE} · {month:%Y년 %m월}")
    title.font = Font(name=FONT, size=18, bold=True, color=ACCENT)
    title.alignment = Alignment(vertical="center")
    sheet.row_dimensions[row].height = 36
    figures: tuple[tuple[str, Value, str], ...] = (
        ("종목", stocks, "#,##0"),
        ("거래일", len(days), "#,##0"),
        ("빠진 거래일", missing, "#,##0"),
        ("거래대금(조원)", sum(day.trading_value for day in days) / _TRILLION, "#,##0.0"),
        ("월말 시가총액(조원)", days[-1].market_cap / _TRILLION, "#,##0.0"),
        ("권리 변동", actions, "#,##0"),
    )
    for index, (label, value, number_format) in enumerate(figures):
        column = 2 + index * 2
        name = book.put(sheet, row + 2, column, label)
        name.font = Font(name=FONT, size=10, color=MUTED)
        figure = book.put(sheet, row + 3, column, value)
        figure.font = Font(name=FONT, size=18, bold=True, color=ACCENT)
        figure.number_format = number_format
        figure.alignment = Alignment(horizontal="left")
        sheet.merge_cells(
            start_row=row + 3, start_column=column, end_row=row + 3, end_column=column + 1
        )
    sheet.row_dimensions[row + 3].height = 30
    top = row + 5
    place_chart(sheet, _return_chart(tables["up"], "상승 상위 10"), f"B{top}:G{top + 15}")
    place_chart(sheet, _return_chart(tables["down"], "하락 상위 10"), f"H{top}:M{top + 15}")
    middle = top + 17
    traded = bar_chart(tables["traded"], "거래대금 상위 10 (억원)", 2, 5, most=_CHART_BARS)
    place_chart(sheet, traded, f"B{middle}:G{middle + 15}")
    sectors = bar_chart(
        tables["sectors"], "섹터별 시가총액 (조원)", 1, 3, most=_CHART_BARS, number_format="#,##0"
    )
    place_chart(sheet, sectors, f"H{middle}:M{middle + 15}")
    bottom = middle + 17
    if len(days) > 1:
        place_chart(sheet, _breadth_chart(tables["days"]), f"B{bottom}:M{bottom + 13}")
    sheet.print_area = f"A1:N{bottom + 13}"
    book.open_on(sheet)

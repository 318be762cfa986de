"""`batch-platform stocks`: prices, what is there of them, and the exchange's holidays.

The command `financials` has a file of its own, `stocks_financials`.

What an option means is decided here; what a command does with it is in `stock_work`.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated

import typer

from batch_platform.cli import stocks_financials
from batch_platform.core.days import days_between, past_day, utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.core.settings import Settings

EXIT_WAITING = 3

app = typer.Typer(help="주가와 종목을 수집하고 확인합니다.", no_args_is_help=True)
holidays_app = typer.Typer(
    help="거래소 달력이 모르는 휴장일(또는 개장일)을 적어 둡니다.", no_args_is_help=True
)
app.add_typer(holidays_app, name="holidays")
stocks_financials.register(app)


class MarketChoice(StrEnum):
    """Which market a command shows."""

    ALL = "ALL"
    KOSPI = "KOSPI"
    KOSDAQ = "KOSDAQ"


Day = Annotated[
    str, typer.Option("-d", "--date", help="하루 (YYYY-MM-DD 또는 yesterday). 기본: 어제")
]
Start = Annotated[str, typer.Option("-s", "--start", help="기간의 첫날 (YYYY-MM-DD)")]
End = Annotated[str, typer.Option("-e", "--end", help="기간의 마지막 날 (YYYY-MM-DD)")]


@app.command(
    epilog="예: batch-platform stocks prices --date 2026-11-20"
    "   |   batch-platform stocks prices --start 2016-01-01 --end 2025-12-31"
)
def prices(
    day: Day = "",
    start: Start = "",
    end: End = "",
    market: Annotated[
        MarketChoice, typer.Option("--market", help="보일 시장. 저장은 늘 두 시장을 함께 합니다.")
    ] = MarketChoice.ALL,
    accept_count: Annotated[
        bool,
        typer.Option("--accept-count", help="종목 수가 전날과 3 % 넘게 달라도 받아들입니다."),
    ] = False,
) -> None:
    """하루 또는 기간의 전 종목 시세를 받아 저장합니다. 같은 값은 다시 쓰지 않습니다.

    하루는 시장마다 한 번의 호출로 받습니다. 기간은 한 번의 실행으로 모두 받습니다. 종료 코드:
    0 저장함, 1 실패, 2 설정 오류, 3 아직 공개되지 않음(나중에 다시 실행하세요).
    """
    from batch_platform.cli import stock_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    days = _days(settings, day, start, end)
    chosen = None if market is MarketChoice.ALL else market.value
    if stock_work.fetch_prices(settings, days, market=chosen, accepts_count=accept_count):
        raise typer.Exit(EXIT_WAITING)


@app.command(epilog="예: batch-platform stocks coverage --start 2026-01-01 --end 2026-11-20")
def coverage(start: Start = "", end: End = "") -> None:
    """달마다 거래일 가운데 며칠이 있는지 보입니다. 빠진 날이 있으면 종료 코드 1."""
    from batch_platform.cli import stock_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    zone = settings.platform.zone
    first = past_day(start, utc_now, zone) if start else None
    if stock_work.show_coverage(settings, first, past_day(end or "yesterday", utc_now, zone)):
        raise typer.Exit(1)


@app.command(epilog="예: batch-platform stocks report --month 2026-10")
def report(
    month: Annotated[str, typer.Option("-m", "--month", help="달 (YYYY-MM). 기본: 지난달")] = "",
) -> None:
    """한 달의 등락, 거래, 섹터, 수집 현황을 엑셀로 만듭니다."""
    from batch_platform.cli import stock_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    stock_work.write_report(settings, _month(settings, month))


@holidays_app.command("list", epilog="예: batch-platform stocks holidays list --year 2026")
def holidays_list(
    year: Annotated[
        int | None, typer.Option("--year", min=2000, max=2100, help="해. 기본: 올해")
    ] = None,
) -> None:
    """한 해의 평일 휴장일과, 사람이 적어 둔 날을 보입니다."""
    from batch_platform.cli import stock_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    stock_work.show_holidays(settings, year or utc_now().astimezone(settings.platform.zone).year)


@holidays_app.command(
    "add",
    epilog="예: batch-platform stocks holidays add 2027-03-10 임시공휴일"
    "   |   batch-platform stocks holidays add 2027-12-31 '연말 개장' --open",
)
def holidays_add(
    day: Annotated[str, typer.Argument(help="날 (YYYY-MM-DD)")],
    reason: Annotated[str, typer.Argument(help="이유")],
    is_open: Annotated[
        bool, typer.Option("--open", help="휴장이 아니라 개장이라고 적습니다.")
    ] = False,
) -> None:
    """달력이 모르는 휴장일을 적습니다. 그날의 시세는 다시 실행할 때 바로잡힙니다."""
    from batch_platform.cli import stock_work
    from batch_platform.resources.roles import active_settings

    if not reason.strip():
        raise typer.BadParameter("이유를 적어 주세요.")
    stock_work.add_holiday(active_settings(), _any_day(day), reason.strip(), is_open=is_open)


@holidays_app.command("remove", epilog="예: batch-platform stocks holidays remove 2027-03-10")
def holidays_remove(day: Annotated[str, typer.Argument(help="날 (YYYY-MM-DD)")]) -> None:
    """적어 둔 날을 지웁니다. 그날은 다시 거래소 달력을 따릅니다."""
    from batch_platform.cli import stock_work
    from batch_platform.resources.roles import active_settings

    stock_work.remove_holiday(active_settings(), _any_day(day))


def _days(settings: Settings, day: str, start: str, end: str) -> list[date]:
    """The days that a command is about.

    Raises:
        PermanentError: A text is no date, a day is not over yet or before the first one.
    """
    zone = settings.platform.zone
    if day and (start or end):
        raise typer.BadParameter("--date 와 --start/--end 는 함께 쓸 수 없습니다.")
    if bool(start) != bool(end):
        raise typer.BadParameter("기간에는 --start 와 --end 가 모두 필요합니다.")
    if start:
        days = list(days_between(*(past_day(text, utc_now, zone) for text in (start, end))))
    else:
        days = [past_day(day or "yesterday", utc_now, zone)]
    if days[0] < settings.stocks.first_day:
        raise PermanentError(
            f"{days[0]} is before the stocks' first day, {settings.stocks.first_day}",
            "Set STOCKS_FIRST_DAY to an earlier day",
        )
    return days


def _month(settings: Settings, text: str) -> date:
    today = utc_now().astimezone(settings.platform.zone).date()
    if not text:
        return date(today.year - (today.month == 1), (today.month - 2) % 12 + 1, 1)
    try:
        month = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise PermanentError(f"{text!r} is not a month", "Write it like 2026-10") from None
    if (month.year, month.month) >= (today.year, today.month):
        raise PermanentError(f"{text} is not over yet", "Choose a month that is")
    return month


def _any_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PermanentError(f"{text!r} is not a date", "Write it like 2026-11-19") from None

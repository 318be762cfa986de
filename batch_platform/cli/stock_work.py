"""What the stocks' commands do: run the platform's assets, and show what is there.

Imports all that a run needs, so `stocks` imports this file only inside a command.
"""

from collections.abc import Sequence
from datetime import date

import typer

from batch_platform.cli.console import MADE_UP, err, marked, out, show_table
from batch_platform.cli.runs import run_job, show_run
from batch_platform.core.days import days_between
from batch_platform.core.settings import Settings
from batch_platform.core.trading_days import TradingDayOverride
from batch_platform.domains.stocks.market.store import MarketStore
from batch_platform.domains.stocks.market.workflow import coverage
from batch_platform.gateways.platform_services import open_platform_db

_LISTINGS = "stocks/listings"
_PRICES = "stocks/daily_prices"
_SHOWN_STOCKS = 10
_SHOWN_MISSING = 5


def fetch_prices(
    settings: Settings, days: Sequence[date], *, market: str | None, accepts_count: bool
) -> bool:
    """Fetch days of prices in one run and show what came; tell whether a day is awaited.

    Raises:
        typer.Exit: It failed; it has been said why.
    """
    _say_made_up(settings)
    if market:
        err.print(
            f"하루는 두 시장을 함께 받아 함께 저장합니다(한쪽만 저장하지 않습니다)."
            f" {market}만 보입니다."
        )
    last = days[-1].isoformat() if len(days) > 1 else None
    config = {"stocks__daily_prices": {"config": {"accepts_count": accepts_count}}}
    result = run_job(
        # A day's list of stocks is read too, for their names; of a range that would be as many
        # calls again.
        "stocks_night_job" if last is None else "stocks_prices_job",
        days[0].isoformat(),
        last_partition=last,
        settings=settings,
        assets=[_LISTINGS, _PRICES] if last is None else [],
        run_config={"ops": config},
    )
    show_run(f"{days[0]}" if last is None else f"{days[0]} … {last}", result)
    for made in result.made:
        if made.asset != _PRICES:
            continue
        changed = [
            int(made.metadata[f"rows_{what}"]) for what in ("inserted", "changed", "removed")
        ]
        out.print(
            f"새 행 {changed[0]:,} · 바뀐 행 {changed[1]:,} · 지운 행 {changed[2]:,}"
            f" · 권리 변동 {int(made.metadata['corporate_actions']):,}건"
            f" · 출처 {made.metadata['sources']}"
        )
    if not result.is_success:
        raise typer.Exit(2 if result.is_misconfigured else 1)
    if last is None and not result.waiting:
        _show_largest(settings, days[0], market)
    return bool(result.waiting)


def _show_largest(settings: Settings, day: date, market: str | None) -> None:
    rows = MarketStore(open_platform_db(settings)).preview(day, _SHOWN_STOCKS, market)
    if not rows:
        return
    show_table(
        f"{day} 시가총액 상위{f' ({market})' if market else ''}",
        ["코드", "종목", "시장", "종가", "등락률", "거래량", ""],
        [
            (
                ticker,
                name,
                of,
                f"{close:,}",
                f"{rate:+.2f}%",
                f"{volume:,}",
                "거래정지" if is_suspended else "",
            )
            for ticker, name, of, close, rate, volume, is_suspended in rows
        ],
        right=(3, 4, 5),
    )


def show_coverage(settings: Settings, start: date | None, end: date) -> bool:
    """Show what is there of each month; tell whether a trading day is missing."""
    _say_made_up(settings)
    db = open_platform_db(settings)
    first = start or MarketStore(db).first_price_day()
    if first is None:
        out.print("아직 시세가 없습니다. 받으려면: batch-platform stocks prices")
        return False
    months = coverage(first, end, db=db)
    show_table(
        f"시세 수집 현황 {first} … {end}",
        ["달", "거래일", "있음", "빠짐", "종목 수", "거래정지", "data.go.kr", "빠진 날"],
        [
            (
                f"{month.month:%Y-%m}",
                month.trading_days,
                month.stored_days,
                marked(f"[red]{len(month.missing)}[/red]") if month.missing else "0",
                f"{month.least_rows:,} – {month.most_rows:,}" if month.stored_days else "-",
                f"{month.suspended_rows:,}",
                month.fallback_days,
                _shown_days(month.missing),
            )
            for month in months
        ],
        right=(1, 2, 3, 4, 5, 6),
    )
    return any(month.missing for month in months)


def write_report(settings: Settings, month: date) -> None:
    """Write a month's workbook.

    Raises:
        typer.Exit: It failed; it has been said why.
    """
    _say_made_up(settings)
    result = run_job("stocks_report_job", month.isoformat(), settings=settings)
    show_run(f"{month:%Y-%m}", result)
    if not result.is_success:
        raise typer.Exit(2 if result.is_misconfigured else 1)


def show_holidays(settings: Settings, year: int) -> None:
    """Show a year's closed weekdays and every override of it."""
    store = MarketStore(open_platform_db(settings))
    calendar = store.calendar()
    said = dict(store.overrides())
    days = [
        day
        for day in days_between(date(year, 1, 1), date(year, 12, 31))
        if day in said or (day.weekday() < 5 and not calendar.is_open(day))
    ]
    show_table(
        f"{year}년 휴장일 (주말 제외)",
        ["날", "요일", "상태", "이유", "근거"],
        [
            (
                day,
                "월화수목금토일"[day.weekday()],
                "개장" if calendar.is_open(day) else "휴장",
                calendar.closing_reason(day) or said[day].reason,
                "사람이 적음" if day in said else "거래소 달력",
            )
            for day in days
        ],
    )


def add_holiday(settings: Settings, day: date, reason: str, *, is_open: bool) -> None:
    """Write an override and say what it means."""
    MarketStore(open_platform_db(settings)).put_override(
        day, TradingDayOverride(is_open=is_open, reason=reason)
    )
    state = "개장" if is_open else "휴장"
    out.print(f"[green]적었습니다[/green] {day} {state}: ", end="")
    out.print(reason, markup=False)
    out.print(f"이미 지난 날이면 다시 실행하세요: batch-platform stocks prices --date {day}")


def remove_holiday(settings: Settings, day: date) -> None:
    """Take an override away and say so."""
    MarketStore(open_platform_db(settings)).remove_override(day)
    out.print(f"[green]지웠습니다[/green] {day}: 거래소 달력을 따릅니다.")


def _shown_days(days: Sequence[date]) -> str:
    more = f" 외 {len(days) - _SHOWN_MISSING}일" if len(days) > _SHOWN_MISSING else ""
    return ", ".join(f"{day}" for day in days[:_SHOWN_MISSING]) + more


def _say_made_up(settings: Settings) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)

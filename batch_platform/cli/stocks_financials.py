"""`batch-platform stocks financials`: a quarter's statements and ratios, at any time.

What an option means is decided here; what the command does with it is in `financial_work`.
"""

from datetime import date
from typing import Annotated

import typer

from batch_platform.core.days import today, utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.core.settings import Settings

FIRST_YEAR = 2015
"""The first year whose reports OpenDART gives."""


def register(app: typer.Typer) -> None:
    """Add the command to those of the stocks."""
    app.command(
        epilog="예: batch-platform stocks financials"
        "   |   batch-platform stocks financials --year 2025 --quarter 4"
        "   |   batch-platform stocks financials --year 2025 --dry-run"
    )(financials)


def financials(
    year: Annotated[
        int | None, typer.Option("--year", help="사업연도. 기본: 제출 기한이 지난 마지막 분기의 해")
    ] = None,
    quarter: Annotated[
        int | None,
        typer.Option(
            "--quarter", min=1, max=4, help="분기 (4는 사업보고서). 기본: 그 해의 끝난 분기 모두"
        ),
    ] = None,
    all_accounts: Annotated[
        bool,
        typer.Option(
            "--all-accounts",
            help="회사마다 전체 계정도 묻습니다(현금흐름, 지배주주 몫). 호출이 수천 번입니다.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="묻지 않고 무엇이 있고 몇 번 부를지만 셉니다.")
    ] = False,
) -> None:
    """분기의 재무제표를 받아 비율을 계산합니다. 이미 있는 공시는 다시 쓰지 않습니다.

    상장사 전체를 100곳씩 묻습니다(분기마다 서른 번 남짓).

    정정 공시는 더해지고, 그 분기를 쓰는 뒤 분기의 비율도 다시 계산합니다.

    종료 코드: 0 저장함, 1 실패, 2 설정 오류.
    """
    from batch_platform.cli import financial_work
    from batch_platform.resources.roles import active_settings

    settings = active_settings()
    first_days = _quarters(settings, year, quarter)
    if dry_run:
        financial_work.show_dry_run(settings, first_days)
    else:
        financial_work.make_quarters(settings, first_days, asks_all_accounts=all_accounts)


def _quarters(settings: Settings, year: int | None, quarter: int | None) -> list[date]:
    """The first days of the quarters that a command is about.

    Raises:
        PermanentError: None of them is over yet, or the year is before the first one.
    """
    from batch_platform.domains.stocks.financials.models import Quarter

    on = today(utc_now, settings.platform.zone)
    if year is None:
        if quarter is not None:
            raise typer.BadParameter("--quarter 에는 --year 도 필요합니다.")
        return [Quarter.last_due(on).first_day]
    first_year = max(FIRST_YEAR, settings.stocks.first_day.year)
    if year < first_year:
        raise PermanentError(
            f"{year} is before {first_year}, the first year of the statements here",
            f"OpenDART begins with {FIRST_YEAR}; STOCKS_FIRST_DAY may be later",
        )
    chosen = [Quarter(year, number) for number in ([quarter] if quarter else range(1, 5))]
    over = [each.first_day for each in chosen if each.plus(1).first_day <= on]
    if not over:
        raise PermanentError(
            f"{chosen[0]} is not over yet",
            f"The last one whose deadline has passed is {Quarter.last_due(on)}",
        )
    return over

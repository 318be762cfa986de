"""What `stocks financials` does: run the platform's assets, and show what came of it.

Imports all that a run needs, so `stocks_financials` imports this file only inside the command.
"""

from collections.abc import Sequence
from datetime import date

import typer

from batch_platform.cli.console import MADE_UP, err, out, show_table
from batch_platform.cli.runs import RunResult, run_job, show_run
from batch_platform.core.settings import Settings
from batch_platform.domains.stocks.financials.logic import inputs_of
from batch_platform.domains.stocks.financials.models import Quarter
from batch_platform.domains.stocks.financials.store import FinancialStore
from batch_platform.domains.stocks.financials.workflow import (
    RATIOS,
    STATEMENTS,
    calls_of,
    outdated_quarters,
)
from batch_platform.gateways.platform_services import open_platform_db

_JOB = "stocks_financials_job"


def make_quarters(
    settings: Settings, first_days: Sequence[date], *, asks_all_accounts: bool
) -> None:
    """Make quarters in turn and, where a correction came, later ratios that rest on them.

    Raises:
        typer.Exit: One failed; it has been said why, and the rest was not tried.
    """
    _say_made_up(settings)
    config = {"ops": {"stocks__financial_statements": {"config": {"all_accounts": True}}}}
    for first_day in first_days:
        result = run_job(
            _JOB,
            first_day.isoformat(),
            settings=settings,
            run_config=config if asks_all_accounts else None,
        )
        _show(Quarter.starting(first_day), result)
    db = open_platform_db(settings)
    outdated = {
        later
        for first_day in first_days
        for later in outdated_quarters(Quarter.starting(first_day), db)
    }
    for later in sorted(outdated):
        err.print(f"새 공시가 {_named(later)}의 비율을 바꿉니다. 다시 계산합니다.")
        result = run_job(_JOB, later.first_day.isoformat(), settings=settings, assets=[RATIOS])
        _show(later, result)
    _say_what_is_missing(Quarter.starting(first_days[-1]), FinancialStore(db))


def show_dry_run(settings: Settings, first_days: Sequence[date]) -> None:
    """Show what is there of the quarters and how many calls asking would take."""
    _say_made_up(settings)
    store = FinancialStore(open_platform_db(settings))
    rows: list[tuple[object, ...]] = []
    for quarter in map(Quarter.starting, first_days):
        listed, filed = store.statement_counts(quarter)
        without_all = len(store.without_all_accounts(quarter))
        known = f"{listed:,}" if listed else "아직 모름"
        rows.append(
            (
                _named(quarter),
                quarter.deadline,
                known,
                f"{filed:,}",
                f"{calls_of(listed):,}" if listed else "서른 번 남짓",
                f"{without_all:,}" if filed else "제출한 회사 수",
            )
        )
    show_table(
        "미리 보기 (아무것도 부르거나 쓰지 않았습니다)",
        ["분기", "제출 기한", "상장사", "재무제표 있음", "호출", "--all-accounts 가 더할 호출"],
        rows,
        right=(2, 3, 4, 5),
    )


def _show(quarter: Quarter, result: RunResult) -> None:
    show_run(_named(quarter), result)
    for made in result.made:
        if made.asset == STATEMENTS:
            figures = {
                name: int(made.metadata[name])
                for name in (
                    "companies",
                    "companies_with_a_statement",
                    "new_filings",
                    "corrections",
                    "changed_filings",
                    "unchanged_filings",
                    "unreadable",
                    "calls",
                )
            }
            out.print(
                f"상장사 {figures['companies']:,} · 제출 {figures['companies_with_a_statement']:,}"
                f" · 새 공시 {figures['new_filings']:,} (정정 {figures['corrections']:,})"
                f" · 고쳐진 공시 {figures['changed_filings']:,}"
                f" · 그대로 {figures['unchanged_filings']:,}"
                f" · 읽을 수 없음 {figures['unreadable']:,} · 호출 {figures['calls']:,}"
            )
            if not figures["companies_with_a_statement"]:
                out.print(
                    f"아직 제출된 보고서가 없습니다. {_named(quarter)}의 제출 기한은"
                    f" {quarter.deadline}입니다."
                )
    if not result.is_success:
        raise typer.Exit(2 if result.is_misconfigured else 1)


def _say_what_is_missing(quarter: Quarter, store: FinancialStore) -> None:
    """Say which report the trailing four quarters lack altogether."""
    annual = [
        each
        for each in sorted(inputs_of(quarter))
        if each.is_annual and each != quarter and not store.statement_counts(each)[1]
    ]
    for each in annual:
        out.print(
            f"{_named(each)}가 없어 최근 네 분기의 값(ROE, EPS 등)을 계산하지 못했습니다."
            f" 받으려면: batch-platform stocks financials --year {each.year} --quarter 4"
        )


def _named(quarter: Quarter) -> str:
    kind = ("1분기", "반기", "3분기", "사업보고서")[quarter.number - 1]
    return f"{quarter.year}년 {kind}"


def _say_made_up(settings: Settings) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)

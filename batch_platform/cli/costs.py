"""`batch-platform costs`: what the models cost."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from batch_platform.cli.console import out, show_table
from batch_platform.core.days import today, utc_now
from batch_platform.core.settings import load_settings

_FEW_DAYS = 7


def costs(
    days: Annotated[int, typer.Option(min=1, max=30, help="며칠까지 보일지")] = _FEW_DAYS,
    as_json: Annotated[bool, typer.Option("--json", help="JSON으로 내보냅니다")] = False,
) -> None:
    """모델 비용을 날짜, 분야, 모델별로 보이고 이번 달을 예상합니다."""
    from batch_platform.gateways.platform_services import open_platform_db
    from batch_platform.operations.spending import read_spending

    settings = load_settings()
    day = today(utc_now, settings.platform.zone)
    spending = read_spending(open_platform_db(settings), day, settings.model.daily_budget_krw)
    if as_json:
        typer.echo(json.dumps(asdict(spending), default=str, ensure_ascii=False))
        return
    domains = spending.domains
    if not domains and not spending.models:
        out.print("아직 모델 비용이 없습니다.")
        return
    show_table(
        f"모델 비용 · 이번 달 {spending.month_krw:,.0f}원, 예상 {spending.forecast_krw:,.0f}원",
        ["날짜", *domains, "합계(원)"],
        [
            (
                each.day,
                *(f"{each.by_domain.get(domain, 0):,.1f}" for domain in domains),
                f"{each.krw:,.1f}",
            )
            for each in spending.days[-days:]
        ],
        right=range(1, len(domains) + 2),
    )
    show_table(
        "이번 달, 모델별",
        ["분야", "모델", "질문", "답 없음", "토큰", "원", "가격표"],
        [
            (
                each.domain,
                each.model + (" (가상)" if each.is_made_up else ""),
                f"{each.items:,}",
                f"{each.failed_items:,}",
                f"{each.input_tokens:,} → {each.output_tokens:,}",
                f"{each.krw:,.1f}",
                each.price_table,
            )
            for each in spending.models
        ],
        right=(2, 3, 4, 5),
    )
    for each in spending.budgets:
        bound = "한도 없음" if each.limit_krw is None else f"한도 {each.limit_krw:,.0f}원"
        out.print(f"오늘 {each.domain}: {each.spent_krw:,.1f}원 ({bound})", highlight=False)

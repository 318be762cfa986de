"""Pace and budget of one process: no refusal under a known limit, few under an unknown one."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batch_platform.core.errors import BudgetExceededError, ConfigurationError
from batch_platform.gateways.llm import Answered
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.model_server import RunningModelServer
from batch_platform_tests.integration.llm.asking import classify, questions
from batch_platform_tests.integration.llm.conftest import MakeLlm


@pytest.mark.parametrize("limiter", ["sliding", "fixed", "bucket"])
def test_a_known_limit_is_kept(
    make_llm: MakeLlm, model_server: RunningModelServer, limiter: str
) -> None:
    model_server.configure(requests_per_second=40, limiter=limiter)
    llm = make_llm(LLM_MAX_REQUESTS_PER_MINUTE=2400)
    ask = llm.ask(classify(), questions(100), workers=32, partition="p")
    assert sum(isinstance(outcome, Answered) for outcome in ask) == 100
    assert ask.summary.refusals == 0
    assert ask.summary.seconds < 100 / 40 * 1.5


@pytest.mark.parametrize("limiter", ["sliding", "fixed", "bucket"])
def test_an_unknown_limit_is_found(
    make_llm: MakeLlm, model_server: RunningModelServer, limiter: str
) -> None:
    model_server.configure(requests_per_second=40, limiter=limiter)
    ask = make_llm().ask(classify(), questions(160), workers=32, partition="p")
    assert sum(isinstance(outcome, Answered) for outcome in ask) == 160
    assert ask.summary.refusals < 50
    assert ask.summary.seconds < 160 / 40 * 2


def test_a_limit_on_tokens_is_kept(make_llm: MakeLlm, model_server: RunningModelServer) -> None:
    list(make_llm().ask(classify(), questions(1), workers=1, partition="p"))
    tokens = model_server.stats()["prompt_tokens"] + 30
    # As many tokens as 20 calls a second take.
    llm = make_llm(LLM_MAX_TOKENS_PER_MINUTE=tokens * 20 * 60)
    ask = llm.ask(classify(), questions(60, 1), workers=32, partition="p")
    list(ask)
    assert 60 / 20 * 0.8 < ask.summary.seconds < 60 / 20 * 1.6


@pytest.fixture
def priced(tmp_path: Path) -> dict[str, Any]:
    """Settings under which a token costs a tenth of a won."""
    prices = tmp_path / "prices.json"
    entry = {"currency": "KRW", "input_per_million": 100_000, "output_per_million": 100_000}
    prices.write_text(json.dumps({"version": "test-1", "models": {"sandbox-1": entry}}))
    return {"LLM_PRICES_FILE": str(prices), "LLM_MAX_TOKENS": 100}


def test_a_run_stops_before_it_passes_the_budget_and_goes_on_with_more(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    platform_db: PlatformDb,
    priced: dict[str, Any],
) -> None:
    today = [datetime(2026, 11, 20, 3, tzinfo=UTC)]
    options = {"now": lambda: today[0]}

    def run(budget: float) -> tuple[int, Any]:
        llm = make_llm(options=options, LLM_DAILY_BUDGET_KRW=budget, **priced)
        ask = llm.ask(classify(), questions(60), workers=4, partition="p")
        answered: list[Any] = []
        with pytest.raises(BudgetExceededError, match=r"after \d+ of 60 items"):
            answered.extend(ask)
        return len(answered), ask.summary

    first, summary = run(300)
    assert 0 < first < 60
    assert summary.cost_krw <= 300
    # Less than one call's highest cost is left over.
    assert summary.cost_krw > 300 - 0.1 * (1500 + 100)
    second, summary = run(600)
    assert second > first
    assert summary.calls == second - first
    today[0] = datetime(2026, 11, 20, 16, tzinfo=UTC)  # the next day in Seoul
    third, _ = run(300)
    assert third > second
    with platform_db.connect("test") as connection:
        rows = connection.execute(
            "SELECT domain, spent_on::text, spent_krw FROM llm.spending ORDER BY 2"
        ).fetchall()
        (ledger,) = connection.execute("SELECT sum(cost_krw) FROM llm.calls").fetchone() or (0,)
        assert connection.execute("SELECT count(*) FROM llm.reservations").fetchone() == (0,)
    assert [row[:2] for row in rows] == [("chats", "2026-11-20"), ("chats", "2026-11-21")]
    assert sum(row[2] for row in rows) == pytest.approx(ledger)
    assert rows[0][2] <= 600


@pytest.mark.timeout(60)
def test_answers_that_are_no_use_are_charged_and_end_at_the_budget_too(
    make_llm: MakeLlm,
    model_server: RunningModelServer,
    platform_db: PlatformDb,
    priced: dict[str, Any],
) -> None:
    model_server.configure(faults={"invalid-json": 1.0})
    ask = make_llm(LLM_DAILY_BUDGET_KRW=300, **priced).ask(
        classify(), questions(60), workers=4, partition="p"
    )
    with pytest.raises(BudgetExceededError):
        list(ask)
    ((charged,),) = platform_db.fetch_all("SELECT sum(spent_krw) FROM llm.spending")
    assert charged == pytest.approx(ask.summary.cost_krw)
    assert 0 < charged <= 300


def test_a_budget_without_a_price_is_a_configuration_error(make_llm: MakeLlm) -> None:
    with pytest.raises(ConfigurationError, match="no price of"):
        make_llm(LLM_DAILY_BUDGET_KRW=300)


def test_other_domains_have_budgets_of_their_own(make_llm: MakeLlm, priced: dict[str, Any]) -> None:
    llm = make_llm(LLM_DAILY_BUDGET_KRW=300, **priced)
    with pytest.raises(BudgetExceededError):
        list(llm.ask(classify(), questions(60), workers=4, partition="p"))
    ask = llm.ask(classify(name="posts.classify"), questions(3), workers=4, partition="p")
    assert len(list(ask)) == 3

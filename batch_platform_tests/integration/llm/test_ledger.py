"""What is in the ledger, what it costs, and what retention may delete."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.integration.llm.asking import classify, questions
from batch_platform_tests.integration.llm.conftest import MakeLlm


def test_costs_add_up_in_rows_and_views(
    make_llm: MakeLlm, platform_db: PlatformDb, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.json"
    entry = {"currency": "KRW", "input_per_million": 1000, "output_per_million": 4000}
    prices.write_text(json.dumps({"version": "test-1", "models": {"sandbox-1": entry}}))
    llm = make_llm(LLM_PRICES_FILE=str(prices), LLM_KRW_PER_USD=1000)
    ask = llm.ask(classify(7), questions(40), workers=4, partition="p")
    outcomes = list(ask)
    summary = ask.summary
    expected = summary.input_tokens * 0.001 + summary.output_tokens * 0.004
    assert summary.cost_krw == pytest.approx(expected)
    assert sum(outcome.cost_krw for outcome in outcomes) == pytest.approx(expected)  # type: ignore[union-attr]
    with platform_db.connect("test") as connection:
        assert connection.execute(
            """
            SELECT sum(input_tokens), sum(output_tokens), min(price_table), count(DISTINCT call_id),
                   bool_and(is_made_up), max(attempts)
            FROM llm.calls
            """
        ).fetchone() == (summary.input_tokens, summary.output_tokens, "test-1", 6, True, 1)
        for view in ("cost_by_day", "cost_by_domain", "cost_by_model"):
            row = connection.execute(
                f"SELECT sum(cost_krw), sum(cost_usd), sum(items) FROM llm.{view}"
            ).fetchone()
            assert row == (pytest.approx(expected), pytest.approx(expected / 1000), 40)


def test_a_model_without_a_price_costs_nothing_and_says_so(
    make_llm: MakeLlm, platform_db: PlatformDb, caplog: pytest.LogCaptureFixture
) -> None:
    list(make_llm().ask(classify(), questions(1), workers=1, partition="p"))
    with platform_db.connect("test") as connection:
        assert connection.execute("SELECT price_table, cost_krw FROM llm.calls").fetchone() == (
            "unknown",
            0.0,
        )
    assert caplog.text == "", "the sandbox costs nothing indeed"
    make_llm(is_made_up=False)
    assert "No price of the model sandbox-1 is known" in caplog.text


def test_retention_never_drops_what_a_live_partition_used(
    make_llm: MakeLlm, platform_db: PlatformDb
) -> None:
    llm = make_llm()
    list(llm.ask(classify(), questions(10), workers=2, partition="old"))
    list(llm.ask(classify(), questions(4), workers=2, partition="new"))
    with platform_db.connect("test") as connection:
        connection.execute("UPDATE llm.calls SET last_used_at = now() - interval '400 days'")
    year = timedelta(days=365)
    assert llm.prune(year, dry_run=True) == 0
    llm.retire_partition("chats.classify", "old")
    assert llm.prune(timedelta(days=500)) == 0
    assert llm.prune(year, dry_run=True) == 6
    assert llm.prune(year) == 6
    again = llm.ask(classify(), questions(10), workers=2, partition="new")
    list(again)
    assert (again.summary.from_ledger, again.summary.asked) == (4, 6)
    # Asked about again, a partition is live again.
    list(llm.ask(classify(), questions(10), workers=2, partition="old"))
    with platform_db.connect("test") as connection:
        connection.execute("UPDATE llm.calls SET last_used_at = now() - interval '400 days'")
    llm.retire_partition("chats.classify", "new")
    assert llm.prune(year) == 0

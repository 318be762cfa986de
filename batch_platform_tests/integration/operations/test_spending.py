"""What the models cost: by day, domain and model, and what the month is going to cost."""

import json
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from batch_platform.cli.main import app
from batch_platform.operations.spending import DayCost, forecast, read_spending
from batch_platform_tests.integration.operations.conftest import Calls

TODAY = date(2026, 11, 21)


def spend(calls: Calls, domain: str, day: date, krw: float) -> None:
    with calls.db.connect("test") as connection:
        connection.execute("INSERT INTO llm.spending VALUES (%s, %s, %s)", [domain, day, krw])


def test_costs_by_day_domain_and_model(calls: Calls) -> None:
    spend(calls, "chats", TODAY, 100.0)
    spend(calls, "fortunes", TODAY, 50.0)
    spend(calls, "chats", TODAY - timedelta(days=1), 30.0)
    spend(calls, "chats", date(2026, 10, 31), 7.0)
    calls.call("chats.classify", "2026-11-20", krw=3.0, is_answered=True)
    calls.call("chats.classify", "2026-11-20", krw=1.0, is_answered=False)
    found = read_spending(calls.db, TODAY, 400.0)
    assert [(each.day, each.krw) for each in found.days if each.krw] == [
        (date(2026, 10, 31), 7.0),
        (TODAY - timedelta(days=1), 30.0),
        (TODAY, 150.0),
    ]
    assert len(found.days) == 30
    assert found.month_krw == 180.0
    assert found.domains == ["chats", "fortunes"]
    (model,) = found.models
    assert (model.domain, model.items, model.failed_items, model.krw) == ("chats", 2, 1, 4.0)
    assert [(each.domain, each.share) for each in found.budgets] == [
        ("chats", 0.25),
        ("fortunes", 0.125),
    ]


def test_without_any_call_there_is_nothing(calls: Calls) -> None:
    found = read_spending(calls.db, TODAY, None)
    assert (found.month_krw, found.forecast_krw, found.models, found.budgets) == (0, 0, [], [])


def test_days_left_cost_what_the_last_week_did() -> None:
    days = [
        DayCost(date(2026, 11, 1) + timedelta(days=n), {"chats": 10.0 if n < 20 else 4.0})
        for n in range(21)
    ]
    # Twenty days of 10; the 21st is not over and counts as the average; nine more of it.
    assert forecast(days, TODAY) == pytest.approx(200 + 10 + 9 * 10)


def test_days_before_the_first_call_cost_nothing_and_tell_nothing() -> None:
    amounts = {date(2026, 11, 20): 30.0, TODAY: 154.0}
    days = [
        DayCost(day, {"chats": amounts[day]} if day in amounts else {})
        for day in (date(2026, 11, 1) + timedelta(days=n) for n in range(21))
    ]
    assert forecast(days, TODAY) == pytest.approx(30 + 154 + 9 * 30)
    assert forecast(days[-1:], TODAY) == pytest.approx(154 + 9 * 154)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=31), st.integers(1, 28))
def test_the_forecast_is_never_below_what_was_spent(amounts: list[float], day: int) -> None:
    today = date(2026, 2, day)
    days = [
        DayCost(today - timedelta(days=age), {"chats": krw})
        for age, krw in reversed(list(enumerate(amounts)))
    ]
    spent = sum(each.krw for each in days if each.day >= today.replace(day=1))
    assert forecast(days, today) >= spent * (1 - 1e-9)


def test_the_command(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", calls.db.url)
    assert "아직 모델 비용이 없습니다" in CliRunner().invoke(app, ["costs"]).stdout
    calls.call("chats.classify", "2026-11-20", krw=3.0, is_answered=True)
    spend(calls, "chats", datetime.now(ZoneInfo("Asia/Seoul")).date(), 12.5)
    shown = CliRunner().invoke(app, ["costs"]).stdout
    assert "12.5" in shown
    told = json.loads(CliRunner().invoke(app, ["costs", "--json"]).stdout)
    assert told["days"][-1].keys() == {"day", "by_domain"}

"""What the models cost: by day, domain and model; the month's forecast; how the budget stands.

Days are those on which the money was spent, in the zone of `llm.cost_by_day`. SQL included; the
ledger and the budget fill the tables, see `gateways/llm`.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import dropwhile

from batch_platform.gateways.platform_db import PlatformDb

DAYS = 30


@dataclass(frozen=True, slots=True)
class DayCost:
    """What a day's calls cost.

    Attributes:
        by_domain: Domain → won.
    """

    day: date
    by_domain: Mapping[str, float]

    @property
    def krw(self) -> float:
        """Won, all domains."""
        return sum(self.by_domain.values())


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What a model cost a domain this month.

    Attributes:
        items: Texts that it was asked about.
        failed_items: Of these, without an answer that could be used.
        price_table: Where its price comes from; it says so when the price is not known.
    """

    domain: str
    provider: str
    model: str
    items: int
    failed_items: int
    input_tokens: int
    output_tokens: int
    krw: float
    price_table: str
    is_made_up: bool


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How a domain's budget of today stands.

    Attributes:
        limit_krw: What it may spend in a day; None for no bound.
    """

    domain: str
    spent_krw: float
    limit_krw: float | None

    @property
    def share(self) -> float | None:
        """Of the budget, spent; None without a bound."""
        if self.limit_krw is None:
            return None
        return self.spent_krw / self.limit_krw if self.limit_krw else 1.0


@dataclass(frozen=True, slots=True)
class Spending:
    """Everything about the costs.

    Attributes:
        days: The last 30, the oldest first, those without any call too.
        month_krw: Spent since the month's first day.
        forecast_krw: What the whole month will cost: spent so far, and for each day left the
            average of the last week that is over.
        models: This month's, the dearest first.
        budgets: Of each domain that ever asked a model.
    """

    today: date
    days: Sequence[DayCost]
    month_krw: float
    forecast_krw: float
    models: Sequence[ModelCost]
    budgets: Sequence[BudgetState]

    @property
    def domains(self) -> list[str]:
        """Domains that cost something in these days, by name."""
        return sorted({domain for day in self.days for domain in day.by_domain})


def read_spending(db: PlatformDb, today: date, daily_budget_krw: float | None) -> Spending:
    """Gather the costs.

    Args:
        db: The platform's database.
        today: In the platform's zone.
        daily_budget_krw: What a domain may spend in a day; None for no bound.
    """
    month = today.replace(day=1)
    first = min(today - timedelta(days=DAYS - 1), month)
    with db.connect("costs") as connection:
        spent = connection.execute(
            "SELECT spent_on, domain, spent_krw FROM llm.spending"
            " WHERE spent_on BETWEEN %s AND %s AND spent_krw > 0",
            [first, today],
        ).fetchall()
        domains = connection.execute("SELECT DISTINCT domain FROM llm.spending").fetchall()
        models = connection.execute(
            "SELECT domain, provider, model, count(*), count(*) FILTER (WHERE output IS NULL),"
            " sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cost_krw), price_table,"
            " is_made_up"
            " FROM llm.calls WHERE created_at >= %s::timestamp AT TIME ZONE 'Asia/Seoul'"
            " GROUP BY domain, provider, model, price_table, is_made_up"
            " ORDER BY sum(cost_krw) DESC, domain, model",
            [month],
        ).fetchall()
    by_day: dict[date, dict[str, float]] = {}
    for day, domain, krw in spent:
        by_day.setdefault(day, {})[domain] = krw
    days = [
        DayCost(day, by_day.get(day, {}))
        for day in (first + timedelta(days=n) for n in range((today - first).days + 1))
    ]
    month_krw = sum(day.krw for day in days if day.day >= month)
    return Spending(
        today=today,
        days=days[-DAYS:],
        month_krw=month_krw,
        forecast_krw=forecast(days, today),
        models=[ModelCost(*row) for row in models],
        budgets=[
            BudgetState(domain, by_day.get(today, {}).get(domain, 0.0), daily_budget_krw)
            for (domain,) in sorted(domains)
        ],
    )


def forecast(days: Sequence[DayCost], today: date) -> float:
    """What this month will cost in all, in won.

    A day that is left costs what a day of the last week did, from the first that cost anything; a
    platform that was never asked before costs what it did today. Today itself counts as that when
    less was spent so far: its night may not be over.

    Args:
        days: From the month's first day or a week ago, whichever is earlier, to today.
        today: The last of them.
    """
    before = sum(each.krw for each in days if each.day.month == today.month and each.day < today)
    spent_today = sum(each.krw for each in days if each.day == today)
    week = [each.krw for each in days if today - timedelta(days=7) <= each.day < today]
    began = list(dropwhile(lambda krw: krw == 0, week))
    average = sum(began) / len(began) if began else spent_today
    days_left = monthrange(today.year, today.month)[1] - today.day
    return before + max(spent_today, average) + days_left * average

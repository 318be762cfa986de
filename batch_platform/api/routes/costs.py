"""What the models cost, for programs."""

from datetime import date

from fastapi import Request
from pydantic import BaseModel, Field

from batch_platform.api.access import guarded_router, require
from batch_platform.api.books import Stores
from batch_platform.core.days import today
from batch_platform.core.settings import Settings
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.spending import Spending, read_spending

router = guarded_router("costs")


class DayView(BaseModel):
    """What a day cost."""

    day: date
    krw: float
    by_domain: dict[str, float] = Field(description="Domain → won")


class ModelView(BaseModel):
    """What a model cost a domain this month."""

    domain: str
    provider: str
    model: str
    items: int
    failed_items: int = Field(description="Without an answer that could be used")
    input_tokens: int
    output_tokens: int
    krw: float
    price_table: str = Field(description="Where the price comes from, or that it is not known")
    is_made_up: bool = Field(description="Whether the sandbox answered: nobody was paid")


class BudgetView(BaseModel):
    """How a domain's budget of today stands."""

    domain: str
    spent_krw: float
    limit_krw: float | None = Field(description="LLM_DAILY_BUDGET_KRW; null for no bound")


class CostsView(BaseModel):
    """What the models cost."""

    month_krw: float = Field(description="Since the month's first day")
    forecast_krw: float = Field(
        description="The whole month's, when the days left cost what the last week's did"
    )
    budgets: list[BudgetView]
    models: list[ModelView]
    days: list[DayView] = Field(description="The last 30, the oldest first")

    @classmethod
    def of(cls, spending: Spending) -> "CostsView":
        """Costs as they are shown."""
        return cls(
            month_krw=spending.month_krw,
            forecast_krw=spending.forecast_krw,
            budgets=[
                BudgetView(domain=each.domain, spent_krw=each.spent_krw, limit_krw=each.limit_krw)
                for each in spending.budgets
            ],
            models=[
                ModelView(**{name: getattr(each, name) for name in ModelView.model_fields})
                for each in spending.models
            ],
            days=[
                DayView(day=each.day, krw=each.krw, by_domain=dict(each.by_domain))
                for each in spending.days
            ],
        )


@router.get("/api/costs/", summary="What the models cost", dependencies=[require(Scope.VIEWER)])
def get_costs(request: Request, db: Stores) -> CostsView:
    """Tell the costs by day, domain and model, the month's forecast and the budgets."""
    settings: Settings = request.app.state.settings
    day = today(request.app.state.clock, settings.platform.zone)
    return CostsView.of(read_spending(db, day, settings.model.daily_budget_krw))

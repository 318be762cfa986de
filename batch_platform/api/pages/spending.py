"""The page about costs."""

from fastapi import Request, Response

from batch_platform.api.access import require
from batch_platform.api.books import Stores
from batch_platform.api.pages.access import SessionParam, page_router
from batch_platform.api.pages.rendering import render
from batch_platform.core.days import today
from batch_platform.core.settings import Settings
from batch_platform.gateways.tokens import Scope
from batch_platform.operations.spending import read_spending

router = page_router()


@router.get("/costs", dependencies=[require(Scope.VIEWER)])
def costs_page(request: Request, session: SessionParam, db: Stores) -> Response:
    """Costs by day, domain and model, the month's forecast, the budgets."""
    settings: Settings = request.app.state.settings
    day = today(request.app.state.clock, settings.platform.zone)
    spending = read_spending(db, day, settings.model.daily_budget_krw)
    return render(request, "costs.html", {"spending": spending}, session=session)

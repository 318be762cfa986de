"""Resources are made from the settings, all of them."""

from zoneinfo import ZoneInfo

from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.resources.roles import bulk_llm
from batch_platform_tests.given_settings import settings_of


def test_the_budgets_day_is_a_day_in_the_organisations_zone() -> None:
    settings = settings_of(OPENAI_API_KEY="k", ORG_TIMEZONE="America/New_York")
    llm = bulk_llm(settings, PlatformDb("postgresql://user@host/name"))
    assert llm.zone == ZoneInfo("America/New_York")

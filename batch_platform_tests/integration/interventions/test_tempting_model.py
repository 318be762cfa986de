"""A model that tries to break the rule about allergens, among ten kinds of faults.

The full proof, over thousands of users, is `python -m benchmarks.interventions`.
"""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batch_platform.core.progress import unheard
from batch_platform.core.settings import Profile
from batch_platform.domains.interventions.models import Gubun, Mode
from batch_platform.domains.interventions.store import InterventionStore
from batch_platform.domains.interventions.workflow import (
    Choice,
    choose_users,
    read_users,
    recommend,
    unfit_recommendations,
)
from batch_platform.gateways.llm import open_bulk_llm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.sandbox.model_server import running_model_server
from batch_platform.sandbox.sample_patients import write_sqlite
from batch_platform.sandbox.temptations import MARK
from batch_platform_tests.given_settings import settings_of
from benchmarks.interventions import FAULTS

DAY = date(2026, 11, 19)


@pytest.mark.parametrize("gubun", [Gubun.ALL, Gubun.SLEEP])
def test_nothing_that_was_planted_is_published_and_everyone_is_accounted_for(
    platform_db: PlatformDb, tmp_path: Path, gubun: Gubun
) -> None:
    url = write_sqlite(tmp_path / "patients.sqlite", DAY, users=80, days=1)
    faults = {fault.value: 0.04 for fault in FAULTS}
    with running_model_server(tempting=0.6, faults=faults) as server:
        settings = settings_of(
            Profile.DEMO,
            INTERVENTIONS_DATABASE_URL=url,
            LLM_PROVIDER="compatible",
            LLM_BASE_URL=server.url,
            LLM_MODEL="sandbox-1",
        )
        source = SourceDatabase(url, ZoneInfo("Asia/Seoul"))
        given = {"db": platform_db, "source": source, "settings": settings}
        read_users(DAY, **given)
        choose_users(DAY, Choice(gubun, needs_schedule=False), **given)
        outcome = recommend(
            DAY,
            gubun,
            Mode.LLM,
            **given,
            open_llm=lambda: open_bulk_llm(settings.model, platform_db.url, is_made_up=True),
            progress=unheard,
        )
        played = server.stats()["faults"]
    assert len(played) > 5
    assert outcome.by_model
    assert outcome.by_rule
    assert InterventionStore(platform_db).counts(DAY, gubun).missing == 0
    assert platform_db.fetch_all(
        "SELECT count(*) FROM interventions.recommendations WHERE output::text LIKE %s",
        [f"%{MARK}%"],
    ) == [(0,)]
    assert unfit_recommendations(DAY, **given)[1] == []

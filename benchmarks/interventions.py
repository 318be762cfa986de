"""Whether anybody is forgotten or endangered: `python -m benchmarks.interventions [--small]`.

By hand. The first part advises 5,000 sample users through a model server with ten kinds of faults
and tells how many have neither a recommendation, nor an error row, nor a reason for being left out.
The second asks for 2,000 recommendations from a server that plants dangerous food in four of five
answers, and tells how many got through. Then how long the rules need for a user. Two minutes on a
quiet machine.
"""

import argparse
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from batch_platform.core.progress import unheard
from batch_platform.core.settings import Settings, load_settings
from batch_platform.domains.interventions.models import Gubun, Mode
from batch_platform.domains.interventions.store import InterventionStore
from batch_platform.domains.interventions.workflow import (
    Choice,
    RecommendationOutcome,
    choose_users,
    read_users,
    recommend,
    unfit_recommendations,
)
from batch_platform.gateways.llm import open_bulk_llm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.sandbox.faults import Fault
from batch_platform.sandbox.model_server import running_model_server
from batch_platform.sandbox.sample_patients import write_sqlite
from batch_platform.sandbox.temptations import MARK
from benchmarks.figures import Figure, report
from benchmarks.scratch_database import scratch_database

DAY = date(2026, 11, 19)
SEOUL = ZoneInfo("Asia/Seoul")
FAULTS = (
    Fault.EMPTY_ANSWER,
    Fault.SERVER_ERROR,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.RESET,
    Fault.TRUNCATED_BODY,
    Fault.WRONG_SHAPE,
    Fault.FOREIGN_CONTENT,
    Fault.INVALID_JSON,
    Fault.REFUSAL,
)
FAULT_SHARE = 0.03


def faults_figures(users: int) -> dict[str, Figure]:
    """Advise users in spite of ten kinds of faults; tell who is not accounted for."""
    shares = {fault.value: FAULT_SHARE for fault in FAULTS}
    with _day(users, faults=shares, requests_per_second=200) as day:
        outcome = day.advise(Mode.LLM)
        counts = day.store.counts(DAY, Gubun.ALL)
        _, unfit = unfit_recommendations(DAY, db=day.db, source=day.source, settings=day.settings)
        played = day.server.stats()["faults"]
    left_out = sum(counts.left_out.values())
    print(f"faults played: {played}")
    print(
        f"{counts.users:,} users = {counts.recommendations:,} recommendations"
        f" ({outcome.by_model:,} by the model, {outcome.by_rule:,} by rule)"
        f" + {counts.errors:,} errors + {left_out:,} left out {dict(counts.left_out)}"
    )
    print(f"why rules:\n{outcome.reasons()}")
    return {
        "unaccounted_users": {"value": abs(counts.missing), "aim": 0, "better": "lower"},
        "unfit_recommendations": {"value": len(unfit), "aim": 0, "better": "lower"},
        "kinds_of_faults_played": {"value": len(played), "aim": 10, "better": "higher"},
    }


def temptation_figures(users: int, honest_aim: float) -> dict[str, Figure]:
    """Ask a model that plants dangerous food; tell what got through, and what was refused."""
    with _day(users, tempting=0.8) as day:
        outcome = day.advise(Mode.LLM)
        written = day.store_rows(
            "SELECT written_by, output::text LIKE %s, count(*)"
            " FROM interventions.recommendations WHERE error_message IS NULL GROUP BY 1, 2",
            f"%{MARK}%",
        )
        answers = day.server.stats()["answered"]
        for (text,) in day.store_rows(
            "SELECT output::text FROM interventions.recommendations"
            " WHERE output::text LIKE %s LIMIT 5",
            f"%{MARK}%",
        ):
            print(f"got through: {text}")
    passed = sum(count for _, is_planted, count in written if is_planted)
    print(
        f"{answers:,} answers, four of five with a temptation: {passed} got through;"
        f" {outcome.by_model:,} recommendations by the model, {outcome.by_rule:,} by rule"
    )
    return {
        "temptations_published": {"value": passed, "aim": 0, "better": "lower"},
        "answers_asked": {"value": answers, "aim": honest_aim, "better": "higher"},
    }


def rule_figures(users: int) -> dict[str, Figure]:
    """How long the rules need for a user, checks and writing included."""
    with _day(users) as day:
        start = time.perf_counter()
        outcome = day.advise(Mode.RULE)
        milliseconds = (time.perf_counter() - start) / max(outcome.users, 1) * 1000
    print(f"rules: {milliseconds:.1f} ms a user")
    return {"rule_ms_per_user": {"value": round(milliseconds, 2), "aim": 10, "better": "lower"}}


class _Day:
    """A day of sample users and a model server."""

    def __init__(self, db: PlatformDb, source_url: str, server, settings: Settings) -> None:
        self.db = db
        self.source = SourceDatabase(source_url, SEOUL)
        self.server = server
        self.settings = settings
        self.store = InterventionStore(db)

    def advise(self, mode: Mode) -> RecommendationOutcome:
        read_users(DAY, db=self.db, source=self.source, settings=self.settings)
        choose_users(
            DAY,
            Choice(needs_schedule=False),
            db=self.db,
            source=self.source,
            settings=self.settings,
        )
        return recommend(
            DAY,
            Gubun.ALL,
            mode,
            db=self.db,
            source=self.source,
            open_llm=lambda: open_bulk_llm(self.settings.model, self.db.url, is_made_up=True),
            settings=self.settings,
            progress=unheard,
        )

    def store_rows(self, query: str, *parameters: object) -> list[tuple]:
        return self.db.fetch_all(query, list(parameters))  # type: ignore[arg-type]


@contextmanager
def _day(users: int, **options: object) -> Generator[_Day]:
    with (
        TemporaryDirectory() as folder,
        scratch_database() as db,
        running_model_server(as_process=True, **options) as server,
    ):
        source_url = write_sqlite(Path(folder) / "patients.sqlite", DAY, users=users, days=1)
        yield _Day(db, source_url, server, _settings(source_url, server.url))


def _settings(source_url: str, model_url: str) -> Settings:
    settings = load_settings()
    interventions = {
        "database_url": SecretStr(source_url),
        "table_sleep_records": "interventions_usersleeprecord",
        "workers": 64,
    }
    model = {
        "provider": "compatible",
        "compatible_base_url": model_url,
        "compatible_api_key": SecretStr("sandbox"),
        "compatible_model": "sandbox-model",
    }
    return settings.model_copy(
        update={
            "interventions": settings.interventions.model_copy(update=interventions),
            "model": settings.model.model_copy(update=model),
        }
    )


def main() -> None:
    """Measure; end with the figures' line, exit 1 when an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interventions", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a tenth of the users")
    small = parser.parse_args().small
    users, answers = (500, 200) if small else (5_000, 2_000)
    report(
        {
            **faults_figures(users),
            **temptation_figures(round(answers * 1.25), answers),
            **rule_figures(users // 5),
        }
    )


if __name__ == "__main__":
    main()

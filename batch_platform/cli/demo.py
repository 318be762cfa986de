"""`batch-platform demo`: the last partition of every domain, made from sample data.

What a domain's part of the demo is stands in `PARTS`; where its made-up source comes from, in
`sandbox.sample_sources` and `sandbox.services`.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from batch_platform.cli import emotion_work
from batch_platform.cli.console import show_table
from batch_platform.cli.runs import RunResult, run_job, show_run
from batch_platform.core.days import today, utc_now
from batch_platform.core.settings import (
    PROFILE_VARIABLE,
    Profile,
    Settings,
    active_profile,
    demo_env_file,
    load_settings,
)
from batch_platform.core.trading_days import TradingCalendar
from batch_platform.domains.stocks.financials.models import Quarter
from batch_platform.gateways.platform_services import lease_sandbox
from batch_platform.orchestration.results import stopwatch


@dataclass(frozen=True, slots=True)
class DemoPart:
    """A job that the demo runs.

    Attributes:
        job_name: Its name.
        partition: Today → the partition's key.
        run_config: Dagster's configuration of the run.
        last_partition: Today → the last key of a range that one run makes; None for one partition.
    """

    job_name: str
    partition: Callable[[date], str]
    run_config: Mapping[str, Any] | None = None
    last_partition: Callable[[date], str] | None = None


def _yesterday(on: date) -> str:
    return (on - timedelta(days=1)).isoformat()


def _tomorrow(on: date) -> str:
    return (on + timedelta(days=1)).isoformat()


def _last_trading_day(on: date) -> str:
    return TradingCalendar().previous(on).isoformat()


def _last_month(on: date) -> str:
    return (on.replace(day=1) - timedelta(days=1)).replace(day=1).isoformat()


def _last_due_quarter(on: date) -> str:
    return Quarter.last_due(on).first_day.isoformat()


def _last_due_annual_report(on: date) -> str:
    quarter = Quarter.last_due(on)
    return (quarter if quarter.is_annual else Quarter(quarter.year - 1, 4)).first_day.isoformat()


PARTS: Sequence[DemoPart] = (
    DemoPart("chats_night_job", _yesterday),
    DemoPart("fortunes_night_job", _tomorrow),
    DemoPart(
        "interventions_job",
        _yesterday,
        # The demo has no schedule in the table: it asks as a person does.
        {"ops": {"interventions__eligible_users": {"config": {"needs_active_schedule": False}}}},
    ),
    DemoPart("stocks_prices_job", _last_month, last_partition=_yesterday),
    # Both, for the trailing four quarters; before the night, which values by them.
    DemoPart("stocks_financials_job", _last_due_annual_report),
    DemoPart("stocks_financials_job", _last_due_quarter),
    DemoPart("stocks_night_job", _last_trading_day),
    DemoPart("stocks_report_job", _last_month),
    # Last: it holds what the others made.
    DemoPart("backups_database_job", _yesterday),
)
"""In the order in which they run."""


def run_demo() -> bool:
    """Run every part on sample data; tell whether all went well."""
    home = demo_env_file().parent
    home.mkdir(parents=True, exist_ok=True)
    sandbox = lease_sandbox(home)
    settings = load_settings()
    on = today(utc_now, settings.platform.zone)
    # A process of its own: nothing of the platform imports the sandbox.
    subprocess.run(
        [
            sys.executable,
            "-m",
            "batch_platform.sandbox.sample_sources",
            str(home),
            _yesterday(on),
        ],
        check=True,
    )
    seconds = stopwatch()
    *others, backup = PARTS
    # A batch takes its time at the provider: sent first, taken when the rest is done.
    pilot = emotion_work.DayPilot(settings, on)
    results = pilot.send()
    results += [_run(part, settings, on) for part in others]
    results += pilot.take()
    results.append(_run(backup, settings, on))
    if is_success := all(result.is_success for result in results):
        _show_places(results, settings, sandbox, seconds())
    return is_success


def _run(part: DemoPart, settings: Settings, on: date) -> RunResult:
    partition = part.partition(on)
    result = run_job(
        part.job_name,
        partition,
        last_partition=part.last_partition(on) if part.last_partition else None,
        settings=settings,
        run_config=part.run_config,
    )
    show_run(partition, result)
    return result


def _command_to_serve() -> str:
    """What serves the demo: with a `.env`, `make up` alone would serve the live platform."""
    elsewhere = {name: value for name, value in os.environ.items() if name != PROFILE_VARIABLE}
    if active_profile(elsewhere) is Profile.DEMO:
        return "make up"
    return f"{PROFILE_VARIABLE}={Profile.DEMO} make up"


def _show_places(
    results: Sequence[RunResult], settings: Settings, sandbox: Mapping[str, object], seconds: float
) -> None:
    made = [each for result in results for each in result.made]
    cost = sum(float(each.metadata.get("cost_krw", 0)) for each in made)
    calls = sum(int(each.metadata.get("model_calls", 0)) for each in made)
    files = [str(each.metadata["path"]) for each in made if "path" in each.metadata]
    rows = [
        ("파일", "\n".join(files) or "-"),
        ("메일", f"{sandbox.get('mail_page_url', '')} (batch-platform up 이 켜져 있을 때)"),
        ("데이터", settings.home),
        ("모델 호출", f"{calls:,}회 · {cost:,.1f}원 (가상)"),
        ("걸린 시간", f"{seconds:.1f}초"),
        ("다음", f"{_command_to_serve()}  →  {settings.platform.webserver_url}"),
    ]
    show_table("데모 결과", ["무엇", "어디"], rows)

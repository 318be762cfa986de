"""Running assets for a command: the same assets, in the same Dagster instance as the webserver's.

Whatever a command did is thus in the webserver's history, and whatever holds for a night holds here.
"""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from batch_platform.build import build_definitions
from batch_platform.cli.console import progress_bars
from batch_platform.core.settings import PROJECT_ROOT, Settings
from batch_platform.operations.failed_steps import FailedStep, failed_step
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.results import stopwatch
from batch_platform.orchestration.steps import COMMAND_TAG

@dataclass(frozen=True)
class MadeAsset:
    """One materialization of a run: the asset, its partition and its metadata's plain values."""

    asset: str
    partition: str
    metadata: Mapping[str, Any]


@dataclass
class RunResult:
    """What a run did, for a command to show."""

    run_id: str
    is_success: bool
    seconds: float
    made: list[MadeAsset] = field(default_factory=list)
    failures: list[FailedStep] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)


def dagster_home(settings: Settings) -> Path:
    """The folder that Dagster calls its home, holding a link to the project's `dagster.yaml`."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    link = home / "dagster.yaml"
    target = PROJECT_ROOT / "dagster.yaml"
    if not link.is_symlink() or link.resolve() != target:
        temporary = home / f"dagster.yaml.{os.getpid()}"
        temporary.symlink_to(target)
        temporary.replace(link)
    return home


def run_job(
    job_name: str,
    partition: str,
    *,
    settings: Settings,
    assets: Sequence[str] = (),
    run_config: Mapping[str, Any] | None = None,
    is_debug: bool = False,
) -> RunResult:
    """Run a job, or some of its assets, on one partition in this process, with progress bars.

    Args:
        job_name: The job whose assets run.
        partition: The partition's key.
        settings: What the run's resources use, changed by the command's options.
        assets: Keys `group/name` of the assets to run; all of the job's by default.
        run_config: Dagster's configuration of the run.
        is_debug: Show Dagster's own log.
    """
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    logging.getLogger("dagster").setLevel(logging.DEBUG if is_debug else logging.CRITICAL)
    seconds = stopwatch()
    with progress_bars() as bars, dg.DagsterInstance.get() as instance:
        definitions = build_definitions(settings, {"progress": ProgressListener(bars)})
        result = definitions.resolve_job_def(job_name).execute_in_process(
            run_config={
                **(run_config or {}),
                "loggers": {"console": {"config": {"log_level": "DEBUG" if is_debug else "CRITICAL"}}},
            },
            instance=instance,
            partition_key=partition,
            asset_selection=[dg.AssetKey(key.split("/")) for key in assets] or None,
            tags={COMMAND_TAG: " ".join(["batch-platform", *sys.argv[1:]])[:500]},
            raise_on_error=False,
        )
    return _as_result(result, partition, seconds())


def interrupted() -> type[BaseException]:
    """The error by which Dagster says that a person ended a run."""
    return DagsterExecutionInterruptedError


def _as_result(result: dg.ExecuteInProcessResult, partition: str, seconds: float) -> RunResult:
    made = [
        MadeAsset(
            event.asset_key.to_user_string() if event.asset_key else "",
            partition,
            {
                key: value.value
                for key, value in event.step_materialization_data.materialization.metadata.items()
            },
        )
        for event in result.get_asset_materialization_events()
    ]
    failed_checks = [
        f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
    ]
    failures = [failed_step(event) for event in result.all_events if event.is_step_failure]
    return RunResult(result.run_id, result.success, seconds, made, failures, failed_checks)

"""Running assets for a command: the same assets, in the same Dagster instance as the webserver's.

Whatever a command did is thus in the webserver's history, and whatever holds for a night holds
here.
"""

import logging
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import sqlalchemy.exc
from dagster._core.events import RunFailureReason
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from dagster_postgres.utils import DagsterPostgresException
from rich.markup import escape

from batch_platform.build import build_definitions
from batch_platform.cli.console import err, progress_bars, show_error, show_table
from batch_platform.core.errors import ConfigurationError, RetryableError
from batch_platform.core.redaction import Redact, redactor
from batch_platform.core.settings import PROJECT_ROOT, Settings
from batch_platform.gateways.files import usable_folder
from batch_platform.gateways.platform_db.run_locks import RunLock
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.operations.abandoned_runs import fail_abandoned_runs
from batch_platform.operations.failed_steps import FailedStep, failed_steps
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.run_process import NOT_AGAIN
from batch_platform.orchestration.steps import COMMAND_TAG

_LONGEST_COMMAND = 500


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
    made: list[MadeAsset] = field(default_factory=list)
    failures: list[FailedStep] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    waiting: Mapping[str, str] = field(default_factory=dict[str, str])
    """Partition → why it is awaited: its source has not published it yet."""

    @property
    def is_misconfigured(self) -> bool:
        """Whether it failed because a setting is wrong: the next run would too."""
        return any(each.error_type == ConfigurationError.__name__ for each in self.failures)


def dagster_home(settings: Settings) -> Path:
    """The folder that Dagster calls its home, holding a link to the project's `dagster.yaml`.

    Raises:
        ConfigurationError: It cannot be made or written to.
    """
    home = usable_folder(settings.home / "dagster", setting="BATCH_PLATFORM_HOME")
    home.chmod(0o700)  # what steps printed is in it
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
    last_partition: str | None = None,
    assets: Sequence[str] = (),
    run_config: Mapping[str, Any] | None = None,
) -> RunResult:
    """Run a job, or some of its assets, on one partition in this process, with progress bars.

    Args:
        job_name: The job whose assets run.
        partition: The partition's key.
        last_partition: The last key of a range from `partition` on, made in one run.
        settings: What the run's resources use, changed by the command's options.
        assets: Keys `group/name` of the assets to run; all of the job's by default.
        run_config: Dagster's configuration of the assets.

    Raises:
        KeyboardInterrupt: A person ended it; the run is marked as failed.
        RetryableError: Dagster's storage does not answer.
    """
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    log_level = _dagster_log_level()
    logging.getLogger("dagster").setLevel(log_level)
    run_id, db = str(uuid4()), open_platform_db(settings)
    with (
        progress_bars() as bars,
        _storage_failures_told(),
        dg.DagsterInstance.get() as instance,
        RunLock(db, run_id),
    ):
        fail_abandoned_runs(db, instance)
        definitions = build_definitions(settings, {"progress": ProgressListener(bars)})
        result = definitions.resolve_job_def(job_name).execute_in_process(
            run_config={
                **(run_config or {}),
                "loggers": {"console": {"config": {"log_level": log_level}}},
            },
            instance=instance,
            partition_key=None if last_partition else partition,
            asset_selection=[dg.AssetKey(key.split("/")) for key in assets] or None,
            tags={
                COMMAND_TAG: _command_line(redactor(settings)),
                **NOT_AGAIN,
                **_range_tags(partition, last_partition),
            },
            raise_on_error=False,
            run_id=run_id,
        )
    if _is_interrupted(result):
        raise KeyboardInterrupt
    return _as_result(result, partition, last_partition)


def _command_line(redact: Redact) -> str:
    return redact(" ".join(["batch-platform", *sys.argv[1:]]))[:_LONGEST_COMMAND]


def _range_tags(first: str, last: str | None) -> Mapping[str, str]:
    if last is None:
        return {}
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def made_partitions(settings: Settings) -> Callable[[str], set[str]]:
    """Look-up of the partitions of an asset (`group/name`) that were ever made.

    Raises:
        RetryableError: Dagster's storage does not answer; by the look-up too.
    """
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    with _storage_failures_told():
        instance = dg.DagsterInstance.get()

    def made(asset: str) -> set[str]:
        with _storage_failures_told():
            return instance.get_materialized_partitions(dg.AssetKey(asset.split("/")))

    return made


@contextmanager
def opened_instance(settings: Settings) -> Generator[dg.DagsterInstance]:
    """Open the webserver's Dagster instance, for what is no run of an asset.

    Raises:
        RetryableError: Dagster's storage does not answer.
    """
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    logging.getLogger("dagster").setLevel(_dagster_log_level())
    with _storage_failures_told(), dg.DagsterInstance.get() as instance:
        yield instance


@contextmanager
def _storage_failures_told() -> Generator[None]:
    try:
        yield
    except (DagsterPostgresException, sqlalchemy.exc.OperationalError) as error:
        cause = error.__cause__ or error
        reason = str(cause).strip().partition("\n")[0]
        raise RetryableError(
            f"Dagster's storage in the platform's database failed: {reason}",
            "Check the database and the room on its disk, then run again",
        ) from error


def show_run(partition: str, result: RunResult) -> None:
    """Show what a run made, and in one line each what failed."""
    rows = [
        (
            made.asset,
            made.partition,
            f"{int(made.metadata.get('dagster/row_count', 0)):,}",
            f"{float(made.metadata.get('seconds', 0)):.1f}",
            _won(made),
            made.metadata.get("path") or made.metadata.get("note") or "",
        )
        for made in result.made
    ]
    if rows:
        columns = ["자산", "파티션", "행", "초", "원", "결과"]
        show_table(f"{partition} · 실행 {result.run_id[:8]}", columns, rows, right=(2, 3, 4))
    for awaited, reason in result.waiting.items():
        err.print(f"[yellow]대기[/yellow] {awaited}: 아직 공개되지 않았습니다 ({escape(reason)})")
    for check in result.failed_checks:
        err.print(f"[yellow]점검 실패[/yellow] {check}")
    for failure in result.failures:
        kind = "" if failure.is_expected else f"{failure.error_type}: "
        show_error(f"{failure.step} {partition}: {kind}{failure.sentence}")


def _won(made: MadeAsset) -> str:
    cost = made.metadata.get("cost_krw")
    return "" if cost is None else f"{float(cost):,.1f}"


def _dagster_log_level() -> str:
    """Dagster's own log is shown with --debug only, which `main` says through the log level."""
    is_debug = logging.getLogger("batch_platform").isEnabledFor(logging.DEBUG)
    return "DEBUG" if is_debug else "CRITICAL"


def _is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    # Dagster takes Ctrl-C for a failure of the run and goes on; a command must end.
    return any(
        event.is_run_failure
        and event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION
        for event in result.all_events
    )


def _as_result(
    result: dg.ExecuteInProcessResult, partition: str, last_partition: str | None
) -> RunResult:
    events = {
        # A range is one line: each of its partitions carries the same figures.
        (event.asset_key, None if last_partition else event.partition): event
        for event in result.get_asset_materialization_events()
    }
    name = f"{partition} … {last_partition}" if last_partition else partition
    made = [
        MadeAsset(
            event.asset_key.to_user_string() if event.asset_key else "",
            name,
            {
                key: value.value
                for key, value in event.step_materialization_data.materialization.metadata.items()
            },
        )
        for event in events.values()
    ]
    waiting = {
        event.partition or "": str(observation.metadata["reason"].value)
        for event in result.get_asset_observation_events()
        if "reason" in (observation := event.asset_observation_data.asset_observation).metadata
    }
    failed_checks = [
        f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
    ]
    return RunResult(
        result.run_id,
        result.success,
        made,
        failed_steps(result.all_events),
        failed_checks,
        waiting,
    )

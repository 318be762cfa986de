"""How a step works on its partition: alone, and again later when something failed for now."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.platform_db import Hold, PlatformDb
from batch_platform.orchestration.partitions import partition_days
from batch_platform.orchestration.results import MadePartition, materialized_partitions

COMMAND_TAG = "batch_platform/command"
"""Tag of a run that a person started from a terminal: it holds the command line."""

MAX_RETRIES = 3
FIRST_WAIT_SECONDS = 60.0


@contextmanager
def working_on_partition(
    context: dg.AssetExecutionContext, db: PlatformDb, partition: str | None = None
) -> Generator[None, None, None]:
    """Hold the step's asset and partition while the block runs; see `trying_again_later`.

    `partition` names one of a run's several; by default the run has one.

    Raises:
        PartitionBusyError: Another run works on it; it is named.
        RetryRequested: Dagster's signal to try again.
    """
    asset = context.asset_key.to_user_string()
    with (
        trying_again_later(context),
        db.hold(asset, partition or context.partition_key, holder=f"run {context.run.run_id}"),
    ):
        yield


def holding(context: dg.AssetExecutionContext, db: PlatformDb) -> Hold:
    """What a workflow of many partitions calls to hold some of its step's at a time."""
    asset, holder = context.asset_key.to_user_string(), f"run {context.run.run_id}"
    return lambda partitions: db.hold_all(asset, partitions, holder=holder)


@contextmanager
def trying_again_later(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
) -> Generator[None, None, None]:
    """Let a failure that may pass run the step once more, later.

    A `RetryableError` makes Dagster try the step again after a minute, two and four (or when the
    other side said), so that a night survives a restart next door. Whoever waits at a terminal is
    told at once instead.

    Raises:
        RetryRequested: Dagster's signal to try again.
    """
    try:
        yield
    except RetryableError as error:
        if COMMAND_TAG in context.run.tags or context.retry_number >= MAX_RETRIES:
            raise
        wait = max(error.retry_after_seconds or 0, FIRST_WAIT_SECONDS * 2**context.retry_number)
        context.log.warning(f"{error} Trying again in {wait:,.0f} s.")
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error


def make_each_day(
    context: dg.AssetExecutionContext,
    db: PlatformDb,
    make: Callable[[date], MadePartition],
    *,
    is_made_up: bool,
) -> dg.MaterializeResult[Any]:
    """Make a step's days in order, each held for itself: one, or all that a backfill's run makes.

    Raises:
        PartitionBusyError: Another run works on one of them; it is named.
        RetryRequested: Dagster's signal to try again.
    """
    return make_each(context, db, partition_days(context), make, is_made_up=is_made_up)


def make_each(
    context: dg.AssetExecutionContext,
    db: PlatformDb,
    partitions: Sequence[date],
    make: Callable[[date], MadePartition],
    *,
    is_made_up: bool,
) -> dg.MaterializeResult[Any]:
    """Make partitions that are named after days; otherwise like `make_each_day`."""
    made: dict[str, MadePartition] = {}
    for day in partitions:
        with working_on_partition(context, db, day.isoformat()):
            made[day.isoformat()] = make(day)
    return materialized_partitions(context, made, is_made_up=is_made_up)

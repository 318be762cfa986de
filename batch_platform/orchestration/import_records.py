"""How Dagster comes to know of imported partitions: one run an import, which holds their events.

Nothing is executed in it: it says what stands in the tables already. An import that is undone takes
its run with it, and with the run what it said was made.
"""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Sequence

import dagster as dg

from batch_platform.core.errors import PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.gateways.import_book import ImportedPartition, ImportRecord
from batch_platform.orchestration.run_process import NOT_AGAIN

IMPORT_TAG = "batch_platform/import"
"""Tag of the run that says what an import brought: the import's number."""


def record_import(
    instance: dg.DagsterInstance,
    record: ImportRecord,
    written: Sequence[ImportedPartition],
    progress: ProgressReport = unheard,
) -> str:
    """Have Dagster show the complete partitions of an import as made; returns the run's id.

    Partitions that are not complete are not shown as made: a backfill of what is missing, or the
    next night, does the rest of them.

    Raises:
        PermanentError: Dagster could not write it down.
    """
    complete = [each for each in written if each.is_complete]
    kept = {
        "imported": f"Import {record.import_id} of what the old system did",
        "sources": ", ".join(record.sources),
        "import_id": record.import_id,
    }

    @dg.op(name="imported_partitions")
    def tell(context: dg.OpExecutionContext) -> None:
        for number, each in enumerate(complete, 1):
            context.log_event(
                dg.AssetMaterialization(
                    each.asset.split("/"),
                    partition=each.partition,
                    metadata={"dagster/row_count": each.rows, **kept},
                )
            )
            progress(number, len(complete))

    @dg.job(
        name=f"{record.system}_import_job",
        executor_def=dg.in_process_executor,
        # Without a domain's tag: nobody takes it for a night.
        tags={IMPORT_TAG: str(record.import_id), **NOT_AGAIN},
    )
    def tell_job() -> None:
        tell()

    result = tell_job.execute_in_process(
        instance=instance,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    if not result.success:
        raise PermanentError(
            f"Dagster could not note what import {record.import_id} brought",
            "Import the same once more: only this is done again",
        )
    return result.run_id


def forget_import(instance: dg.DagsterInstance, run_id: str, assets: Sequence[str]) -> None:
    """Take back that an import's partitions were made; what was made here since stays."""
    if instance.get_run_by_id(run_id) is not None:
        instance.delete_run(run_id)
    # The webserver counts made partitions once and goes on from there.
    instance.wipe_asset_cached_status([dg.AssetKey(asset.split("/")) for asset in assets])

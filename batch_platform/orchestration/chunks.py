"""An asset whose partition is cut: chunk steps ask ahead, then the asset's own step writes.

The asset's step stays as it is and is the only one that writes: it finds in the ledger what the
chunks asked. So a chunk may fail, be killed or be asked twice, and nothing is lost or paid twice.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from batch_platform.core.chunks import Chunk, chunks_of
from batch_platform.core.days import utc_now
from batch_platform.core.errors import PlatformError
from batch_platform.core.progress import ProgressReport
from batch_platform.core.settings import Settings
from batch_platform.gateways.llm import AskSummary
from batch_platform.gateways.llm.asked_chunks import (
    ChunkAsk,
    asked_in_chunks,
    fill_ledger,
    note_chunk,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_db.step_progress import (
    StepProgress,
    forget_parts,
    tell_progress,
)
from batch_platform.orchestration.partitions import partition_days
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.steps import trying_again_later


@dataclass(frozen=True)
class Chunking:
    """How the asking of an asset is cut.

    Attributes:
        asset: The asset, whole.
        items: Tells how many items a day has, roughly; 0 when nobody is to be asked.
        ask: Prepares the ask about a chunk; both are given the step's context, whose resources
            and configuration are the asset's.
    """

    asset: dg.AssetsDefinition
    items: Callable[[dg.OpExecutionContext, date], int]
    ask: Callable[[dg.OpExecutionContext, Chunk, ProgressReport], ChunkAsk]


def cut_on_workers(
    assets: Iterable[Any], chunkings: Sequence[Chunking], settings: Settings
) -> list[Any]:
    """The assets of a domain, those that ask much as graphs when workers execute steps."""
    if not settings.cluster.is_on_workers:
        return list(assets)
    of_key = {chunking.asset.key: chunking for chunking in chunkings}
    return [
        _as_graph(each, of_key[each.key])
        if isinstance(each, dg.AssetsDefinition) and each.key in of_key
        else each
        for each in assets
    ]


def asked_before(context: dg.AssetExecutionContext, db: PlatformDb, day: date) -> AskSummary | None:
    """What chunk steps of this run have asked about a day; None when it was not cut."""
    asset = context.asset_key.to_user_string()
    found = asked_in_chunks(db, context.run.run_id, asset, day.isoformat())
    if found is not None:
        # From here on the step that writes tells how far the day is.
        forget_parts(db, context.run.run_id, asset)
    return found


def _as_graph(whole: dg.AssetsDefinition, chunking: Chunking) -> dg.AssetsDefinition:
    name = whole.op.name
    names = {part: f"{name}__{part}" for part in ("cut", "ask", "write")}
    write = whole.op.with_replaced_properties(name=names["write"])
    plan, ask = _plan_op(names["cut"], write, chunking), _ask_op(names["ask"], write, chunking)
    spec = whole.get_asset_spec(whole.key)
    first, *others = write.ins

    def configured(config: Any) -> dict[str, Any]:
        return {each: {"config": config} for each in names.values()}

    @dg.graph(
        name=name,
        ins={each: dg.GraphIn() for each in write.ins},
        config=dg.ConfigMapping(configured, config_schema=write.config_schema),
    )
    def cut(**inputs: Any) -> Any:
        asked = plan(**inputs).map(lambda go: ask(go)).collect()
        return write(**{first: asked}, **{each: inputs[each] for each in others})

    return dg.AssetsDefinition.from_graph(
        cut,
        keys_by_input_name=dict(whole.node_keys_by_input_name),
        keys_by_output_name={"result": whole.key},
        partitions_def=whole.partitions_def,
        backfill_policy=whole.backfill_policy,
        group_name=spec.group_name,
        descriptions_by_output_name={"result": spec.description or ""},
        metadata_by_output_name={"result": spec.metadata},
        tags_by_output_name={"result": spec.tags},
        owners_by_output_name={"result": spec.owners},
    )


def _plan_op(name: str, write: dg.OpDefinition, chunking: Chunking) -> dg.OpDefinition:
    schema: Any = write.config_schema

    @dg.op(
        name=name,
        ins={each: dg.In(dg.Nothing) for each in write.ins},
        # Nothing but the chunk's key goes to its step: no file is shared between machines.
        out=dg.DynamicOut(dg.Nothing),
        required_resource_keys={*write.required_resource_keys, "platform_db", "settings"},
        config_schema=schema,
        tags=write.tags,
        description="Says into how many chunks the asking of each day is cut; none for few items.",
    )
    def plan(context: dg.OpExecutionContext) -> Generator[dg.DynamicOutput[None]]:
        db, settings = _platform(context)
        asset, run_id = context.asset_key.to_user_string(), context.run.run_id
        for day in partition_days(context):
            with (
                trying_again_later(context),
                # Whoever makes this day already keeps it: this run ends here, before it asks.
                db.hold(asset, day.isoformat(), holder=f"run {run_id}"),
            ):
                items = chunking.items(context, day)
                chunks = chunks_of(day, settings.cluster.chunks_of(items))
            for chunk in chunks:
                now, share = utc_now(), items // chunk.count
                tell_progress(
                    db,
                    StepProgress(run_id, asset, day.isoformat(), 0, share, now, now, chunk.key),
                )
                yield dg.DynamicOutput(None, mapping_key=chunk.key)

    return plan


def _ask_op(name: str, write: dg.OpDefinition, chunking: Chunking) -> dg.OpDefinition:
    schema: Any = write.config_schema

    @dg.op(
        name=name,
        ins={"go": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
        required_resource_keys={*write.required_resource_keys, "platform_db", "progress"},
        config_schema=schema,
        pool=write.pool,
        tags=write.tags,
        description="Asks about one chunk of a day, so that its answers are in the ledger.",
    )
    def ask(context: dg.OpExecutionContext) -> None:
        db, _ = _platform(context)
        chunk = Chunk.named(context.get_mapping_key() or "")
        asset, day = context.asset_key.to_user_string(), chunk.day.isoformat()
        listener: ProgressListener = context.resources.progress
        holder = f"run {context.run.run_id}"
        with trying_again_later(context), db.hold_together(asset, day, holder=holder):
            try:
                asking = chunking.ask(context, chunk, listener.for_chunk(context, chunk))
            except PlatformError as error:
                context.log.warning(f"Nothing is asked ahead: {error}")
                return
            ended_by = fill_ledger(asking)
            summary = asking.ask.summary
            note_chunk(db, context.run.run_id, asset, day, chunk.number, summary)
        context.log.info(
            f"Chunk {chunk.number + 1} of {chunk.count} of {day}: {summary.asked:,} asked,"
            f" {summary.from_ledger:,} known, {summary.quarantined:,} set aside"
        )
        if ended_by is not None:
            context.log.warning(f"What is left is for the step that writes: {ended_by}")

    return ask


def _platform(context: dg.OpExecutionContext) -> tuple[PlatformDb, Settings]:
    return context.resources.platform_db, context.resources.settings

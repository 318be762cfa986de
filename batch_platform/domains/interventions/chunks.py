"""How the asking about a day's users is cut, for nights on several workers."""

from datetime import date

import dagster as dg

from batch_platform.core.chunks import Chunk
from batch_platform.core.progress import ProgressReport
from batch_platform.domains.interventions.assets import recommendations
from batch_platform.domains.interventions.logic import gubun_named, mode_named
from batch_platform.domains.interventions.workflow import ask_about_chunk, users_to_ask
from batch_platform.gateways.llm.asked_chunks import ChunkAsk
from batch_platform.orchestration.chunks import Chunking


def _items(context: dg.OpExecutionContext, day: date) -> int:
    roles, config = context.resources, context.op_config
    mode = mode_named(config["mode"] or roles.settings.interventions.mode)
    return users_to_ask(day, gubun_named(config["gubun"]), mode, db=roles.platform_db)


def _ask(context: dg.OpExecutionContext, chunk: Chunk, progress: ProgressReport) -> ChunkAsk:
    roles = context.resources
    return ask_about_chunk(
        chunk,
        gubun_named(context.op_config["gubun"]),
        db=roles.platform_db,
        source=roles.intervention_source,
        # Why there is no way to a model is for the step that writes: it has the rules.
        llm=roles.llm_opener(),
        settings=roles.settings,
        progress=progress,
    )


CHUNKINGS = (Chunking(recommendations, _items, _ask),)

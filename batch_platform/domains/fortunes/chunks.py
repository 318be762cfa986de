"""How the asking about a day's fortunes is cut, for nights on several workers."""

from datetime import date

import dagster as dg

from batch_platform.core.chunks import Chunk
from batch_platform.core.progress import ProgressReport
from batch_platform.domains.fortunes.assets import daily_fortunes
from batch_platform.domains.fortunes.workflow import ask_about_chunk, users_to_ask
from batch_platform.gateways.llm.asked_chunks import ChunkAsk
from batch_platform.orchestration.chunks import Chunking


def _items(context: dg.OpExecutionContext, day: date) -> int:
    return users_to_ask(day, db=context.resources.platform_db)


def _ask(context: dg.OpExecutionContext, chunk: Chunk, progress: ProgressReport) -> ChunkAsk:
    roles = context.resources
    return ask_about_chunk(
        chunk,
        db=roles.platform_db,
        llm=roles.llm,
        settings=roles.settings,
        clock=roles.clock,
        progress=progress,
        retry_failed=context.op_config["retry_failed"],
        replaces_imported=context.op_config["replaces_imported"],
    )


CHUNKINGS = (Chunking(daily_fortunes, _items, _ask),)

"""How the asking about a day's questions is cut, for nights on several workers."""

from datetime import date

import dagster as dg

from batch_platform.core.chunks import Chunk
from batch_platform.core.progress import ProgressReport
from batch_platform.domains.chats.assets import classifications
from batch_platform.domains.chats.workflow import ask_about_chunk, questions_to_ask
from batch_platform.gateways.llm.asked_chunks import ChunkAsk
from batch_platform.orchestration.chunks import Chunking


def _items(context: dg.OpExecutionContext, day: date) -> int:
    return questions_to_ask(day, db=context.resources.platform_db)


def _ask(context: dg.OpExecutionContext, chunk: Chunk, progress: ProgressReport) -> ChunkAsk:
    roles = context.resources
    return ask_about_chunk(
        chunk,
        db=roles.platform_db,
        source=roles.chat_source,
        llm=roles.llm,
        settings=roles.settings,
        progress=progress,
        retry_quarantined=context.op_config["retry_quarantined"],
        replaces_imported=context.op_config["replaces_imported"],
    )


CHUNKINGS = (Chunking(classifications, _items, _ask),)

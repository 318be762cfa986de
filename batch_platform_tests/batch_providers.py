"""Clients of both providers' batch endpoints, pointed at the sandbox's server."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel

from batch_platform.core.settings import ModelSettings
from batch_platform.gateways.llm.providers import choose_provider
from batch_platform.gateways.llm_batch.client import BatchClient
from batch_platform.gateways.llm_batch.gemini_batches import GeminiBatches
from batch_platform.gateways.llm_batch.models import BatchRequest
from batch_platform.gateways.llm_batch.openai_batches import OpenAIBatches
from batch_platform.gateways.llm_batch.transfers import Patience
from batch_platform.sandbox.batch_server import RunningBatchServer

KEY = "key-that-stays-home"
NO_WAITING = Patience(sleep=lambda seconds: None)

ClientMaker = Callable[..., BatchClient]
"""Server and the client's own arguments → a client."""


class Mood(BaseModel):
    """What the tests ask about a text."""

    mood: Literal["좋음", "나쁨"]
    score: float


def requests(count: int, start: int = 0) -> list[BatchRequest]:
    """So many requests about different texts."""
    return [
        BatchRequest(f"post{number}_0", "기분을 답하라.", f"글 {number} <글>\u2028 끝", Mood, 300)
        for number in range(start, start + count)
    ]


def openai_client(server: RunningBatchServer, **given: Any) -> OpenAIBatches:
    """A client of OpenAI's form."""
    settings = ModelSettings(
        LLM_PROVIDER="openai", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.openai_url
    )
    given = {"is_made_up": True, "patience": NO_WAITING, **given}
    return OpenAIBatches(choose_provider(settings), **given)


def gemini_client(server: RunningBatchServer, **given: Any) -> GeminiBatches:
    """A client of Gemini's form."""
    settings = ModelSettings(
        LLM_PROVIDER="gemini", GEMINI_API_KEY=KEY, GEMINI_BASE_URL=server.gemini_url
    )
    given = {"is_made_up": True, "patience": NO_WAITING, **given}
    return GeminiBatches(choose_provider(settings), **given)

"""What the engine's tests ask about; light to import, since processes that are killed import it."""

from typing import Any

from pydantic import BaseModel, Field

from batch_platform.core.settings import ModelSettings
from batch_platform.gateways.llm import Item, Task


class Classified(BaseModel):
    """An answer of the tests; the sandbox makes it of the item's text, always the same."""

    keywords: list[str] = Field(min_length=1, max_length=3)
    score: int = Field(ge=0, le=1000)


def classify(items_per_call: int = 1, **changes: Any) -> Task[Classified]:
    given: dict[str, Any] = {
        "name": "chats.classify",
        "instructions": "질문마다 키워드를 뽑는다.",
        "prompt_version": "1",
        "answer": Classified,
        "typical_output_tokens": 30,
        "items_per_call": items_per_call,
    }
    return Task(**given | changes)


def questions(count: int, start: int = 0) -> list[Item]:
    return [
        Item(f"q{number}", f"{number}번 학생의 학교폭력 신고 절차를 알려 주세요")
        for number in range(start, start + count)
    ]


def model_settings(url: str, **variables: object) -> ModelSettings:
    given: dict[str, Any] = {
        "_env_file": None,
        "LLM_PROVIDER": "compatible",
        "LLM_BASE_URL": url,
        "LLM_MODEL": "sandbox-1",
        "LLM_API_KEY": "right-key",
    }
    return ModelSettings(**given | variables)

"""What the model is told about a person's day, the form of its words, and how they are kept.

The model gets what was computed, and no name, birthday or key. The text of a prompt is part of the
ledger's key: change it and every fortune is asked for again.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from batch_platform.domains.fortunes.logic import DayReading, elements_of, stem_element
from batch_platform.domains.fortunes.models import STEMS, Pillar
from batch_platform.gateways.llm import Task

TASK_NAME = "fortunes.write"
PROMPT_VERSION = "1"
_TYPICAL_OUTPUT_TOKENS = 500

_INSTRUCTIONS = """\
당신은 사주 명리를 바탕으로 오늘의 운세 글을 쓰는 작가입니다.
항목마다 한 사람의 사주와 그날의 관계가 이미 계산되어 있습니다.
계산된 값(오행, 십신, 점수, 행운)을 바꾸거나 다시 계산하지 말고, 그 값에 맞는 글만 쓰세요.

규칙:
- 한국어 존댓말로, 읽는 사람에게 바로 말하듯이 씁니다. 사람 이름은 쓰지 않습니다.
- 글자 수는 공백을 포함하며 정해진 범위를 꼭 지킵니다.
- 점수가 70 이상이면 밝게, 45 미만이면 조심스럽게, 그 사이면 담담하게 씁니다.
- 질병, 사고, 죽음, 투자 종목, 도박, 임신을 예언하지 않습니다. 겁을 주지 않습니다.
- 한자, 이모지, 줄바꿈, 마크다운을 쓰지 않습니다."""

_SENTENCE_END = re.compile(r"(?<=[.!?。])\s")

LENGTHS: Mapping[str, tuple[int, int]] = {
    "summary": (30, 40),
    "balance": (40, 200),
    "guidance": (40, 300),
    "love": (20, 120),
    "money": (20, 120),
    "work": (20, 120),
    "health": (20, 120),
    "do": (5, 60),
    "avoid": (5, 60),
}
"""Fewest and most characters of each text, spaces counted."""


def _text(name: str, meaning: str) -> Any:
    least, most = LENGTHS[name]
    return Field(min_length=least, max_length=most, description=f"{meaning} ({least}~{most}자)")


class FortuneWords(BaseModel):
    """The model's words about one person's day."""

    summary: str = _text("summary", "하루를 한 문장으로 요약")
    balance: str = _text("balance", "오늘 오행의 균형과 필요한 오행에 대한 설명")
    guidance: str = _text("guidance", "하루를 어떻게 보내면 좋은지에 대한 조언")
    love: str = _text("love", "애정운")
    money: str = _text("money", "재물운")
    work: str = _text("work", "일과 학업운")
    health: str = _text("health", "건강운")
    do: str = _text("do", "오늘 하면 좋은 일")
    avoid: str = _text("avoid", "오늘 피하면 좋은 일")

    @field_validator("*", mode="before")
    @classmethod
    def _fits(cls, value: object, info: ValidationInfo) -> object:
        return (
            _fitting(value, LENGTHS[info.field_name or ""][1]) if isinstance(value, str) else value
        )


def fortune_task(users_per_call: int) -> Task[FortuneWords]:
    """How fortunes are asked for.

    Args:
        users_per_call: Users that share a call.
    """
    return Task(
        name=TASK_NAME,
        instructions=_INSTRUCTIONS,
        prompt_version=PROMPT_VERSION,
        answer=FortuneWords,
        items_per_call=users_per_call,
        typical_output_tokens=_TYPICAL_OUTPUT_TOKENS,
    )


def text_for_model(reading: DayReading) -> str:
    """What the model reads about a person's day: what was computed, and nothing that was typed."""
    named = [f"{label} {_named(pillar)}" for label, pillar in reading.pillars.items()]
    shares = [f"{element} {share.count}" for element, share in reading.distribution.items()]
    scores = reading.scores
    lucky = reading.lucky
    return "\n".join(
        [
            f"일간: {STEMS[reading.day_master]}({stem_element(reading.day_master)})",
            f"사주와 운: {', '.join(named)}",
            f"오늘 일진과 일간: 천간 {reading.stem_god}, 지지 {reading.branch_god},"
            f" 일지와의 합충 {reading.bond}",
            f"오행 개수: {', '.join(shares)} (균형 {reading.balance}/100)",
            f"필요한 오행: {reading.needed}",
            f"점수: 총운 {reading.overall}, 애정 {scores['love']}, 재물 {scores['money']},"
            f" 일 {scores['work']}, 건강 {scores['health']}",
            f"행운: {lucky.color}, 숫자 {lucky.number}, {lucky.direction}, {lucky.time}",
        ]
    )


def fortune_data(words: FortuneWords, reading: DayReading) -> dict[str, object]:
    """The app's `fortune_data`: its three texts under their names, and the rest beside them."""
    texts = words.model_dump()
    return {
        "today_fortune_summary": words.summary,
        "today_element_balance_description": words.balance,
        "today_daily_guidance": words.guidance,
        "overall": {"score": reading.overall},
        **{
            topic: {"score": score, "text": texts[topic]} for topic, score in reading.scores.items()
        },
        "lucky": asdict(reading.lucky),
        "do": words.do,
        "avoid": words.avoid,
    }


def texts_of(data: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a stored `fortune_data`, by their names in `LENGTHS`."""
    topics = ("love", "money", "work", "health")
    return {
        "summary": data["today_fortune_summary"],
        "balance": data["today_element_balance_description"],
        "guidance": data["today_daily_guidance"],
        **{topic: data[topic]["text"] for topic in topics},
        "do": data["do"],
        "avoid": data["avoid"],
    }


def fortune_score(reading: DayReading) -> dict[str, object]:
    """The app's `fortune_score`, computed before the model is asked anything."""
    return {
        "entropy_score": reading.balance,
        "elements": {
            label: None if pillar is None else _with_elements(pillar)
            for label, pillar in reading.pillars.items()
        },
        "element_distribution": {
            str(element): {"count": share.count, "percentage": share.percentage}
            for element, share in reading.distribution.items()
        },
        "interpretation": _interpretation(reading),
        "needed_element": str(reading.needed),
        "ten_gods": {"stem": str(reading.stem_god), "branch": str(reading.branch_god)},
        "bond": reading.bond,
    }


def _with_elements(pillar: Pillar) -> dict[str, object]:
    stem, branch = elements_of(pillar)
    return {"name": pillar.name, "stem": str(stem), "branch": str(branch)}


def _interpretation(reading: DayReading) -> str:
    shares = reading.distribution
    most = max(shares, key=lambda element: shares[element].count)
    least = min(shares, key=lambda element: shares[element].count)
    evenness = "고른" if reading.balance >= 85 else "기운" if reading.balance < 65 else "보통의"
    return (
        f"{evenness} 오행 균형입니다. {most} 기운이 가장 많고 {least} 기운이 가장 적으며,"
        f" 필요한 오행은 {reading.needed}입니다."
    )


def _named(pillar: Pillar | None) -> str:
    if pillar is None:
        return "모름"
    stem, branch = elements_of(pillar)
    return f"{pillar.name}({stem}{branch})"


def _fitting(text: str, most: int) -> str:
    """A text on one line, without control characters, less the sentences that are over its length.

    A sentence is never cut: what does not fit then is refused, and asked for again.
    """
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(each)[0] == "C" else each for each in text)
    plain = " ".join(text.split())
    if len(plain) <= most:
        return plain
    kept = ""
    for sentence in _SENTENCE_END.split(plain):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > most:
            break
        kept = longer
    return kept or plain

"""The values of the emotions domain: batches, their jobs and requests, the model's answer.

No behaviour beyond what a value knows of itself; rules are in `logic`.
"""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from batch_platform.gateways.llm_batch.models import BatchState

EMOTIONS = ("기쁨", "신뢰", "공포", "놀람", "슬픔", "혐오", "분노", "기대")
"""The eight basic emotions of Plutchik's wheel (1980), in its order."""

EmotionName = Literal["기쁨", "신뢰", "공포", "놀람", "슬픔", "혐오", "분노", "기대"]

EMOTION_FIELDS = (
    "joy",
    "trust",
    "fear",
    "surprise",
    "sadness",
    "disgust",
    "anger",
    "anticipation",
)
"""Their columns, in the same order."""

AGREEMENT_TOLERANCE = 0.05
"""How far below the highest score the dominant emotion's may be: a tie, as people see it."""


_ENGLISH: dict[str, str] = dict(zip(EMOTION_FIELDS, EMOTIONS, strict=True))
_NOT_A_NAME = re.compile(r"[^가-힣A-Za-z]+")


def emotion_named(said: object) -> object:
    """One of the eight, as it is written here, for what a model wrote: `기쁨 (joy)`, `Joy`.

    Anything else comes back as it was, for validation to refuse.
    """
    if not isinstance(said, str):
        return said
    words = [word for word in _NOT_A_NAME.split(said) if word]
    found = {
        word if word in EMOTIONS else _ENGLISH[word.lower()]
        for word in words
        if word in EMOTIONS or word.lower() in _ENGLISH
    }
    return found.pop() if len(found) == 1 else said


_ROUNDING = 0.02


class Mode(StrEnum):
    """How many posts a batch takes."""

    CODE_CHECK = "code_check"
    PILOT = "pilot"
    SAMPLING = "sampling"
    FULL = "full"


class RequestState(StrEnum):
    """What became of a post of a batch."""

    LEFT_OUT = "left_out"
    WAITING = "waiting"
    SENT = "sent"
    ANSWERED = "answered"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


class LeftOut(StrEnum):
    """Why a post is left out of a batch."""

    EMPTY = "empty"
    RECENT = "analysed_lately"
    IN_FLIGHT = "in_flight"


class BatchStage(StrEnum):
    """Where a batch stands, for a person."""

    REGISTERED = "registered"
    TO_SEND = "to_send"
    IN_FLIGHT = "in_flight"
    TO_COLLECT = "to_collect"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


def _clipped(said: object, least: float) -> object:
    """A number that is past its bound by no more than a rounding, put on the bound."""
    if isinstance(said, float | int) and least - _ROUNDING <= said <= 1 + _ROUNDING:
        return min(max(float(said), least), 1.0)
    return said


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_Score = Annotated[float, Field(ge=0, le=1), BeforeValidator(partial(_clipped, least=0.0))]
_Coordinate = Annotated[float, Field(ge=-1, le=1), BeforeValidator(partial(_clipped, least=-1.0))]
_ByBothNames = ConfigDict(
    validate_by_name=True, validate_by_alias=True, serialize_by_alias=True, extra="ignore"
)


class EmotionScores(BaseModel):
    """How strongly each of the eight emotions is there, 0 to 1."""

    model_config = _ByBothNames

    joy: _Score = Field(alias="기쁨")
    trust: _Score = Field(alias="신뢰")
    fear: _Score = Field(alias="공포")
    surprise: _Score = Field(alias="놀람")
    sadness: _Score = Field(alias="슬픔")
    disgust: _Score = Field(alias="혐오")
    anger: _Score = Field(alias="분노")
    anticipation: _Score = Field(alias="기대")

    def by_name(self) -> dict[str, float]:
        """Korean name → score."""
        return {
            name: float(getattr(self, field))
            for name, field in zip(EMOTIONS, EMOTION_FIELDS, strict=True)
        }


class Pad(BaseModel):
    """Pleasure, arousal and dominance, -1 to 1 (Mehrabian and Russell, 1974)."""

    model_config = _ByBothNames

    pleasure: _Coordinate = Field(alias="P")
    arousal: _Coordinate = Field(alias="A")
    dominance: _Coordinate = Field(alias="D")


class Rationale(BaseModel):
    """Why the model said so."""

    model_config = _ByBothNames

    emotion_scores: Text
    pad_analysis: Text = Field(alias="PAD_analysis")
    complex_emotion_reasoning: Text


class EmotionAnswer(BaseModel):
    """The model's answer about one post."""

    model_config = _ByBothNames

    plutchik_emotions: EmotionScores
    pad: Pad = Field(alias="PAD")
    dominant_emotion: Annotated[EmotionName, BeforeValidator(emotion_named)]
    complex_emotion: Text
    rationale: Rationale

    @model_validator(mode="after")
    def _dominant_agrees(self) -> "EmotionAnswer":
        scores = self.plutchik_emotions.by_name()
        if scores[self.dominant_emotion] < max(scores.values()) - AGREEMENT_TOLERANCE:
            raise ValueError("the dominant emotion is not the one with the highest score")
        return self


@dataclass(frozen=True, slots=True)
class Post:
    """A post or a comment, as the source has it.

    Attributes:
        comment_id: None for a post.
        kind: `post`, `comment`, or what the source says.
    """

    post_date: date
    post_id: str
    comment_id: str | None
    kind: str
    title: str
    content: str
    depth: int | None = None
    views: int | None = None
    likes: int | None = None

    @property
    def key(self) -> str:
        """Names the post everywhere: `{post_id}_{comment_id or 0}`."""
        return f"{self.post_id}_{self.comment_id or 0}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A post that a batch could take.

    Attributes:
        stratum: Kind and month.
        left_out: Why it cannot be chosen; None when it can.
    """

    key: str
    stratum: tuple[str, str]
    left_out: LeftOut | None = None


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What somebody asked for.

    Attributes:
        first_date: First day whose posts may be chosen; None for all.
        like_batch: Take the posts of this batch, whatever was analysed lately.
    """

    mode: Mode
    is_direct: bool
    provider: str
    model: str
    prompt_version: str
    seed: int
    confidence_level: float
    margin_of_error: float
    first_date: date | None = None
    last_date: date | None = None
    like_batch: str | None = None


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a batch should cost: tokens, and won at the batch and at the direct price."""

    lines: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    batch_krw: float = 0.0
    direct_krw: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch: what was asked for and where it stands."""

    key: str
    spec: BatchSpec
    registered_at: datetime
    chosen_at: datetime | None
    cancelled_at: datetime | None
    finished_at: datetime | None
    work_requested_at: datetime | None
    work_requests: int
    posts_read: int
    population: int
    corrected_size: int | None
    estimate: CostEstimate
    problem: str | None
    is_made_up: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A job at the provider, as the platform knows it. `state` is None until it is there."""

    run_key: str
    batch_key: str
    round: int
    chunk: int
    provider: str
    model: str
    state: BatchState | None
    requests: int
    requests_completed: int
    requests_failed: int
    file_bytes: int
    file_ref: str | None
    job_name: str | None
    error: str | None
    is_permanent_failure: bool
    prepared_at: datetime
    create_started_at: datetime | None
    created_at: datetime | None
    next_poll_at: datetime | None
    polled_at: datetime | None
    cancel_requested_at: datetime | None
    ended_at: datetime | None
    collected_at: datetime | None
    input_tokens: int
    output_tokens: int
    cost_krw: float

    @property
    def is_begun(self) -> bool:
        """Whether it is written down and not known to be at the provider."""
        return self.state is None and self.collected_at is None

    @property
    def is_running(self) -> bool:
        """Whether it is at the provider and has no end yet."""
        return self.state is not None and not self.state.is_final

    @property
    def is_to_collect(self) -> bool:
        """Whether it has ended and its lines are not all stored."""
        return self.state is not None and self.state.is_final and self.collected_at is None


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """What became of a batch's posts.

    Attributes:
        states: State → posts.
        left_out: Reason → posts.
    """

    states: dict[RequestState, int] = field(default_factory=dict[RequestState, int])
    left_out: dict[str, int] = field(default_factory=dict[str, int])

    def of(self, state: RequestState) -> int:
        """Posts in a state."""
        return self.states.get(state, 0)

    @property
    def chosen(self) -> int:
        """Posts that are not left out."""
        return sum(self.states.values()) - self.of(RequestState.LEFT_OUT)

    @property
    def open(self) -> int:
        """Posts without an end yet."""
        return self.of(RequestState.WAITING) + self.of(RequestState.SENT)

"""The values of a provider's batch, the same for every provider. No behaviour."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel


class BatchState(StrEnum):
    """Where a batch job stands at the provider."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    """Ended by itself; single lines may have failed all the same."""
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    """The provider's time was up: what was finished may be there, the rest is not."""

    @property
    def is_final(self) -> bool:
        """Whether the provider does nothing more about it."""
        return self not in (BatchState.PENDING, BatchState.RUNNING)


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One line of a batch.

    Attributes:
        custom_id: Names what is asked about, never a row's number; unique in a batch.
        instructions: System message.
        text: User's message, as the model shall see it.
        answer: pydantic model of the answer, from which the schema is made.
        max_tokens: Most tokens of the answer.
    """

    custom_id: str
    instructions: str
    text: str
    answer: type[BaseModel]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What one file may hold.

    Attributes:
        max_requests: Lines.
        max_file_bytes: Bytes.
    """

    max_requests: int
    max_file_bytes: int

    def within(self, max_requests: int, max_file_bytes: int) -> "BatchLimits":
        """The narrower of these limits and others."""
        return BatchLimits(
            min(self.max_requests, max_requests), min(self.max_file_bytes, max_file_bytes)
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """One file of requests, to become one job.

    Attributes:
        number: 1 for the first.
        file: JSONL, a request a line.
        requests: Lines.
        bytes: Length of the file.
        sha256: Of the file's content, hexadecimal.
        custom_ids: Of its lines, in order.
    """

    number: int
    file: Path
    requests: int
    bytes: int
    sha256: str
    custom_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A job as the provider tells of it.

    Attributes:
        name: The provider's name of it, by which it is asked for.
        run_key: Our own name of it, which the provider keeps; empty when it is none of ours.
        requests_total: Lines the provider has counted; 0 while it does not say.
        requests_completed: Lines answered.
        requests_failed: Lines that will not be answered.
        output_ref: The provider's file of answers; None when there is none.
        error_ref: The provider's file of failed lines; None when there is none.
        error: Why the whole job failed, in the provider's words.
        is_permanent_failure: Whether the same file would fail as a whole again.
    """

    name: str
    state: BatchState
    run_key: str
    requests_total: int = 0
    requests_completed: int = 0
    requests_failed: int = 0
    output_ref: str | None = None
    error_ref: str | None = None
    error: str | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
    is_permanent_failure: bool = False


@dataclass(frozen=True, slots=True)
class BatchLine:
    """What became of one request.

    Attributes:
        custom_id: The request's; empty when the line does not say or is no JSON.
        raw: The line as it came, to be kept when the answer is of no use.
        content: The model's answer; None when there is none.
        error: Why there is no answer, in half a sentence; None when there is one.
        is_expired: Whether the job ended, by time or by our wish, before the request's turn.
    """

    custom_id: str
    raw: bytes
    content: str | None
    error: str | None
    input_tokens: int
    output_tokens: int
    is_expired: bool = False

"""How the batch server behaves, and how it goes wrong on purpose."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class BatchOptions(BaseModel):
    """How the server behaves; may be changed while it runs.

    Attributes:
        start_seconds: How long a job waits before it runs.
        run_seconds: How long it runs.
        clock_offset_seconds: Added to the server's clock: hours pass by raising it.
        is_shuffled: Whether answers come in another order than requests.
        error_share: Share of lines that fail; others fail when they are asked again.
        spoiled_share: Share of answers that are not in the form that was asked for.
        poison: A piece of text: lines that contain it fail always.
        expires_after: Share of lines that are answered before the job's time is up; None for a
            job that ends well.
        has_no_output: Whether every line fails, so that a job ends well without answers.
        whole_failure: Code with which jobs fail as a whole, such as `invalid_json_line`, which is
            permanent, or `token_limit_exceeded`, which is not; None for none.
        unknown_state: A state that no client knows, told of every job; None for the real one.
        lost_creates: So many creations succeed and are never answered.
        refused_creates: So many creations are refused with status 503; nothing is created.
        hang_seconds: How long a lost answer is waited for before the connection is cut.
        cancel_seconds: How long a job takes to end when that is asked for.
        list_delay_seconds: How long a new job is not listed yet.
        broken_uploads: So many uploads, or pieces of one, break in the middle.
        broken_downloads: So many downloads break in the middle.
        has_ranges: Whether the rest of a file can be asked for.
        quota_of_day: Whether creations are refused because of the day's quota.
        api_key: The only key that is let in; any when None.
        page_entries: Entries of a list's page at most.
        max_file_bytes: A longer file is refused.
        max_requests: A job of more lines fails as a whole.
        seed: Decides which lines fail.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_seconds: float = Field(default=0.0, ge=0)
    run_seconds: float = Field(default=0.0, ge=0)
    clock_offset_seconds: float = 0.0
    is_shuffled: bool = True
    error_share: Share = 0.0
    spoiled_share: Share = 0.0
    poison: str | None = None
    expires_after: Share | None = None
    has_no_output: bool = False
    whole_failure: str | None = None
    unknown_state: str | None = None
    lost_creates: int = Field(default=0, ge=0)
    refused_creates: int = Field(default=0, ge=0)
    hang_seconds: float = Field(default=0.0, ge=0)
    cancel_seconds: float = Field(default=0.0, ge=0)
    list_delay_seconds: float = Field(default=0.0, ge=0)
    broken_uploads: int = Field(default=0, ge=0)
    broken_downloads: int = Field(default=0, ge=0)
    has_ranges: bool = True
    quota_of_day: bool = False
    api_key: str | None = None
    page_entries: int = Field(default=100, ge=1)
    max_file_bytes: int = Field(default=200_000_000, ge=1)
    max_requests: int = Field(default=50_000, ge=1)
    seed: int = 0

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These options with some changed.

        Raises:
            ValidationError: A change makes no sense.
        """
        return type(self).model_validate(self.model_dump() | dict(changes))

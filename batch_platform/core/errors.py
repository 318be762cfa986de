"""The platform's error types. Every failure that a person or a retry rule must tell apart is here.

Nothing here logs, retries or exits: what to do with an error is decided by its type, in
`orchestration.steps` for a run and in `cli.main` for a command.
"""

from datetime import datetime


class PlatformError(Exception):
    """Base of every error the platform raises on purpose.

    Args:
        problem: What is wrong, in one sentence without a trailing full stop.
        remedy: What a person should do about it, in one sentence; may be empty.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}".strip() if self.remedy else self.problem


class ConfigurationError(PlatformError):
    """A setting is missing or wrong: nothing will succeed until a person changes it."""


class PermanentError(PlatformError):
    """The same request would fail the same way again: retrying is pointless."""


class RetryableError(PlatformError):
    """The world outside failed for now: the same request may succeed later.

    Args:
        problem: As in `PlatformError`.
        remedy: As in `PlatformError`.
        retry_after_seconds: The delay the other side asked for, if it did.
    """

    def __init__(
        self, problem: str, remedy: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(problem, remedy)
        self.retry_after_seconds = retry_after_seconds


class UnavailableUntilError(PermanentError):
    """The other side serves nobody for hours: this run ends, and a later one may succeed.

    Permanent for the run that meets it, which would otherwise sleep and hold its partition.

    Args:
        problem: As in `PlatformError`.
        retry_at: From when on trying again is worth it; with a zone.
    """

    def __init__(self, problem: str, retry_at: datetime) -> None:
        super().__init__(problem, f"Run again from {retry_at:%Y-%m-%d %H:%M %Z} on")
        self.retry_at = retry_at


class PartitionBusyError(PermanentError):
    """Another run holds this asset's partition; this one must end without touching it.

    Permanent for the run that meets it: the holder is doing the work.
    """


class BudgetExceededError(PermanentError):
    """The next model call would pass the budget of its domain and day; nothing was asked."""


class NoDataError(PermanentError):
    """What was asked for has no data (a report of a day without chats, an unknown partition)."""


class NotFoundError(PermanentError):
    """What was named (a schedule, an occurrence, a job) does not exist."""


class ConflictError(PermanentError):
    """What was asked contradicts what is there: a name is taken, a key was used for another."""


class StaleVersionError(ConflictError):
    """What is to be changed was changed meanwhile: read it again first."""


def sentence_of_validator(message: str) -> str:
    """What a validator of ours said, without the words that pydantic puts before it."""
    return message.removeprefix("Value error, ")

"""When a failed call is sent again, and when a run gives up: backoff and circuit breaker. Pure."""

from collections.abc import Callable

MAX_ATTEMPTS = 6
"""Times a call is sent when it fails in passing; refusals for pace are not counted."""
MAX_REFUSALS = 60
LONGEST_DELAY_SECONDS = 300.0
"""A provider that asks for more than this ends the run: a person or a schedule starts it again."""

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 20.0


def backoff_seconds(attempt: int, random: Callable[[], float]) -> float:
    """Exponential with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Args:
        attempt: Attempts that failed, 1 or more.
        random: Uniform in [0, 1).
    """
    return random() * min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))


class CircuitBreaker:
    """Counts failures in a row, over all calls of a process.

    Args:
        threshold: Failures in a row that open the circuit.
        patience_seconds: How long it may stay open before the run ends.
    """

    def __init__(self, threshold: int, patience_seconds: float) -> None:
        self._threshold = threshold
        self.patience_seconds = patience_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self.succeeded_at = float("-inf")

    def succeeded(self, now: float) -> None:
        """Close the circuit."""
        self._failures = 0
        self._opened_at = None
        self.succeeded_at = now

    def failed(self, now: float) -> None:
        """Count a failure."""
        self._failures += 1
        if self._failures >= self._threshold and self._opened_at is None:
            self._opened_at = now

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def pause_seconds(self) -> float:
        """How long nothing should be sent: 0 while closed, then ever longer, up to 5 s."""
        beyond = self._failures - self._threshold
        return 0.0 if beyond < 0 else min(5.0, 0.25 * 2 ** min(beyond, 10))

    def has_tripped(self, now: float) -> bool:
        """Whether the run should end."""
        return self._opened_at is not None and now - self._opened_at >= self.patience_seconds

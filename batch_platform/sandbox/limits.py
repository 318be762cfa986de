"""How providers count calls: three ways to say no. Clocks are handed in, in seconds."""

from collections import deque
from enum import StrEnum
from typing import Protocol


class LimiterKind(StrEnum):
    """How a limit is counted.

    `sliding` never lets more than the limit through in any window; `fixed` counts in windows that
    stand still (a minute by the clock), so that twice the limit can pass around their edge;
    `bucket` refills steadily and lets a full bucket through at once.
    """

    SLIDING = "sliding"
    FIXED = "fixed"
    BUCKET = "bucket"


class Limiter(Protocol):
    """Says of each call whether it may pass."""

    def wait_seconds(self, now: float, cost: float = 1) -> float:
        """Take the cost and return 0; or take nothing and return the seconds to wait."""
        ...


class SlidingWindow:
    """At most `limit` in any half-open window of `window` seconds."""

    def __init__(self, limit: float, window: float) -> None:
        self._limit = limit
        self._window = window
        self._taken: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def wait_seconds(self, now: float, cost: float = 1) -> float:
        """See `Limiter`."""
        while self._taken and self._taken[0][0] <= now - self._window:
            self._sum -= self._taken.popleft()[1]
        if self._sum + cost <= self._limit:
            self._taken.append((now, cost))
            self._sum += cost
            return 0.0
        freed = 0.0
        for taken_at, taken in self._taken:
            freed += taken
            if self._sum - freed + cost <= self._limit:
                return taken_at + self._window - now
        return self._window


class FixedWindow:
    """At most `limit` in each window of `window` seconds, counted from the clock's origin."""

    def __init__(self, limit: float, window: float) -> None:
        self._limit = limit
        self._window = window
        self._number = -1
        self._sum = 0.0

    def wait_seconds(self, now: float, cost: float = 1) -> float:
        """See `Limiter`."""
        number = int(now // self._window)
        if number != self._number:
            self._number, self._sum = number, 0.0
        if self._sum + cost <= self._limit:
            self._sum += cost
            return 0.0
        return (number + 1) * self._window - now


class TokenBucket:
    """A bucket of `limit`, full at first, that refills by `limit` in `window` seconds."""

    def __init__(self, limit: float, window: float) -> None:
        self._limit = limit
        self._rate = limit / window
        self._level = limit
        self._updated_at: float | None = None

    def wait_seconds(self, now: float, cost: float = 1) -> float:
        """See `Limiter`."""
        if self._updated_at is not None:
            gained = (now - self._updated_at) * self._rate
            self._level = min(self._limit, self._level + gained)
        self._updated_at = now
        if cost <= self._level + 1e-9:
            self._level -= cost
            return 0.0
        return (cost - self._level) / self._rate


_KINDS = {
    LimiterKind.SLIDING: SlidingWindow,
    LimiterKind.FIXED: FixedWindow,
    LimiterKind.BUCKET: TokenBucket,
}


def limiter(kind: LimiterKind, limit: float, window: float) -> Limiter:
    """Build a limiter.

    Args:
        kind: How it counts.
        limit: Most that passes in a window; calls or tokens.
        window: Its length in seconds.
    """
    return _KINDS[kind](limit, window)

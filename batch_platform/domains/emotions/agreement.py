"""How far two analyses of the same posts agree: Cohen's kappa and correlations of PAD. Pure."""

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.domains.emotions.models import emotion_named

Pad = tuple[float, float, float]

_Z_95 = 1.959964
_PAD = ("P", "A", "D")
_LEVELS = ((0.0, "poor"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))


@dataclass(frozen=True, slots=True)
class Coded:
    """What one side says of a post. `pad` is None when it says nothing of it."""

    dominant: str
    pad: Pad | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two sides agree about the posts that both know.

    Attributes:
        posts: Posts that both know.
        share: Share of them with the same dominant emotion.
        kappa: Cohen's kappa; None when both sides always say one and the same.
        interval: Its 95 % confidence interval.
        pad: Pearson's r of pleasure, arousal, dominance; None where it cannot be told.
        pad_posts: Posts whose PAD both sides say.
    """

    posts: int
    share: float
    kappa: float | None
    interval: tuple[float, float] | None
    pad: tuple[float | None, float | None, float | None]
    pad_posts: int

    @property
    def level(self) -> str:
        """What Landis and Koch (1977) call such a kappa."""
        if self.kappa is None:
            return "unknown"
        if self.kappa < 0:
            return "poor"
        found = [name for above, name in _LEVELS[1:] if self.kappa <= above]
        return found[0] if found else "almost perfect"


def agreement_of(first: Mapping[str, Coded], second: Mapping[str, Coded]) -> Agreement:
    """Compare two sides, post by post.

    Kappa and its standard error after Cohen, Educational and Psychological Measurement 20 (1960).

    Raises:
        NoDataError: They have no post in common.
    """
    common = sorted(first.keys() & second.keys())
    if not common:
        raise NoDataError("The two have no post in common", "Compare analyses of the same posts")
    pairs = [(first[key].dominant, second[key].dominant) for key in common]
    observed = sum(a == b for a, b in pairs) / len(pairs)
    kappa, interval = _kappa(pairs, observed)
    pads = [(first[key].pad, second[key].pad) for key in common]
    known = [(a, b) for a, b in pads if a is not None and b is not None]
    correlations = [
        correlation([a[axis] for a, _ in known], [b[axis] for _, b in known]) for axis in range(3)
    ]
    return Agreement(
        len(common),
        observed,
        kappa,
        interval,
        (correlations[0], correlations[1], correlations[2]),
        len(known),
    )


def _kappa(
    pairs: Sequence[tuple[str, str]], observed: float
) -> tuple[float | None, tuple[float, float] | None]:
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    count = len(pairs)
    expected = sum(left[name] * right[name] for name in left) / count**2
    if math.isclose(expected, 1.0):
        return None, None
    kappa = (observed - expected) / (1 - expected)
    error = math.sqrt(observed * (1 - observed) / (count * (1 - expected) ** 2))
    return kappa, (max(-1.0, kappa - _Z_95 * error), min(1.0, kappa + _Z_95 * error))


def correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Pearson's r; None for fewer than two pairs or a side that never varies."""
    if len(left) < 2:
        return None
    left_mean, right_mean = math.fsum(left) / len(left), math.fsum(right) / len(right)
    pairs = [(a - left_mean, b - right_mean) for a, b in zip(left, right, strict=True)]
    spread = math.sqrt(math.fsum(a * a for a, _ in pairs) * math.fsum(b * b for _, b in pairs))
    if spread == 0:
        return None
    return max(-1.0, min(1.0, math.fsum(a * b for a, b in pairs) / spread))


def human_coding(path: Path) -> dict[str, Coded]:
    """Read what people coded: a CSV with post_id, dominant_emotion, and comment_id, P, A, D or not.

    Raises:
        PermanentError: It cannot be read, or a row has no emotion of the eight.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"post_id", "dominant_emotion"} <= set(reader.fieldnames or ()):
                raise PermanentError(
                    f"{path.name} lacks the column post_id or dominant_emotion",
                    "Its header is post_id,comment_id,dominant_emotion,P,A,D",
                )
            return dict(_coded(path, number, row) for number, row in enumerate(reader, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PermanentError(
            f"{path} cannot be read ({type(error).__name__})", "Give a CSV in UTF-8"
        ) from error


def _coded(path: Path, line: int, row: Mapping[str, str | None]) -> tuple[str, Coded]:
    dominant = str(emotion_named((row["dominant_emotion"] or "").strip()))
    try:
        pad = tuple(float(row[axis] or "") for axis in _PAD) if row.get("P") else None
    except (KeyError, ValueError):
        raise PermanentError(f"Line {line} of {path.name} has a PAD that is no number") from None
    key = f"{(row['post_id'] or '').strip()}_{(row.get('comment_id') or '').strip() or 0}"
    return key, Coded(dominant, (pad[0], pad[1], pad[2]) if pad else None)

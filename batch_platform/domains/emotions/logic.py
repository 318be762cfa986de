"""Rules of the emotions domain: keys, samples, the life of a batch. Pure."""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import NormalDist
from zoneinfo import ZoneInfo

from batch_platform.core.errors import NotFoundError
from batch_platform.core.hashing import text_id
from batch_platform.domains.emotions.models import (
    Batch,
    BatchCounts,
    BatchStage,
    Candidate,
    Job,
    Mode,
    RequestState,
)

SIZES: Mapping[Mode, int] = {Mode.CODE_CHECK: 1, Mode.PILOT: 5}
"""Posts of the modes that take a fixed number."""

_HALF_AS_OFTEN_AFTER = timedelta(hours=1)
_QUARTER_AS_OFTEN_AFTER = timedelta(hours=6)
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_KEY = re.compile(r"(?P<mode>[a-z_]+)-(?P<day>\d{8})-(?P<time>\d{4})(?:-(?P<number>\d+))?\Z")


def batch_key(mode: Mode, now: datetime, zone: ZoneInfo, number: int = 1) -> str:
    """Name a batch: `sampling-20261120-2201`, and `…-2` for the second of that minute."""
    suffix = f"-{number}" if number > 1 else ""
    return f"{mode.value}-{now.astimezone(zone):%Y%m%d-%H%M}{suffix}"


def mode_of(key: str) -> Mode:
    """The mode that a batch's name begins with.

    Raises:
        NotFoundError: It is no name of a batch.
    """
    match = _KEY.match(key)
    if match is None or match["mode"] not in {mode.value for mode in Mode}:
        raise NotFoundError(
            f"{key!r} names no batch", "A batch is named like sampling-20261120-2201"
        )
    return Mode(match["mode"])


def custom_id(post_key: str) -> str:
    """The post's name at the provider: its key, or a hash of one that a provider could refuse."""
    return post_key if _PLAIN_ID.match(post_key) else f"post-{text_id(post_key)}"


def run_key(batch: str, round_number: int, chunk: int, custom_ids: Iterable[str]) -> str:
    """Our name of a job at the provider: of the batch, round and chunk, and of what is in it.

    Another installation of the platform may use the same account: what is asked tells them apart.
    """
    digest = hashlib.sha256("\0".join([batch, *custom_ids]).encode()).hexdigest()[:12]
    return f"{batch}.r{round_number}.c{chunk}.{digest}"


def sample_size(confidence_level: float, margin_of_error: float) -> int:
    """Posts that estimate a share within a margin, whatever the share and the population.

    Cochran, Sampling Techniques (1977), 4.2, with the worst share of one half: 384 for 95 % and
    five percentage points.
    """
    z = NormalDist().inv_cdf((1 + confidence_level) / 2)
    return max(1, round(z**2 * 0.25 / margin_of_error**2))


def corrected_sample_size(size: int, population: int) -> int:
    """What would do of a finite population: n / (1 + (n - 1) / N), rounded up. Cochran, 4.2."""
    return min(population, math.ceil(size / (1 + (size - 1) / population))) if population else 0


def size_of(mode: Mode, confidence_level: float, margin_of_error: float) -> int | None:
    """Posts that a mode takes; None for all."""
    if mode is Mode.FULL:
        return None
    return SIZES.get(mode) or sample_size(confidence_level, margin_of_error)


def stratified_sample(candidates: Sequence[Candidate], size: int, seed: int) -> list[str]:
    """Choose posts so that each stratum has its share; the same for the same seed and posts.

    Shares are rounded by the largest remainder. Within a stratum, a post's place depends on its
    key and the seed alone, never on the order in which posts come.

    Returns:
        Keys, sorted; all of them when there are not more than `size`.
    """
    if len(candidates) <= size:
        return sorted(each.key for each in candidates)
    strata: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in candidates:
        strata[each.stratum].append(each.key)
    exact = {name: size * len(keys) / len(candidates) for name, keys in strata.items()}
    sizes = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(
        exact, key=lambda name: (sizes[name] - exact[name], -len(strata[name]), name)
    )
    for name in by_remainder[: size - sum(sizes.values())]:
        sizes[name] += 1
    chosen: list[str] = []
    for name, keys in strata.items():
        keys.sort(key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode()).digest())
        chosen += keys[: sizes[name]]
    return sorted(chosen)


def poll_after(job: Job, now: datetime, interval_seconds: float) -> datetime:
    """When a job is asked after again: at the interval, later half, then a quarter as often."""
    age = now - (job.created_at or now)
    times = 4 if age >= _QUARTER_AS_OFTEN_AFTER else 2 if age >= _HALF_AS_OFTEN_AFTER else 1
    return now + timedelta(seconds=interval_seconds * times)


def is_overdue(job: Job, now: datetime, max_wait_hours: float) -> bool:
    """Whether a job has had its time and is to be cancelled."""
    return job.created_at is not None and now - job.created_at >= timedelta(hours=max_wait_hours)


def stage_of(batch: Batch, counts: BatchCounts, jobs: Sequence[Job]) -> BatchStage:
    """Where a batch stands, from what is stored of it."""
    if batch.finished_at is not None:
        if batch.cancelled_at is not None:
            return BatchStage.CANCELLED
        return BatchStage.FAILED if batch.problem else BatchStage.FINISHED
    if batch.chosen_at is None:
        return BatchStage.REGISTERED
    if any(job.is_running for job in jobs):
        return BatchStage.IN_FLIGHT
    if any(job.is_to_collect for job in jobs):
        return BatchStage.TO_COLLECT
    is_waiting = counts.of(RequestState.WAITING) > 0 and not batch.spec.is_direct
    if is_waiting or any(job.is_begun for job in jobs):
        return BatchStage.TO_SEND
    return BatchStage.TO_COLLECT


def needs_run(stage: BatchStage) -> bool:
    """Whether a run has something to do for a batch: choose, send or collect."""
    return stage in {BatchStage.REGISTERED, BatchStage.TO_SEND, BatchStage.TO_COLLECT}

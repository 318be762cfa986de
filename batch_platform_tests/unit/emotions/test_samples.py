"""Which posts a sample takes: as many as it needs, each stratum its share, always the same ones."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_platform.domains.emotions.logic import (
    corrected_sample_size,
    custom_id,
    sample_size,
    size_of,
    stratified_sample,
)
from batch_platform.domains.emotions.models import Candidate, Mode

STRATA = [("post", "2026-10"), ("post", "2026-11"), ("comment", "2026-11")]


def candidates(sizes: list[int]) -> list[Candidate]:
    return [
        Candidate(f"{stratum}-{number}", STRATA[stratum])
        for stratum, size in enumerate(sizes)
        for number in range(size)
    ]


@pytest.mark.parametrize(
    ("confidence", "margin", "size"),
    [(0.95, 0.05, 384), (0.99, 0.05, 663), (0.95, 0.03, 1067), (0.90, 0.05, 271)],
)
def test_sizes_are_those_of_the_tables(confidence: float, margin: float, size: int) -> None:
    assert sample_size(confidence, margin) == size


def test_a_finite_population_needs_fewer() -> None:
    assert corrected_sample_size(384, 17_336) == 376
    assert corrected_sample_size(384, 100) == 80
    assert corrected_sample_size(384, 1) == 1
    assert corrected_sample_size(384, 0) == 0


def test_the_small_modes_have_fixed_sizes() -> None:
    assert [size_of(mode, 0.95, 0.05) for mode in Mode] == [1, 5, 384, None]


@given(
    sizes=st.lists(st.integers(0, 60), min_size=3, max_size=3),
    size=st.integers(1, 80),
    seed=st.integers(),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_every_stratum_has_its_share_in_whatever_order_posts_come(
    sizes: list[int], size: int, seed: int, order: random.Random
) -> None:
    posts = candidates(sizes)
    chosen = stratified_sample(posts, size, seed)
    assert len(chosen) == len(set(chosen)) == min(size, len(posts))
    taken = Counter(key.partition("-")[0] for key in chosen)
    for stratum, count in enumerate(sizes):
        if posts and size < len(posts):
            assert abs(taken[str(stratum)] - size * count / len(posts)) < 1
    shuffled = posts[:]
    order.shuffle(shuffled)
    assert stratified_sample(shuffled, size, seed) == chosen


def test_another_seed_takes_other_posts() -> None:
    posts = candidates([200, 200, 200])
    assert stratified_sample(posts, 20, 1) != stratified_sample(posts, 20, 2)


def test_a_custom_id_names_the_post_whatever_its_key() -> None:
    assert custom_id("1024_0") == "1024_0"
    odd = [custom_id(key) for key in ("한글 키_0", "한글 키_1", "x" * 200 + "_0")]
    assert len(set(odd)) == 3
    assert all(name.isascii() and len(name) <= 64 for name in odd)

"""How agreement is measured, against figures worked out by hand and by others."""

from pathlib import Path

import pytest

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.domains.emotions.agreement import (
    Coded,
    agreement_of,
    correlation,
    human_coding,
)


def sides(table: dict[tuple[str, str], int]) -> tuple[dict[str, Coded], dict[str, Coded]]:
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    first = {str(number): Coded(pair[0], None) for number, pair in enumerate(pairs)}
    second = {str(number): Coded(pair[1], None) for number, pair in enumerate(pairs)}
    return first, second


def test_kappa_is_what_is_above_chance() -> None:
    # Worked out by hand: 89 of 100 agree, 0.8 * 0.8 + 0.1 * 0.05 + 0.1 * 0.15 = 0.66 by chance.
    table = {
        ("기쁨", "기쁨"): 75,
        ("기쁨", "슬픔"): 1,
        ("기쁨", "분노"): 4,
        ("슬픔", "기쁨"): 5,
        ("슬픔", "슬픔"): 4,
        ("슬픔", "분노"): 1,
        ("분노", "기쁨"): 0,
        ("분노", "슬픔"): 0,
        ("분노", "분노"): 10,
    }
    found = agreement_of(*sides(table))
    assert found.posts == 100
    assert found.share == pytest.approx(0.89)
    assert found.kappa == pytest.approx((0.89 - 0.66) / (1 - 0.66))
    assert found.level == "substantial"


def test_chance_is_no_agreement_and_one_and_the_same_word_tells_nothing() -> None:
    chance = {(a, b): 25 for a in ("기쁨", "슬픔") for b in ("기쁨", "슬픔")}
    assert agreement_of(*sides(chance)).kappa == pytest.approx(0)
    assert agreement_of(*sides({("기쁨", "기쁨"): 9})).kappa is None


def test_only_common_posts_count() -> None:
    first = {"1": Coded("기쁨", (1, 0, 0)), "2": Coded("슬픔", (0, 1, 0.5))}
    second = {"2": Coded("슬픔", (0, 1, 0.5)), "3": Coded("슬픔", None)}
    assert agreement_of(first, second).posts == 1
    with pytest.raises(NoDataError):
        agreement_of(first, {"9": Coded("기쁨", None)})


def test_correlations_are_pearsons() -> None:
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert correlation([1, 2, 3], [6, 4, 2]) == pytest.approx(-1)
    # Anscombe's first quartet (1973): r = 0.816.
    x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    assert correlation(x, y) == pytest.approx(0.816, abs=0.001)
    assert correlation([1, 1], [1, 2]) is None
    assert correlation([1], [2]) is None


def test_a_human_coded_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "coded.csv"
    file.write_text(
        "post_id,comment_id,dominant_emotion,P,A,D\n7,,기쁨,0.5,0.1,0\n7,3,sadness,,,\n",
        encoding="utf-8-sig",
    )
    coded = human_coding(file)
    assert coded == {"7_0": Coded("기쁨", (0.5, 0.1, 0.0)), "7_3": Coded("슬픔", None)}
    file.write_text("id,emotion\n1,기쁨\n")
    with pytest.raises(PermanentError, match="lacks the column"):
        human_coding(file)

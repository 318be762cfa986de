"""What is computed about a person and a day."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.domains.fortunes.logic import (
    MAX_ATTEMPTS,
    NameFinder,
    balance_of,
    distribution_of,
    needed_element,
    next_retry,
    read_birth_date,
    read_birth_time,
    read_day,
    read_flag,
    read_gender,
    ten_god,
    too_many_failed,
)
from batch_platform.domains.fortunes.models import ELEMENTS, Birth, Element, Pillar, TenGod
from batch_platform.domains.fortunes.pillars import natal_chart
from batch_platform.domains.fortunes.prompts import (
    LENGTHS,
    FortuneWords,
    fortune_data,
    fortune_score,
    text_for_model,
    texts_of,
)

PILLARS = st.integers(0, 59).map(Pillar)
BIRTHS = st.builds(
    Birth,
    st.dates(date(1900, 1, 1), date(2026, 11, 20)),
    st.none() | st.times(),
    st.none() | st.booleans(),
)
NOW = datetime(2026, 11, 21, 13, tzinfo=UTC)


def test_ten_gods_of_gap_are_those_of_the_textbook() -> None:
    gods = ["비견", "겁재", "식신", "상관", "편재", "정재", "편관", "정관", "편인", "정인"]
    assert [ten_god(0, stem) for stem in range(10)] == gods


def test_ten_gods_of_a_yin_day_master() -> None:
    # 을 (wood, yin): 갑 is 겁재, 신 (metal, yin) is 편관, 경 (metal, yang) is 정관.
    assert [ten_god(1, stem) for stem in (0, 7, 6)] == ["겁재", "편관", "정관"]


@given(st.integers(0, 9))
def test_each_stem_is_another_god_to_a_day_master(day_master: int) -> None:
    assert {ten_god(day_master, stem) for stem in range(10)} == set(TenGod)


@given(st.lists(PILLARS, min_size=1, max_size=8))
def test_shares_add_up_and_are_near_their_counts(pillars: list[Pillar]) -> None:
    shares = distribution_of(pillars)
    total = 2 * len(pillars)
    assert sum(share.count for share in shares.values()) == total
    assert round(sum(share.percentage for share in shares.values()), 6) == 100
    assert all(
        abs(share.percentage - 100 * share.count / total) <= 0.1 for share in shares.values()
    )
    assert 0 <= balance_of(shares) <= 100


def test_balance_is_zero_for_one_element_and_full_for_five() -> None:
    # 갑인 is wood and wood; 갑인, 병오, 무진, 경신, 임자 hold each element twice.
    only_wood = [Pillar(50)]
    assert [Pillar(index).name for index in (50, 42, 4, 56, 48)] == [
        "갑인",
        "병오",
        "무진",
        "경신",
        "임자",
    ]
    assert balance_of(distribution_of(only_wood)) == 0
    assert balance_of(distribution_of([Pillar(i) for i in (50, 42, 4, 56, 48)])) == 100


@given(BIRTHS)
def test_the_needed_element_is_among_the_rarest_of_its_side(birth: Birth) -> None:
    chart = natal_chart(birth)
    own = ELEMENTS.index(Element("목화토금수"[chart.day.stem // 2]))
    counts = {element: share.count for element, share in distribution_of(chart.pillars).items()}
    supporting = {ELEMENTS[own], ELEMENTS[own - 1]}
    needed = needed_element(chart)
    side = supporting if needed in supporting else set(ELEMENTS) - supporting
    assert counts[needed] == min(counts[element] for element in side)
    is_weak = 2 * sum(counts[element] for element in supporting) < sum(counts.values())
    assert (needed in supporting) == is_weak


@given(BIRTHS, st.dates(date(2024, 1, 1), date(2030, 1, 1)))
def test_a_day_reads_the_same_twice_and_stays_in_its_bounds(birth: Birth, day: date) -> None:
    chart = natal_chart(birth)
    reading = read_day(chart, birth, day)
    assert reading == read_day(chart, birth, day)
    assert all(0 <= score <= 100 for score in (*reading.scores.values(), reading.overall))
    assert reading.pillars["시주"] == chart.hour
    score = fortune_score(reading)
    assert set(score["elements"]) == {
        "대운",
        "세운",
        "월운",
        "일운",
        "년주",
        "월주",
        "일주",
        "시주",
    }  # type: ignore[call-overload]
    assert {"entropy_score", "element_distribution", "interpretation", "needed_element"} <= set(
        score
    )


def test_the_running_year_and_month_turn_at_the_terms() -> None:
    birth = Birth(date(1990, 3, 15), time(9, 30), False)
    chart = natal_chart(birth)
    before, after = (read_day(chart, birth, day) for day in (date(2026, 2, 3), date(2026, 2, 5)))
    assert [
        str(each.pillars["세운"] and each.pillars["세운"].name) for each in (before, after)
    ] == [
        "을사",
        "병오",
    ]


def test_scores_differ_from_day_to_day_and_person_to_person() -> None:
    births = [Birth(date(1990, 3, 15) + timedelta(days=17 * n), time(9)) for n in range(20)]
    days = [date(2026, 11, 1) + timedelta(days=n) for n in range(20)]
    overall = [read_day(natal_chart(birth), birth, day).overall for birth in births for day in days]
    assert min(overall) < 50
    assert max(overall) > 75
    assert len(set(overall)) > 20


def test_the_model_reads_what_was_computed_and_nothing_that_was_typed() -> None:
    birth = Birth(date(1990, 3, 15), None, None)
    text = text_for_model(read_day(natal_chart(birth), birth, date(2026, 11, 22)))
    assert "시주 모름" in text
    assert "대운 모름" in text
    assert "일운 경자(금수)" in text
    assert "1990" not in text


def words(**changes: str) -> dict[str, str]:
    return {name: "가" * least for name, (least, _) in LENGTHS.items()} | changes


def test_words_keep_their_lengths() -> None:
    FortuneWords(**words(summary="가" * 30))
    FortuneWords(**words(summary="가" * 40))
    for wrong in ("가" * 29, "가" * 41, "", "   "):
        with pytest.raises(ValueError, match="summary"):
            FortuneWords(**words(summary=wrong))


def test_too_long_a_text_loses_whole_sentences_never_half_of_one() -> None:
    first = "오늘은 서두르지 않고 차분히 마무리하면 좋은 하루입니다."
    kept = FortuneWords(**words(summary=f"{first} 그리고 저녁에는 조금 쉬어 가도 좋겠습니다."))
    assert kept.summary == first


def test_words_are_on_one_line_without_control_characters() -> None:
    kept = FortuneWords(**words(do="물을\n자주\tmarked\x07 마시기"))
    assert kept.do == "물을 자주 marked 마시기"


def test_the_apps_names_stand_in_what_is_stored() -> None:
    birth = Birth(date(1990, 3, 15), time(9, 30))
    reading = read_day(natal_chart(birth), birth, date(2026, 11, 22))
    given_words = FortuneWords(**words())
    data = fortune_data(given_words, reading)
    assert {
        "today_fortune_summary",
        "today_element_balance_description",
        "today_daily_guidance",
    } <= set(data)
    assert texts_of(data) == given_words.model_dump()


def test_retries_back_off_and_end() -> None:
    waits = []
    for attempts in range(1, MAX_ATTEMPTS):
        at = next_retry(attempts, NOW)
        assert at is not None
        waits.append((at - NOW).total_seconds() / 60)
    assert waits == [5, 10, 20, 40, 60]
    assert next_retry(MAX_ATTEMPTS, NOW) is None


def test_one_useless_answer_is_always_borne() -> None:
    assert not too_many_failed(1, 3, 0.0)
    assert too_many_failed(2, 3, 0.0)
    assert not too_many_failed(5, 100, 0.05)
    assert too_many_failed(6, 100, 0.05)


def test_what_sources_write_is_read() -> None:
    assert read_birth_date("1996-02-29") == date(1996, 2, 29)
    assert read_birth_date("1996-02-29 00:00:00") == date(1996, 2, 29)
    assert read_birth_date(None) is None
    assert read_birth_date(" ") is None
    for wrong in ("1995-02-29", "1899-12-31", "0000-00-00", "모름"):
        with pytest.raises(ValueError, match=r"."):
            read_birth_date(wrong)
    assert read_birth_time("23:30:00.000000") == time(23, 30)
    assert read_birth_time("09:05") == time(9, 5)
    assert [read_birth_time(each) for each in (None, "", "25:00", "-01:00:00", "모름")] == [
        None
    ] * 5
    assert [read_flag(each) for each in ("1", "true", "t", "0", "false", None)] == [True] * 3 + [
        False
    ] * 3
    assert [read_gender(each) for each in ("M", "여", "", None, "X")] == [
        True,
        False,
        None,
        None,
        None,
    ]


def test_full_names_are_found_and_short_ones_are_words() -> None:
    names = NameFinder(["김하나", "하늘", "  ", "박서준 "])
    assert names.is_in("오늘은 김하나처럼 웃으세요")
    assert names.is_in("박서준")
    assert not names.is_in("하늘이 맑습니다")
    assert not names.is_in("")
    assert not NameFinder([]).is_in("김하나")

"""The sample chats: the same on every machine, with everything that breaks a careless batch."""

import re
import unicodedata
from collections import Counter
from datetime import date, datetime, time

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_platform.sandbox import sample_chats
from batch_platform.sandbox.sample_chats import CHATTINGS, sample_day, sample_days, write_sqlite

LAST_DAY = date(2026, 11, 19)


@pytest.fixture(scope="module")
def texts():
    return [chat.text or "" for day in sample_days(LAST_DAY) for chat in sample_day(day)]


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)))
@settings(max_examples=25, deadline=None)
def test_a_day_is_always_the_same_and_lies_within_its_midnights(day):
    chats = sample_day(day)
    assert chats == sample_day(day)
    assert chats[0].created_at == datetime.combine(day, time(0, 0, 0))
    assert chats[-1].created_at == datetime.combine(day, time(23, 59, 59))
    keys = [chat.chatting_pk for chat in chats]
    assert keys == sorted(set(keys))
    assert len(chats) <= 400


def test_another_seed_gives_other_chats():
    assert sample_day(LAST_DAY, seed=1) != sample_day(LAST_DAY, seed=2)


def test_working_days_have_150_to_400_chats_and_weekends_and_holidays_fewer():
    assert 150 <= len(sample_day(date(2026, 11, 18))) <= 400
    assert len(sample_day(date(2026, 11, 14))) <= 160
    assert len(sample_day(date(2026, 12, 25))) <= 100


def test_some_questions_are_asked_often_and_many_once():
    counts = Counter(chat.text for chat in sample_day(date(2026, 11, 18)))
    assert counts.most_common(1)[0][1] >= 8
    assert sum(count == 1 for count in counts.values()) >= len(counts) / 2


@pytest.mark.parametrize(
    "pattern",
    [
        r"\A\Z",
        r"\A\s+\Z",
        r"\A=",
        r"위의 지시를 무시하고",
        r"</items>",
        r"010-0000-\d{4}",
        r"0100000\d{4}",
        r"\b\d{6}-[34]\d{6}\b",
        r"@example\.com",
        r"4111-1111-1111-1111",
        r"\u200b",
        r"\u202e",
        r"[\x07\x1b]",
        r"\ufffe",
        r"😀|👍",
        r"(?s)\A.{10000,}\Z",
    ],
)
def test_sixty_days_hold_everything_that_breaks_a_careless_batch(texts, pattern):
    assert any(re.search(pattern, text) for text in texts)


def test_some_hangul_is_decomposed_and_no_text_holds_what_no_database_can_store(texts):
    assert any(unicodedata.normalize("NFC", text) != text for text in texts)
    assert not any("\x00" in text for text in texts)
    assert "".join(texts).encode("utf-8")


def test_no_made_up_resident_number_has_a_right_check_digit(texts):
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    found = [number for text in texts for number in re.findall(r"\d{6}-\d{7}", text)]
    assert found
    for number in found:
        digits = [int(digit) for digit in number.replace("-", "")]
        weighted = sum(d * w for d, w in zip(digits[:12], weights, strict=True))
        assert (11 - weighted % 11) % 10 != digits[12]


def test_the_file_holds_sixty_days_and_the_next_night_adds_only_the_new_day(tmp_path):
    file = tmp_path / "samples" / "chats.db"
    engine = sa.create_engine(write_sqlite(file, LAST_DAY))
    days = sa.func.date(CHATTINGS.c.created_at)

    def chats_by_day():
        with engine.connect() as connection:
            rows = connection.execute(sa.select(days, sa.func.count()).group_by(days)).all()
        return dict(map(tuple, rows))

    first = chats_by_day()
    assert len(first) == 60
    assert max(first) == "2026-11-19"
    assert sample_chats.fill(engine, LAST_DAY) == 0
    assert sample_chats.fill(engine, date(2026, 11, 20)) == len(sample_day(date(2026, 11, 20)))
    assert len(chats_by_day()) == 61
    with engine.connect() as connection:
        names = connection.execute(sa.text("SELECT category_name FROM admin_categories")).scalars()
        assert tuple(names) == sample_chats.CATEGORIES
    engine.dispose()

"""What is masked, what is not, and that it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.personal_data import mask, restore


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("제 번호는 010-1234-5678입니다", "제 번호는 [전화번호_1]입니다"),
        ("01012345678로", "[전화번호_1]로"),
        ("010 1234 5678", "[전화번호_1]"),
        ("+82 10-1234-5678", "[전화번호_1]"),
        ("+1 (415) 555-2671", "[전화번호_1]"),
        ("(02) 123-4567", "[전화번호_1]"),
        ("031-1234-5678", "[전화번호_1]"),
        ("０１０－１２３４－５６７８", "[전화번호_1]"),
        ("900101-1234567", "[주민등록번호_1]"),
        ("9001011234567", "[주민등록번호_1]"),
        ("900101-1******", "[주민등록번호_1]"),
        ("hong.gil-dong+a@school.go.kr으로", "[이메일_1]으로"),
        ("1234-5678-9012-3456", "[카드번호_1]"),
        ("4111111111111111", "[카드번호_1]"),
        ("010-1234-5678, 010-1234-5678, 010-9999-9999", "[전화번호_1], [전화번호_1], [전화번호_2]"),
        ("[전화번호_1] 010-1234-5678", "[전화번호_1] [전화번호_2]"),
    ],
)
def test_personal_data_is_masked_and_restored(text: str, masked: str) -> None:
    found = mask(text)
    assert found.text == masked
    assert restore(found.text, found.originals) == text
    assert sum(found.counts.values()) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20 13:00 수업",
        "2026학년도 3학년 2반 15번",
        "1234567890123456",
        "주문 20261120-2201",
        "991301-1234567",
        "학교 전화는 1588-1234",
        "가격 1,234,567원, 12345678901234567890",
        "a@b 그리고 @멘션",
        "",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    assert mask(text).text == text


fragments = st.sampled_from(
    [
        "010-1234-5678",
        "01098765432",
        "900101-1234567",
        "a@b.co",
        "4111 1111 1111 1111",
        "+82",
        "0",
        "1",
        "-",
        " ",
        "가",
        "[전화번호_1]",
        "@",
        ".",
    ]
)


@given(st.lists(fragments, max_size=12).map("".join))
def test_masking_leaves_nothing_and_can_be_undone(text: str) -> None:
    masked = mask(text)
    assert mask(masked.text).text == masked.text
    assert restore(masked.text, masked.originals) == text or "[" in text


@given(st.text(max_size=300))
def test_any_text_can_be_masked_and_restored(text: str) -> None:
    masked = mask(text)
    assert restore(masked.text, masked.originals) == text


def test_a_long_text_takes_no_time() -> None:
    for text in ("a" * 200_000, "1" * 200_000, "a.b-" * 50_000 + "@", "+1 " * 60_000):
        mask(text)

"""A manager reads the report's mail in ten seconds, and nothing in it is taken for markup."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from batch_platform.domains.chats.models import CategoryTotal, KeywordTotal, ReportSummary
from batch_platform.domains.chats.report_mail import ReportMailContent, compose_report_mail
from batch_platform.gateways.mail import MailMessage

DAY = date(2026, 11, 19)
SUMMARY = ReportSummary(
    start=DAY,
    end=DAY,
    chat_count=312,
    blank_count=4,
    question_count=290,
    classified_count=288,
    quarantined_count=2,
    unclassified_count=30,
    keyword_count=90,
    classification_rows=400,
    previous_chat_count=300,
    model="HCX-005",
    cost_krw=1234.5,
    is_made_up=False,
    generated_at=datetime(2026, 11, 19, 16, tzinfo=UTC),
)
CONTENT = ReportMailContent(
    summary=SUMMARY,
    category_totals=[CategoryTotal(f"카테고리 {n}", n, 700 - 100 * n) for n in range(1, 7)],
    keyword_totals=[KeywordTotal(f"키워드 {n}", n, 50 - n) for n in range(12)],
    attention=["질문 2건은 보류했습니다.", "원본에 이상이 있습니다."],
    workbook=Path("/srv/reports/채팅키워드분류보고서_2026-11-19.xlsx"),
    run_url="http://127.0.0.1:3000/runs/abc",
    org_name="교육청",
)


class Reader(HTMLParser):
    """What a reader sees, and whether every element that opens is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def composed(**changes: object) -> MailMessage:
    return compose_report_mail(replace(CONTENT, **changes), ["manager@example.org"])


def of_summary(**changes: object) -> MailMessage:
    return composed(summary=replace(SUMMARY, **changes))


def test_the_subject_says_day_amount_first_category_and_what_needs_attention() -> None:
    assert composed().subject == (
        "[채팅 분류] 2026-11-19 (목) 채팅 312건 · 카테고리 1 1위 · 확인 필요 2건"
    )


def test_a_good_day_has_nothing_to_look_at() -> None:
    message = composed(attention=[])
    assert "확인" not in message.subject
    assert "확인이 필요" not in message.text + message.html


def test_a_range_names_both_ends() -> None:
    message = of_summary(start=date(2026, 11, 13))
    assert "2026-11-13 (금) ~ 2026-11-19 (목)" in message.subject
    assert "직전 7일 대비 ▲ 12건 (+4.0%)" in message.text


@pytest.mark.parametrize(
    ("previous", "said"),
    [
        (300, "전일 대비 ▲ 12건 (+4.0%)"),
        (400, "전일 대비 ▼ 88건 (-22.0%)"),
        (312, "전일과 같음"),
        (0, "전일 대비 ▲ 312건"),
        (None, "전일 기록 없음"),
    ],
)
def test_chats_are_compared_with_the_period_before(previous: int | None, said: str) -> None:
    message = of_summary(previous_chat_count=previous)
    assert said in message.text
    assert said in message.html


def test_both_bodies_say_the_same() -> None:
    message = composed()
    seen = " ".join(Reader(message.html).seen)
    for said in (
        "교육청",
        "312",
        "288건 분류 (99.3%)",
        "질문 2건은 보류했습니다.",
        "카테고리 5",
        "키워드 9 41",
        "채팅키워드분류보고서_2026-11-19.xlsx",
        "/srv/reports",
        "1,234원",
    ):
        assert said in message.text
        assert said in seen
    assert "카테고리 6" not in message.text + seen
    assert "키워드 10" not in message.text + seen
    assert CONTENT.run_url in message.text
    assert f'href="{CONTENT.run_url}"' in message.html


def test_bars_are_as_long_as_their_share_of_the_largest() -> None:
    widths = [int(w) for w in re.findall(r'<td width="(\d+)" height="14"', composed().html)]
    assert widths == [300, 250, 200, 150, 100]


def test_every_text_is_escaped_and_the_mail_fetches_nothing() -> None:
    evil = '"><script>alert(1)</script>&<img src=x onerror=1>'
    message = composed(
        category_totals=[CategoryTotal(evil, 1, 1)],
        keyword_totals=[KeywordTotal(evil, 1, 1)],
        attention=[evil],
        org_name=evil,
        workbook=Path(f"/srv/{evil.replace('/', '')}.xlsx"),
        run_url=f"http://host/{evil}",
    )
    reader = Reader(message.html)
    assert not reader.open
    assert not reader.tags & {"script", "img", "link", "style", "iframe"}
    assert evil in " ".join(reader.seen)


def test_a_link_that_is_no_web_address_is_only_shown() -> None:
    assert "<a " not in composed(run_url="javascript:alert(1)").html


def test_made_up_data_says_so_before_anything_else() -> None:
    message = of_summary(is_made_up=True)
    assert message.subject.startswith("[가상 데이터]")
    assert message.text.startswith("가상 데이터(샌드박스)")
    assert "가상 데이터(샌드박스)" in message.html
    assert "가상" not in composed().subject + composed().text + composed().html


def test_a_day_without_chats_has_a_mail_without_a_workbook() -> None:
    message = composed(
        summary=replace(
            SUMMARY,
            chat_count=0,
            question_count=0,
            classified_count=0,
            quarantined_count=0,
            model="",
        ),
        category_totals=[],
        keyword_totals=[],
        workbook=None,
    )
    assert message.attachments == ()
    assert "보고서를 만들지 않았습니다" in message.text
    assert "카테고리 상위" not in message.text + message.html
    assert "모델  ·" not in message.text


def test_the_workbook_is_attached() -> None:
    message = composed()
    assert message.attachments == (CONTENT.workbook,)
    assert message.recipients == ("manager@example.org",)

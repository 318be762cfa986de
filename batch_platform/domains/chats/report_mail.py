"""What the mail of a chats report says: a subject and two bodies that are read in ten seconds.

Pure: figures in, a message out. How a mail looks is `gateways.mail_layout`'s, how it is sent
`gateways.mail`'s, what stands in the workbook `report`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from batch_platform.domains.chats.models import CategoryTotal, KeywordTotal, ReportSummary
from batch_platform.domains.chats.report import MADE_UP_BANNER, REPORT_TITLE
from batch_platform.gateways import mail_layout
from batch_platform.gateways.mail import MailMessage

CATEGORY_COUNT = 5
KEYWORD_COUNT = 10

_CATEGORY_HEADING = f"카테고리 상위 {CATEGORY_COUNT} (질문횟수)"
_KEYWORD_HEADING = "많이 나온 키워드"
_ATTENTION_HEADING = "확인이 필요합니다"
_WEEKDAYS = "월화수목금토일"


@dataclass(frozen=True, slots=True)
class ReportMailContent:
    """What a report's mail is made of.

    Attributes:
        category_totals: Most asked first; the first five are shown.
        keyword_totals: Most asked first; the first ten are shown.
        attention: What a person should look at, one Korean sentence each.
        workbook: The file to attach; None for a period that has none.
        run_url: Where the run can be seen; no link when empty.
        org_name: The organisation; may be empty.
    """

    summary: ReportSummary
    category_totals: Sequence[CategoryTotal]
    keyword_totals: Sequence[KeywordTotal]
    attention: Sequence[str]
    workbook: Path | None
    run_url: str = ""
    org_name: str = ""


def compose_report_mail(content: ReportMailContent, recipients: Sequence[str]) -> MailMessage:
    """Write the mail of a report, in Korean, with the workbook attached."""
    return MailMessage(
        subject=_subject(content),
        text=_text(content),
        html=_html(content),
        recipients=tuple(recipients),
        attachments=(content.workbook,) if content.workbook else (),
    )


def _subject(content: ReportMailContent) -> str:
    summary = content.summary
    parts = [f"{_period(summary)} 채팅 {summary.chat_count:,}건"]
    if content.category_totals:
        parts.append(f"{mail_layout.shortened(content.category_totals[0].category_name, 20)} 1위")
    if content.attention:
        parts.append(f"확인 필요 {len(content.attention)}건")
    mark = "[가상 데이터]" if summary.is_made_up else ""
    return f"{mark}[채팅 분류] {' · '.join(parts)}"


def _period(summary: ReportSummary) -> str:
    if summary.start == summary.end:
        return _day(summary.start)
    return f"{_day(summary.start)} ~ {_day(summary.end)}"


def _day(day: date) -> str:
    return f"{day} ({_WEEKDAYS[day.weekday()]})"


def _figures(summary: ReportSummary) -> list[mail_layout.Figure]:
    asked = summary.question_count
    share = f"{summary.classified_count / asked:.1%}" if asked else "-"
    return [
        mail_layout.Figure("전체 채팅", f"{summary.chat_count:,}", _against_previous(summary)),
        mail_layout.Figure(
            "고유 질문", f"{asked:,}", f"{summary.classified_count:,}건 분류 ({share})"
        ),
        mail_layout.Figure(
            "분류 보류",
            f"{summary.quarantined_count:,}",
            f"미분류(기타) {summary.unclassified_count:,}건",
            is_alarming=summary.quarantined_count > 0,
        ),
    ]


def _against_previous(summary: ReportSummary) -> str:
    days = (summary.end - summary.start).days + 1
    name = "전일" if days == 1 else f"직전 {days}일"
    if summary.previous_chat_count is None:
        return f"{name} 기록 없음"
    change = summary.chat_count - summary.previous_chat_count
    if change == 0:
        return f"{name}과 같음"
    sign = "▲" if change > 0 else "▼"
    share = f" ({change / summary.previous_chat_count:+.1%})" if summary.previous_chat_count else ""
    return f"{name} 대비 {sign} {abs(change):,}건{share}"


def _keywords(content: ReportMailContent) -> str:
    return " · ".join(
        f"{mail_layout.shortened(total.keyword, 30)} {total.query_count:,}"
        for total in content.keyword_totals[:KEYWORD_COUNT]
    )


def _footer(content: ReportMailContent) -> str:
    summary = content.summary
    sender = " ".join(filter(None, (content.org_name, REPORT_TITLE)))
    model = summary.model and f"모델 {summary.model}"
    cost = f"모델 비용 {summary.cost_krw:,.0f}원"
    return " · ".join(filter(None, (sender, model, cost, "자동으로 보낸 메일입니다")))


def _workbook(workbook: Path | None) -> list[tuple[str, str]]:
    if workbook is None:
        return [("첨부", "분류된 질문이 없어 보고서를 만들지 않았습니다")]
    return [("첨부", workbook.name), ("저장 위치", str(workbook.parent))]


def _html(content: ReportMailContent) -> str:
    summary = content.summary
    figures = _figures(summary)
    blocks = [mail_layout.figures(figures)]
    if content.attention:
        blocks.append(mail_layout.points(_ATTENTION_HEADING, content.attention, is_alarming=True))
    if content.category_totals:
        shown = content.category_totals[:CATEGORY_COUNT]
        bars = [(total.category_name, total.query_count) for total in shown]
        blocks.append(mail_layout.bars(_CATEGORY_HEADING, bars))
    if content.keyword_totals:
        blocks.append(mail_layout.sentence(_KEYWORD_HEADING, _keywords(content)))
    blocks.append(mail_layout.facts("보고서", _workbook(content.workbook)))
    if content.run_url:
        blocks.append(mail_layout.button("실행 기록 보기", content.run_url))
    return mail_layout.page(
        title=REPORT_TITLE,
        subtitle=" · ".join(filter(None, (content.org_name, _period(summary)))),
        preview=", ".join(f"{figure.label} {figure.value}" for figure in figures),
        banner=MADE_UP_BANNER if summary.is_made_up else "",
        blocks=blocks,
        footer=_footer(content),
    )


def _text(content: ReportMailContent) -> str:
    summary = content.summary
    lines = [MADE_UP_BANNER, ""] if summary.is_made_up else []
    lines += [f"{REPORT_TITLE} · {_period(summary)}", ""]
    lines += [f"{figure.label} {figure.value} ({figure.note})" for figure in _figures(summary)]
    if content.attention:
        lines += ["", _ATTENTION_HEADING, *(f"- {text}" for text in content.attention)]
    if content.category_totals:
        lines += ["", _CATEGORY_HEADING]
    lines += [
        f"{rank}. {mail_layout.shortened(total.category_name)} {total.query_count:,}"
        for rank, total in enumerate(content.category_totals[:CATEGORY_COUNT], 1)
    ]
    if content.keyword_totals:
        lines += ["", _KEYWORD_HEADING, _keywords(content)]
    lines += ["", *(f"{name}: {value}" for name, value in _workbook(content.workbook))]
    if content.run_url:
        lines.append(f"실행 기록: {content.run_url}")
    return "\n".join([*lines, "", _footer(content), ""])

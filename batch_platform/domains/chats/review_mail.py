"""What the mail of a week's or a month's review says. Pure: figures in, a message out."""

from collections.abc import Sequence

from batch_platform.domains.chats.models import MissingDay, PeriodReview
from batch_platform.domains.chats.report import MADE_UP_BANNER
from batch_platform.gateways import mail_layout
from batch_platform.gateways.mail import MailMessage

_TITLE = "채팅 분류 점검"
_MISSING = "빠진 날"
_ATTENTION = "확인이 필요합니다"
_NEXT = "다음에 할 일"


def compose_review_mail(
    review: PeriodReview, recipients: Sequence[str], *, org_name: str, run_url: str = ""
) -> MailMessage:
    """Write the mail of a review, in Korean; a month's archive is attached."""
    found = review.archive.path if review.archive else None
    period = f"{review.start} ~ {review.end}"
    outcome = _outcome(review)
    mark = "[가상 데이터]" if review.is_made_up else ""
    banner = MADE_UP_BANNER if review.is_made_up else ""
    figures = _figures(review)
    missing = [_line(day) for day in review.missing]
    archive, advice = _archive(review), _advice(review)
    footer = " · ".join(filter(None, (org_name, _TITLE, "자동으로 보낸 메일입니다")))
    blocks = [
        mail_layout.figures(figures),
        mail_layout.points(_MISSING, missing, is_alarming=True)
        if missing
        else mail_layout.sentence(_MISSING, "없습니다. 모든 날이 원본과 같습니다."),
        *([mail_layout.facts("보관", archive)] if archive else []),
        *([mail_layout.points(_NEXT, advice)] if advice else []),
        *([mail_layout.button("실행 기록 보기", run_url)] if run_url else []),
    ]
    lines = [
        *([banner, ""] if banner else []),
        f"{_TITLE} · {period}",
        "",
        *(f"{each.label} {each.value} ({each.note})" for each in figures),
        "",
        f"{_MISSING}: {outcome}",
        *(f"- {line}" for line in missing),
        *(f"{name}: {value}" for name, value in archive),
        *(["", _NEXT, *(f"- {line}" for line in advice)] if advice else []),
        *([f"실행 기록: {run_url}"] if run_url else []),
        "",
        footer,
        "",
    ]
    return MailMessage(
        subject=f"{mark}[채팅 점검] {period} · {outcome}",
        text="\n".join(lines),
        html=mail_layout.page(
            title=_TITLE,
            subtitle=" · ".join(filter(None, (org_name, period))),
            preview=outcome,
            banner=banner,
            blocks=blocks,
            footer=footer,
        ),
        recipients=tuple(recipients),
        attachments=(found,) if found else (),
    )


def _outcome(review: PeriodReview) -> str:
    parts: list[str] = []
    if review.missing:
        parts.append(f"빠진 날 {len(review.missing)}일")
    if review.missing_questions:
        parts.append(f"빠진 질문 {review.missing_questions:,}건")
    if review.archive and review.archive.lacking:
        parts.append(f"보관되지 않은 보고서 {review.archive.lacking}개")
    return ", ".join(parts) or "빠진 것 없음"


def _figures(review: PeriodReview) -> list[mail_layout.Figure]:
    asked = review.question_count
    share = f"{review.classified_count / asked:.1%}" if asked else "-"
    return [
        mail_layout.Figure(
            "채팅",
            f"{review.chat_count:,}",
            f"{review.day_count}일 가운데 {review.days_with_chats}일",
        ),
        mail_layout.Figure("고유 질문", f"{asked:,}", f"{share} 분류"),
        mail_layout.Figure(
            "온전한 날",
            f"{review.day_count - len(review.missing)}/{review.day_count}",
            f"분류 보류 {review.quarantined_count:,}건",
            is_alarming=bool(review.missing),
        ),
    ]


def _line(day: MissingDay) -> str:
    known = (
        f"가져온 채팅 {day.landed_rows:,}건, 빠진 질문 {day.missing_questions:,}건"
        if day.landed_rows is not None and day.missing_questions is not None
        else f"원본에 채팅 {day.source_rows:,}건"
    )
    return f"{day.chat_date}: {day.reason} ({known})"


def _archive(review: PeriodReview) -> list[tuple[str, str]]:
    kept = review.archive
    if kept is None:
        return []
    if kept.path is None:
        wanted = f"만들지 않았습니다 (보고서 {kept.lacking}개)" if kept.lacking else "보고서 없음"
        return [("보관 파일", wanted)]
    lacking = f", 빠진 것 {kept.lacking}개" if kept.lacking else ""
    return [
        ("보관 파일", f"{kept.path.name} · 보고서 {kept.workbooks}개{lacking}"),
        ("저장 위치", str(kept.path.parent)),
    ]


def _advice(review: PeriodReview) -> list[str]:
    advice: list[str] = []
    if review.missing:
        first, last = review.missing[0].chat_date, review.missing[-1].chat_date
        advice.append(f"빠진 날 채우기: batch-platform chats missing auto -s {first} -e {last}")
    if review.archive and review.archive.lacking:
        advice.append(f"보고서 모으기: batch-platform chats archive {review.start:%Y-%m}")
    return advice

"""Sending a day's report: what is attached, what needs attention, and never twice."""

from datetime import date

from batch_platform.core.days import Clock
from batch_platform.core.hashing import text_id
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.models import ReportSummary
from batch_platform.domains.chats.report import report_file_name
from batch_platform.domains.chats.report_mail import (
    KEYWORD_COUNT,
    ReportMailContent,
    compose_report_mail,
)
from batch_platform.domains.chats.report_store import ChatReportSource
from batch_platform.domains.chats.store import ChatStore
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.sent_mails import Delivery, send_once

_UNCLASSIFIED_SHARE = 0.5


def mail_day_report(
    day: date,
    *,
    db: PlatformDb,
    mailer: Mailer,
    settings: Settings,
    clock: Clock,
    run_url: str = "",
    again: bool = False,
) -> Delivery:
    """Mail a day's workbook with its summary, unless the same was mailed before.

    A day without chats is mailed too, without a workbook: silence would look like a failure.

    Raises:
        ConfigurationError: The mail server refuses us.
        RetryableError: It does not answer now.
    """
    content = ChatReportSource(
        db,
        day,
        day,
        default_category_id=settings.chats.default_category_id,
        generated_at=clock(),
    )
    summary = content.summary()
    attention = attention_points(summary, ChatStore(db).warnings(day))
    workbook = settings.chats_report_folder / report_file_name(day, day)
    message = compose_report_mail(
        ReportMailContent(
            summary,
            content.category_totals(),
            content.keyword_totals(KEYWORD_COUNT),
            attention=attention,
            workbook=workbook if summary.classification_rows else None,
            run_url=run_url,
            org_name=settings.platform.org_name,
        ),
        settings.mail.recipients,
    )
    return send_once(
        message,
        content=text_id(f"{message.subject}\0{'|'.join(attention)}\0{summary.classification_rows}"),
        asset="chats/report_mail",
        partition=day.isoformat(),
        db=db,
        mailer=mailer,
        again=again,
    )


def attention_points(summary: ReportSummary, warnings: list[str]) -> list[str]:
    """What a person should look at, a Korean sentence each; empty on a good day."""
    points: list[str] = []
    if summary.chat_count == 0:
        points.append("이 날은 채팅이 한 건도 없습니다. 원본 데이터베이스를 확인해 주세요.")
    if summary.quarantined_count:
        points.append(f"질문 {summary.quarantined_count:,}건은 분류하지 못해 보류했습니다.")
    if (
        summary.classified_count
        and summary.unclassified_count / summary.classified_count > _UNCLASSIFIED_SHARE
    ):
        points.append("절반이 넘는 질문이 기타로 분류되었습니다. 카테고리 목록을 확인해 주세요.")
    return points + [f"원본: {warning}" for warning in warnings]

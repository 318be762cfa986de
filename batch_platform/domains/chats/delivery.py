"""Sending a day's report: what is attached, what needs attention, and never twice."""

from datetime import date
from pathlib import Path

from batch_platform.core.days import Clock
from batch_platform.core.errors import NoDataError
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


def mail_report(
    start: date,
    end: date,
    *,
    workbook: Path | None = None,
    db: PlatformDb,
    mailer: Mailer,
    settings: Settings,
    clock: Clock,
    run_url: str = "",
    again: bool = False,
) -> Delivery:
    """Mail the workbook of a day or a period with its summary, unless the same was mailed before.

    A period without chats is mailed too, without a workbook: silence would look like a failure.

    Args:
        start: The period's first day.
        end: Its last day; the first one for a day's report.
        workbook: The file; the one in the report folder by default.
        db: The platform's database.
        mailer: The mail server.
        settings: Who gets the mail, the organisation, the report folder.
        clock: The time that the figures are from.
        run_url: Where the run can be seen; no link when empty.
        again: Send it even if the same was mailed before.

    Raises:
        NoDataError: There are chats but the workbook is not there.
        ConfigurationError: The mail server refuses us.
        RetryableError: It does not answer now.
    """
    content = ChatReportSource(
        db,
        start,
        end,
        default_category_id=settings.chats.default_category_id,
        generated_at=clock(),
    )
    summary = content.summary()
    categories, keywords = content.category_totals(), content.keyword_totals(KEYWORD_COUNT)
    attention = attention_points(summary, ChatStore(db).warnings(start, end))
    file = workbook or settings.chats_report_folder / report_file_name(start, end)
    message = compose_report_mail(
        ReportMailContent(
            summary,
            categories,
            keywords,
            attention=attention,
            workbook=_existing(file) if summary.classification_rows else None,
            run_url=run_url,
            org_name=settings.platform.org_name,
        ),
        settings.mail.recipients,
    )
    figures = (message.subject, summary.classification_rows, categories, keywords, attention)
    return send_once(
        message,
        content=text_id(repr(figures)),
        asset="chats/report_mail",
        partition=start.isoformat() if start == end else f"{start}...{end}",
        db=db,
        mailer=mailer,
        again=again,
    )


def _existing(workbook: Path) -> Path:
    if not workbook.is_file():
        raise NoDataError(f"The workbook {workbook} is not there", "Make the report first")
    return workbook


def attention_points(summary: ReportSummary, warnings: list[str]) -> list[str]:
    """What a person should look at, a Korean sentence each; empty on a good day."""
    points: list[str] = []
    if summary.chat_count == 0:
        points.append("채팅이 한 건도 없습니다. 원본 데이터베이스를 확인해 주세요.")
    if summary.quarantined_count:
        points.append(f"질문 {summary.quarantined_count:,}건은 분류하지 못해 보류했습니다.")
    if (
        summary.classified_count
        and summary.unclassified_count / summary.classified_count > _UNCLASSIFIED_SHARE
    ):
        points.append("절반이 넘는 질문이 기타로 분류되었습니다. 카테고리 목록을 확인해 주세요.")
    return points + [f"원본: {warning}" for warning in warnings]

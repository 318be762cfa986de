"""Looking back at a week or a month of chats: what of it is missing, what is kept, who is told."""

import zipfile
from datetime import date, timedelta

from batch_platform.core.days import days_between
from batch_platform.core.hashing import text_id
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.archive import archive_path, month_of, workbook_names
from batch_platform.domains.chats.missing import missing_days
from batch_platform.domains.chats.models import KeptArchive, PeriodReview
from batch_platform.domains.chats.review_mail import compose_review_mail
from batch_platform.domains.chats.store import ChatStore
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.sent_mails import Delivery, send_once
from batch_platform.gateways.source_db import SourceDatabase


def review_week(
    monday: date, *, source: SourceDatabase, db: PlatformDb, settings: Settings
) -> PeriodReview:
    """Compare a week's days with the source.

    Raises:
        ConfigurationError: The source is not as the settings say.
        RetryableError: It does not answer.
    """
    return _review(monday, monday + timedelta(days=6), source=source, db=db, settings=settings)


def review_month(
    month: date, *, source: SourceDatabase, db: PlatformDb, settings: Settings
) -> PeriodReview:
    """Compare a month's days with the source, and its archive with what belongs into it.

    Raises:
        ConfigurationError: The source is not as the settings say.
        RetryableError: It does not answer.
    """
    first, last = month_of(month)
    kept = kept_archive(month, db, settings)
    return _review(first, last, source=source, db=db, settings=settings, archive=kept)


def mail_review(
    review: PeriodReview,
    *,
    asset: str,
    db: PlatformDb,
    mailer: Mailer,
    settings: Settings,
    run_url: str = "",
    again: bool = False,
) -> Delivery:
    """Mail what a review found, good or bad, unless the same was mailed before.

    Args:
        review: What it found.
        asset: The asset that mails, `group/name`.
        db: Where sent mails are remembered.
        mailer: The mail server.
        settings: Who gets the mail, and the organisation.
        run_url: Where the run can be seen; no link when empty.
        again: Send it even if the same was mailed before.

    Raises:
        ConfigurationError: The mail server refuses us.
        RetryableError: It does not answer now.
    """
    message = compose_review_mail(
        review, settings.mail.recipients, org_name=settings.platform.org_name, run_url=run_url
    )
    return send_once(
        message,
        content=text_id(repr(review)),
        asset=asset,
        partition=f"{review.start}...{review.end}",
        db=db,
        mailer=mailer,
        again=again,
    )


def _review(
    start: date,
    end: date,
    *,
    source: SourceDatabase,
    db: PlatformDb,
    settings: Settings,
    archive: KeptArchive | None = None,
) -> PeriodReview:
    # What was before the platform's first day nobody expects.
    days = list(days_between(max(start, settings.chats.first_day), end))
    counts = ChatStore(db).day_counts(days[0], days[-1])
    return PeriodReview(
        start=start,
        end=end,
        day_count=len(days),
        days_with_chats=sum(1 for day in counts if day.landed_rows),
        chat_count=sum(day.landed_rows or 0 for day in counts),
        question_count=sum(day.question_count for day in counts),
        classified_count=sum(day.classified_count for day in counts),
        quarantined_count=sum(day.quarantined_count for day in counts),
        missing=tuple(missing_days(days, source=source, db=db, settings=settings)),
        archive=archive,
        is_made_up=settings.is_made_up,
    )


def kept_archive(month: date, db: PlatformDb, settings: Settings) -> KeptArchive:
    """A month's archive as it stands beside what belongs into it."""
    path = archive_path(month, settings)
    wanted = set(workbook_names(month, db))
    if not path.is_file():
        return KeptArchive(None, 0, len(wanted))
    try:
        with zipfile.ZipFile(path) as archive:
            kept = set(archive.namelist())
    except zipfile.BadZipFile:
        return KeptArchive(path, 0, len(wanted))
    return KeptArchive(path, len(kept), len(wanted - kept))

"""The chats domain's assets: thin shells around `extraction`, `workflow`, `delivery`."""

# Dagster's decorators are partly untyped; everything else here is checked strictly.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import date
from typing import Any

import dagster as dg

from batch_platform.core.days import Clock
from batch_platform.core.settings import Settings
from batch_platform.domains.chats.archive import archive_month
from batch_platform.domains.chats.delivery import mail_report
from batch_platform.domains.chats.extraction import extract_day
from batch_platform.domains.chats.models import PeriodReview
from batch_platform.domains.chats.partitions import chat_days, chat_months, chat_weeks
from batch_platform.domains.chats.review import mail_review, review_month, review_week
from batch_platform.domains.chats.store import ChatStore
from batch_platform.domains.chats.workflow import (
    classify_day,
    has_chats,
    publish_day,
    write_period_report,
)
from batch_platform.gateways.llm import BulkLlm
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.orchestration.chunks import asked_before
from batch_platform.orchestration.partitions import partition_day
from batch_platform.orchestration.progress import ProgressListener
from batch_platform.orchestration.queues import ON_LLM_WORKERS
from batch_platform.orchestration.results import (
    markdown_table,
    materialized,
    run_url,
    stopwatch,
    table_metadata,
)
from batch_platform.orchestration.steps import working_on_partition

_OWNERS = ["team:chats"]
_PREFIX = "chats"
_BACKFILL_TAG = "dagster/backfill"
_NOT_WANTED = "Not wanted in this run (backfill or setting)"


class RawChatsConfig(dg.Config):
    """How a day is read."""

    may_become_empty: bool = False
    """Whether a day that was read before may be replaced by an empty one."""


@dg.asset(
    key_prefix=_PREFIX,
    partitions_def=chat_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"postgres", "table"},
    tags={"personal_data": "yes"},
    metadata=table_metadata(
        "chats.raw_chats",
        {
            "chat_date": ("date", "Calendar day in the platform's zone"),
            "chatting_pk": ("text", "The chat's key in the source"),
            "input_text": ("text", "What the user wrote, unchanged but for NUL characters"),
            "created_at": ("timestamptz", "When it was written"),
        },
    ),
)
def raw_chats(
    context: dg.AssetExecutionContext,
    config: RawChatsConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per chat of the day, as the source holds it.

    Streamed, so a day of a million chats needs no more memory than a small one, and replaced whole.
    """
    day, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        extraction = extract_day(
            day,
            source=chat_source,
            db=platform_db,
            settings=settings,
            on_progress=progress.for_step(context),
            may_become_empty=config.may_become_empty,
        )
    for warning in extraction.warnings:
        context.log.warning(warning)
    return materialized(
        rows=extraction.landed_rows,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={
            "source_rows": extraction.source_rows,
            "blank_rows": extraction.blank_rows,
            "mended_rows": extraction.mended_rows,
            "undated_rows_in_source": extraction.undated_rows,
            "warnings": "\n".join(extraction.warnings) or "none",
        },
    )


class ClassificationsConfig(dg.Config):
    """How a day is classified."""

    retry_quarantined: bool = False
    """Whether questions whose answers could not be used before are asked, and paid, once more."""
    replaces_imported: bool = False
    """Whether questions that an old system classified are asked, and paid for, here as well."""


@dg.asset(
    key_prefix=_PREFIX,
    deps=[raw_chats],
    partitions_def=chat_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    pool="llm",
    op_tags=ON_LLM_WORKERS,
    owners=_OWNERS,
    kinds={"postgres", "openai"},
    tags={"personal_data": "yes"},
    metadata=table_metadata(
        "chats.classifications",
        {
            "chat_date": ("date", "Calendar day in the platform's zone"),
            "question_id": ("text", "Hash of the question's text"),
            "keyword": ("text", "A keyword the model found in the question"),
            "category_id": ("integer", "A category the model chose for the keyword"),
            "category_name": ("text", "Its name in the source"),
            "question": ("text", "The question"),
            "query_count": ("bigint", "How often it was asked that day"),
            "asked_at": ("timestamptz", "When it was asked first that day"),
            "model": ("text", "The model that answered; imported when an old system did"),
            "is_made_up": ("boolean", "Whether the sandbox answered"),
            "import_id": ("bigint", "The import that brought the row; null when made here"),
        },
    ),
)
def classifications(
    context: dg.AssetExecutionContext,
    config: ClassificationsConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
    llm: dg.ResourceParam[BulkLlm],
    progress: dg.ResourceParam[ProgressListener],
) -> dg.MaterializeResult[Any]:
    """One row per distinct question of the day, keyword and category the model chose.

    A rerun asks only what the ledger does not hold, and replaces the day in one transaction. What
    was imported stays.
    """
    day, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        outcome = classify_day(
            day,
            db=platform_db,
            source=chat_source,
            llm=llm,
            settings=settings,
            progress=progress.for_step(context),
            retry_quarantined=config.retry_quarantined,
            replaces_imported=config.replaces_imported,
            asked_before=asked_before(context, platform_db, day),
        )
    return materialized(
        rows=outcome.rows,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        preview=markdown_table(
            ["질문", "키워드", "카테고리", "횟수"], ChatStore(platform_db).preview(day)
        ),
        details={
            "questions_classified": outcome.classified,
            "questions_quarantined": outcome.quarantined,
            "questions_imported": outcome.imported,
            "answers_from_ledger": outcome.asking.from_ledger,
            "model_calls": outcome.asking.calls,
            "cost_krw": round(outcome.asking.cost_krw, 2),
            "input_tokens": outcome.asking.input_tokens,
            "output_tokens": outcome.asking.output_tokens,
        },
    )


@dg.asset(
    key_prefix=_PREFIX,
    deps=[classifications],
    partitions_def=chat_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"excel"},
)
def report(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One Excel workbook per day: six sheets with charts, in Korean, ready to print.

    Written beside its final name and renamed, so a half workbook is never seen. A day without chats
    has none.
    """
    day, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        if not has_chats(day, platform_db):
            return materialized(
                rows=0,
                seconds=seconds(),
                is_made_up=settings.is_made_up,
                details={"note": "No chats that day: no workbook"},
            )
        file = write_period_report(day, day, db=platform_db, settings=settings, clock=clock)
    return materialized(
        rows=file.rows,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={
            "path": dg.MetadataValue.path(str(file.path)),
            "size_bytes": file.size_bytes,
            "sheets": ", ".join(file.sheets),
            "cut_cells": file.cut_cells,
        },
    )


class ReportMailConfig(dg.Config):
    """When the report is mailed."""

    send: bool = True
    """Whether a mail goes out at all."""
    send_in_backfill: bool = False
    """Whether a backfill mails every day it makes."""
    again: bool = False
    """Whether a mail that was sent before is sent again."""


def _is_wanted(context: dg.AssetExecutionContext, config: ReportMailConfig) -> bool:
    return config.send and (config.send_in_backfill or _BACKFILL_TAG not in context.run.tags)


@dg.asset(
    key_prefix=_PREFIX,
    deps=[report],
    partitions_def=chat_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"email"},
)
def report_mail(
    context: dg.AssetExecutionContext,
    config: ReportMailConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    mailer: dg.ResourceParam[Mailer],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One mail per day with the workbook and a summary to read in ten seconds.

    The same content is not sent twice. Without a mail server nothing is sent and it says so.
    """
    day, seconds = partition_day(context), stopwatch()
    if not _is_wanted(context, config):
        note, recipients, sent = _NOT_WANTED, (), False
    else:
        with working_on_partition(context, platform_db):
            delivery = mail_report(
                day,
                day,
                db=platform_db,
                mailer=mailer,
                settings=settings,
                clock=clock,
                run_url=run_url(settings, context.run.run_id),
                again=config.again,
            )
        note, recipients, sent = delivery.note, delivery.recipients, delivery.is_sent_now
    return materialized(
        rows=int(sent),
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={"note": note, "recipient_count": len(recipients)},
    )


@dg.asset(
    key_prefix=_PREFIX,
    deps=[classifications],
    partitions_def=chat_days,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"mariadb", "table"},
)
def published_keywords(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One row per question, keyword and category in the source's own keyword table.

    What the old system's application reads; only the day's rows are touched, in one transaction.
    """
    day, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        rows = publish_day(day, db=platform_db, source=chat_source, settings=settings, clock=clock)
    return materialized(rows=rows, seconds=seconds(), is_made_up=settings.is_made_up)


@dg.asset(
    key_prefix=_PREFIX,
    deps=[report],
    partitions_def=chat_months,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"zip", "excel"},
)
def report_archive(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[Any]:
    """One archive per month: the month's own workbook and those of its days.

    A day's workbook that is gone from the folder is made again from the database.
    """
    first, seconds = partition_day(context), stopwatch()
    with working_on_partition(context, platform_db):
        archive = archive_month(
            date(first.year, first.month, 1), db=platform_db, settings=settings, clock=clock
        )
    return materialized(
        rows=archive.workbooks,
        seconds=seconds(),
        is_made_up=settings.is_made_up,
        details={
            "path": dg.MetadataValue.path(str(archive.path)) if archive.path else "none",
            "size_bytes": archive.size_bytes,
            "days_without_chats": archive.days_without_chats,
        },
    )


@dg.asset(
    key_prefix=_PREFIX,
    deps=[classifications],
    partitions_def=chat_weeks,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"email"},
)
def weekly_review(
    context: dg.AssetExecutionContext,
    config: ReportMailConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
    mailer: dg.ResourceParam[Mailer],
) -> dg.MaterializeResult[Any]:
    """One look back per week: which of its days and questions are missing, told by mail.

    Compared with the source, day by day. It fills nothing: the mail says which command does.
    """
    seconds = stopwatch()
    with working_on_partition(context, platform_db):
        review = review_week(
            partition_day(context), source=chat_source, db=platform_db, settings=settings
        )
        note = _told(context, config, review, platform_db, mailer, settings)
    return _reviewed(review, note, seconds())


@dg.asset(
    key_prefix=_PREFIX,
    deps=[classifications, report_archive],
    partitions_def=chat_months,
    backfill_policy=dg.BackfillPolicy.multi_run(),
    owners=_OWNERS,
    kinds={"email"},
)
def monthly_review(
    context: dg.AssetExecutionContext,
    config: ReportMailConfig,
    settings: dg.ResourceParam[Settings],
    platform_db: dg.ResourceParam[PlatformDb],
    chat_source: dg.ResourceParam[SourceDatabase],
    mailer: dg.ResourceParam[Mailer],
) -> dg.MaterializeResult[Any]:
    """One look back per month: how complete it is and what its archive holds, told by mail.

    Compared with the source, day by day; the archive is attached.
    """
    seconds = stopwatch()
    with working_on_partition(context, platform_db):
        review = review_month(
            partition_day(context), source=chat_source, db=platform_db, settings=settings
        )
        note = _told(context, config, review, platform_db, mailer, settings)
    return _reviewed(review, note, seconds())


def _told(
    context: dg.AssetExecutionContext,
    config: ReportMailConfig,
    review: PeriodReview,
    db: PlatformDb,
    mailer: Mailer,
    settings: Settings,
) -> str:
    if not _is_wanted(context, config):
        return _NOT_WANTED
    return mail_review(
        review,
        asset=context.asset_key.to_user_string(),
        db=db,
        mailer=mailer,
        settings=settings,
        run_url=run_url(settings, context.run.run_id),
        again=config.again,
    ).note


def _reviewed(review: PeriodReview, note: str, seconds: float) -> dg.MaterializeResult[Any]:
    columns = ["날짜", "원본 채팅", "가져온 채팅", "빠진 질문", "이유"]
    missing = [
        (each.chat_date, each.source_rows, each.landed_rows, each.missing_questions, each.reason)
        for each in review.missing
    ]
    archive = review.archive
    return materialized(
        rows=len(review.missing),
        seconds=seconds,
        is_made_up=review.is_made_up,
        preview=markdown_table(columns, missing) if missing else "",
        details={
            "days": review.day_count,
            "days_missing": len(review.missing),
            "questions_missing": review.missing_questions,
            "chats": review.chat_count,
            "questions": review.question_count,
            "questions_classified": review.classified_count,
            "questions_quarantined": review.quarantined_count,
            **({"workbooks_lacking": archive.lacking} if archive else {}),
            "note": note,
        },
    )

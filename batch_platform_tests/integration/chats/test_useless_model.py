"""A model whose answers cannot be used is not paid for a whole day."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batch_platform.core.days import utc_now
from batch_platform.core.errors import PermanentError
from batch_platform.core.progress import unheard
from batch_platform.domains.chats.extraction import extract_day
from batch_platform.domains.chats.workflow import ClassificationOutcome, classify_day
from batch_platform.gateways.llm import open_bulk_llm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.operations.quarantine import QuarantineBook
from batch_platform.sandbox.faults import Fault
from batch_platform.sandbox.model_server import running_model_server
from batch_platform_tests.given_settings import settings_of

DAY = date(2026, 11, 19)
QUESTIONS = 600


@pytest.fixture
def source(tmp_path: Path) -> SourceDatabase:
    """A day of many different questions."""
    file = tmp_path / "source.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(
            """
            CREATE TABLE chattings (chatting_pk, input_text, created_at);
            CREATE TABLE admin_categories (category_id, category_name);
            INSERT INTO admin_categories VALUES (1, '급식'), (11, '기타');
            """
        )
        connection.executemany(
            "INSERT INTO chattings VALUES (?, ?, '2026-11-19 10:00:00')",
            [(number, f"질문 {number}") for number in range(QUESTIONS)],
        )
    return SourceDatabase(f"sqlite:///{file}", ZoneInfo("Asia/Seoul"))


def test_asking_ends_as_soon_as_the_day_cannot_succeed_any_more(
    source: SourceDatabase, platform_db: PlatformDb
) -> None:
    with running_model_server(faults={Fault.EMPTY_ANSWER: 1.0}) as server:
        settings = settings_of(
            LLM_PROVIDER="compatible", LLM_BASE_URL=server.url, LLM_MODEL="m", PARALLEL_WORKERS=4
        )
        extract_day(DAY, source=source, db=platform_db, settings=settings)
        with pytest.raises(PermanentError, match=r"of 600 questions .* so no more were asked"):
            classify_day(
                DAY,
                db=platform_db,
                source=source,
                llm=open_bulk_llm(settings.model, platform_db.url, is_made_up=True),
                settings=settings,
                progress=unheard,
            )
        assert server.stats()["received"] < QUESTIONS / 2


def test_what_a_person_gave_up_does_not_fail_the_day_again(
    source: SourceDatabase, platform_db: PlatformDb
) -> None:
    with running_model_server(faults={Fault.EMPTY_ANSWER: 1.0}) as server:
        settings = settings_of(
            LLM_PROVIDER="compatible",
            LLM_BASE_URL=server.url,
            LLM_MODEL="m",
            CHATS_MAX_QUARANTINE_SHARE="0.01",
            CHATS_QUESTIONS_PER_CALL="50",
        )

        def classify() -> ClassificationOutcome:
            return classify_day(
                DAY,
                db=platform_db,
                source=source,
                llm=open_bulk_llm(settings.model, platform_db.url, is_made_up=True),
                settings=settings,
                progress=unheard,
            )

        extract_day(DAY, source=source, db=platform_db, settings=settings)
        # Two: one is always allowed, and asking ends as soon as it is more. All other texts are
        # blank, and blank ones are not asked.
        with platform_db.connect("test") as connection:
            connection.execute(
                "UPDATE chats.raw_chats SET input_text = ' ' WHERE chatting_pk::int > 1"
            )
        with pytest.raises(PermanentError, match="of 2 questions"):
            classify()
        book = QuarantineBook(platform_db, utc_now)
        waiting = [each.key for each in book.items()]
        assert book.discard(waiting, "욕설", discarded_by="kim") == len(waiting) == 2
        outcome = classify()
        assert (outcome.classified, outcome.quarantined) == (0, 2)

"""How long classifying a day takes against the time its model calls alone would take.

The limit is calls / in flight x delay: a server that answers every call after 200 ms, 64 calls in
flight at every moment, nothing else. Ours is the whole workflow: reading the questions, the
ledger, pacing, and writing the day. The second figure is the rate under a limit of 60 calls a
minute, where the old job, which asked one question a call, came to 30 questions a minute.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from batch_platform.core.progress import unheard
from batch_platform.core.settings import Settings, load_settings
from batch_platform.domains.chats.workflow import ClassificationOutcome, classify_day
from batch_platform.gateways.llm import open_bulk_llm
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.sandbox.model_server import running_model_server
from batch_platform.sandbox.sample_chats import write_sqlite
from benchmarks.figures import report
from benchmarks.scratch_database import scratch_database

DAY = date(2026, 11, 19)
SEOUL = ZoneInfo("Asia/Seoul")
DELAY_SECONDS = 0.2
IN_FLIGHT = 64
QUESTIONS = 6_400
AIM = 1.1

CALLS_A_MINUTE = 60
QUESTIONS_A_CALL = 10
PACED_QUESTIONS = 600
PACED_AIM = 500


def classification_figure() -> dict[str, dict[str, object]]:
    """Classify made-up questions, one a call; tell the ratio to the calls' own time."""
    with _classified(QUESTIONS, delay=DELAY_SECONDS, questions_per_call=1) as (outcome, seconds):
        limit = outcome.asking.calls / IN_FLIGHT * DELAY_SECONDS
    print(f"classification: {outcome.asking.calls:,} calls, {seconds / limit:.3f} x their own time")
    return {
        "classification_ratio": {"value": round(seconds / limit, 3), "aim": AIM, "better": "lower"}
    }


def paced_figure() -> dict[str, dict[str, object]]:
    """Classify under a limit of calls a minute; tell questions a minute."""
    with _classified(
        PACED_QUESTIONS,
        delay=DELAY_SECONDS,
        questions_per_call=QUESTIONS_A_CALL,
        calls_a_minute=CALLS_A_MINUTE,
    ) as (outcome, seconds):
        rate = outcome.classified / seconds * 60
    print(f"under {CALLS_A_MINUTE} calls a minute: {rate:.0f} questions a minute (the old job: 30)")
    return {
        "questions_a_minute_at_60_calls": {
            "value": round(rate),
            "aim": PACED_AIM,
            "better": "higher",
        }
    }


@contextmanager
def _classified(
    questions: int, *, delay: float, questions_per_call: int, calls_a_minute: int | None = None
) -> Generator[tuple[ClassificationOutcome, float]]:
    with (
        TemporaryDirectory() as folder,
        scratch_database() as db,
        running_model_server(
            as_process=True, delay=delay, requests_per_minute=calls_a_minute
        ) as server,
    ):
        source_url = write_sqlite(Path(folder) / "chats.sqlite", DAY, days=1)
        settings = _settings(source_url, server.url, questions_per_call, calls_a_minute)
        _fill_day(db, questions)
        llm = open_bulk_llm(settings.model, db.url, is_made_up=True)
        source = SourceDatabase(source_url, SEOUL)
        start = time.perf_counter()
        outcome = classify_day(
            DAY, db=db, source=source, llm=llm, settings=settings, progress=unheard
        )
        yield outcome, time.perf_counter() - start


def _settings(
    source_url: str, model_url: str, questions_per_call: int, calls_a_minute: int | None
) -> Settings:
    settings = load_settings()
    chats = {
        "engine": SecretStr(source_url),
        "questions_per_call": questions_per_call,
        "parallel_workers": IN_FLIGHT,
    }
    model = {
        "provider": "compatible",
        "compatible_base_url": model_url,
        "compatible_api_key": SecretStr("sandbox"),
        "compatible_model": "sandbox-model",
        "requests_per_minute": calls_a_minute,
    }
    return settings.model_copy(
        update={
            "chats": settings.chats.model_copy(update=chats),
            "model": settings.model.model_copy(update=model),
        }
    )


def _fill_day(db: PlatformDb, questions: int) -> None:
    midnight = datetime(2026, 11, 18, 15, tzinfo=UTC)
    with db.connect("benchmark") as connection:
        with connection.cursor().copy(
            "COPY chats.raw_chats (chat_date, chatting_pk, input_text, created_at) FROM STDIN"
        ) as copy:
            for number in range(questions):
                text = f"{number}번 학생의 전학 서류는 무엇이 필요한가요?"
                copy.write_row((DAY, str(number), text, midnight + timedelta(seconds=number)))
        connection.execute(
            "INSERT INTO chats.extractions (chat_date, source_rows, landed_rows, blank_rows,"
            " mended_rows, undated_rows, is_made_up) VALUES (%s, %s, %s, 0, 0, 0, true)",
            [DAY, questions, questions],
        )


if __name__ == "__main__":
    report({**classification_figure(), **paced_figure()})

"""Days on which something is missing, wrong or in the way: said clearly, and nothing half done."""

import threading
import time
import zipfile
from datetime import date

import pytest

from batch_platform.domains.chats.report import report_file_name
from batch_platform_tests.assets.chats.conftest import DAY, DAY_BEFORE, Made, World


def test_a_day_without_chats_has_no_workbook_and_its_mail_says_so(world: World) -> None:
    world.in_source("DELETE FROM chattings WHERE date(created_at) = ?", DAY.isoformat())

    made = world.make()

    assert made.is_success, made.failures
    assert "No chats" in made.metadata("report")["note"]
    assert not world.reports.exists() or not list(world.reports.iterdir())
    (mail,) = world.mails.mails()
    body = mail.message.get_body(("plain",))
    assert body is not None
    assert "한 건도 없습니다" in body.get_content()
    assert not list(mail.message.iter_attachments())
    assert world.model.server.stats()["received"] == 0


@pytest.mark.parametrize("missing", ["SMTP_SERVER", "RECIPIENT_EMAILS"])
def test_without_a_mail_server_the_night_is_green_and_says_so(world: World, missing: str) -> None:
    del world.variables[missing]

    made = world.make()

    assert made.is_success, made.failures
    assert missing in made.metadata("report_mail")["note"]
    assert world.mails.mails() == []


def test_a_day_with_too_many_questions_set_aside_fails_and_stays_as_it_was(world: World) -> None:
    world.make("raw_chats", "classifications")
    before = world.checksum()
    # A run of tomorrow's code: all is asked again, and much of it is refused.
    world.execute("DELETE FROM llm.calls")
    world.model.server.configure(poison={"학교": "refusal", "졸업": "refusal"})

    made = world.make("classifications", "report", "published_keywords")

    (failure,) = made.failures
    assert failure.step == "chats/classifications"
    assert "CHATS_MAX_QUARANTINE_SHARE" in failure.sentence
    assert world.checksum() == before
    assert not list(world.reports.glob("*")) if world.reports.exists() else True
    assert world.in_source("SELECT count(*) FROM admin_chat_keywords") == [(0,)]

    # What was paid for in vain is paid for again only when somebody asks for it, and with it what
    # was not asked any more; no answer that could be used.
    world.model.server.configure(poison={})
    asked_before = world.model.server.stats()["items_asked"]
    assert not world.make("classifications").is_success
    assert world.model.server.stats()["items_asked"] == asked_before
    again = world.make("classifications", classify={"retry_quarantined": True})
    assert again.is_success, again.failures
    (questions,) = world.rows("SELECT count(*) FROM chats.questions WHERE chat_date = %s", [DAY])[0]
    assert 0 < world.model.server.stats()["items_asked"] - asked_before < questions
    assert world.checksum() == before


def test_one_question_set_aside_is_told_and_stops_nothing(world: World) -> None:
    world.add_chats("이 글에는 독버섯 이야기가 있습니다")
    world.model.server.configure(poison={"독버섯": "refusal"})

    made = world.make()

    assert made.is_success, made.failures
    assert made.metadata("classifications")["questions_quarantined"] == 1
    assert made.checks["every_question_is_classified_or_in_quarantine"]
    (mail,) = world.mails.mails()
    assert "확인 필요" in mail.message["Subject"]


def test_a_backfill_mails_nothing_unless_asked_to(world: World) -> None:
    made = world.make(tags={"dagster/backfill": "abc"})
    assert made.is_success
    assert world.mails.mails() == []
    world.make("report_mail", tags={"dagster/backfill": "abc"}, mail={"send_in_backfill": True})
    assert len(world.mails.mails()) == 1


def test_a_second_run_of_a_partition_ends_at_once_and_names_the_first(world: World) -> None:
    world.make("raw_chats")
    world.model.server.configure(delay=0.4)
    first: list[Made] = []
    thread = threading.Thread(target=lambda: first.append(world.make("classifications")))
    thread.start()
    deadline = time.monotonic() + 20
    while not world.model.server.stats()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.02)
    calls = world.model.server.stats()["received"]

    started = time.monotonic()
    second = world.make("classifications")
    seconds = time.monotonic() - started
    was_at_work = thread.is_alive()
    thread.join()

    assert was_at_work, "the first run ended too early for this test to show anything"
    (failure,) = second.failures
    assert failure.error_type == "PartitionBusyError"
    assert first[0].result.run_id in failure.sentence
    assert first[0].is_success
    assert seconds < 5
    assert world.model.server.stats()["items_asked_again"] == 0
    assert calls > 0


def test_a_day_that_was_never_read_is_not_reported(world: World) -> None:
    made = world.make("classifications", day=DAY_BEFORE)
    (failure,) = made.failures
    assert failure.error_type == "NoDataError"
    made = world.make("report", day=DAY_BEFORE)
    assert made.failures[0].error_type == "NoDataError"


def test_a_day_that_is_not_classified_leaves_what_the_old_system_wrote(world: World) -> None:
    world.in_source(
        "INSERT INTO admin_chat_keywords VALUES ('예전 질문', '단어', 1, 1, ?, ?)",
        f"{DAY} 09:00:00",
        f"{DAY} 23:00:00",
    )
    made = world.make("raw_chats", "published_keywords")
    assert made.failures[0].error_type == "NoDataError"
    assert world.in_source("SELECT query_text FROM admin_chat_keywords") == [("예전 질문",)]


def test_a_mail_without_its_workbook_is_not_sent(world: World) -> None:
    world.make("raw_chats", "classifications", "report")
    (world.reports / report_file_name(DAY, DAY)).unlink()

    made = world.make("report_mail")

    assert "Make the report first" in made.failures[0].sentence
    assert world.mails.mails() == []


def test_a_month_is_archived_with_its_days(world: World) -> None:
    for day in (DAY_BEFORE, DAY):
        world.make("raw_chats", "classifications", "report", day=day)
    (world.reports / report_file_name(DAY_BEFORE, DAY_BEFORE)).unlink()

    made = world.make(job="chats_archive_job", day=date(2025, 6, 1))

    assert made.is_success, made.failures
    with zipfile.ZipFile(made.metadata("report_archive")["path"]) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(
            [
                report_file_name(date(2025, 6, 1), date(2025, 6, 30)),
                report_file_name(DAY_BEFORE, DAY_BEFORE),
                report_file_name(DAY, DAY),
            ]
        )
    assert made.metadata("report_archive")["days_without_chats"] == 28


def test_a_month_without_chats_has_no_archive(world: World) -> None:
    made = world.make(job="chats_archive_job", day=date(2025, 5, 1))
    assert made.is_success, made.failures
    assert made.metadata("report_archive")["path"] == "none"

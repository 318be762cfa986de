"""What a look back at a week or a month finds, and who hears of it."""

from datetime import date

from batch_platform_tests.assets.chats.conftest import DAY, DAY_BEFORE, Made, World

MONDAY = date(2025, 6, 9)
"""Of the week of the two sample days, a Wednesday and a Thursday."""

MONTH = date(2025, 6, 1)
WEEKLY = "every_day_of_the_week_has_its_chats_and_classifications"
MONTHLY = "every_day_of_the_month_has_its_chats_and_its_workbook"


def review(world: World, *, again: bool = False) -> Made:
    return world.make(job="chats_weekly_review_job", day=MONDAY, review={"again": again})


def mails(world: World) -> list[tuple[str, str]]:
    """Subject and plain text of each mail to the manager."""
    found: list[tuple[str, str]] = []
    for mail in world.mails.mails():
        body = mail.message.get_body(("plain",))
        assert body is not None
        found.append((str(mail.message["Subject"]), body.get_content()))
    return found


def test_a_week_tells_what_is_missing_until_it_is_there(world: World) -> None:
    assert world.make("raw_chats", day=DAY_BEFORE).is_success
    first = review(world)
    assert first.is_success, "what is missing is told, not a failure"
    assert first.checks == {WEEKLY: False}
    found = first.metadata("weekly_review")
    assert (found["days"], found["days_missing"]) == (7, 2)
    assert found["questions_missing"] == found["questions"] > 0
    assert str(DAY) in found["preview"]
    ((subject, text),) = mails(world)
    assert subject.startswith(
        "[가상 데이터][채팅 점검] 2025-06-09 ~ 2025-06-15 · 빠진 날 2일, 빠진 질문"
    )
    assert f"{DAY_BEFORE}: 분류되지 않은 질문이 있음" in text
    assert f"{DAY}: 아직 가져오지 않음 (원본에 채팅" in text
    assert f"batch-platform chats missing auto -s {DAY_BEFORE} -e {DAY}" in text

    assert review(world).metadata("weekly_review")["note"] == "The same mail was sent before"
    for day in (DAY_BEFORE, DAY):
        assert world.make("raw_chats", "classifications", day=day).is_success
    last = review(world)
    assert last.checks == {WEEKLY: True}
    assert [subject.rpartition(" · ")[2] for subject, _ in mails(world)][1:] == ["빠진 것 없음"]


def test_a_month_tells_of_its_archive_and_sends_it(world: World) -> None:
    for day in (DAY_BEFORE, DAY):
        assert world.make("raw_chats", "classifications", "report", day=day).is_success
    early = world.make(job="chats_monthly_review_job", day=MONTH)
    assert early.checks == {MONTHLY: False}
    assert early.metadata("monthly_review")["workbooks_lacking"] == 3
    assert "보관되지 않은 보고서 3개" in mails(world)[-1][0]

    assert world.make(job="chats_archive_job", day=MONTH).is_success
    late = world.make(job="chats_monthly_review_job", day=MONTH)
    assert late.checks == {MONTHLY: True}
    mail = world.mails.mails()[-1]
    attached = [part.get_filename() for part in mail.message.iter_attachments()]
    assert attached == ["채팅키워드분류보고서_2025-06.zip"]

"""Who gets an incident's mail knows what happened, why, where to look and what to do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from batch_platform.gateways.mail import MailMessage
from batch_platform.operations.failed_steps import FailedStep
from batch_platform.operations.incidents.messages import (
    MARKS,
    advice_on,
    causes_of,
    compose_incident_mail,
)
from batch_platform.operations.incidents.models import Change, Incident, IncidentKind, Trouble

REFUSED = FailedStep(
    "chats/classifications", "ConfigurationError", "The key is refused. Check HCX_KEY", True
)
RUN_URL = "http://127.0.0.1:3000/runs/abc"


OPENED_AT = datetime(2026, 11, 19, 16, 12, tzinfo=UTC)


def composed(
    *steps: FailedStep,
    reason: str = "",
    partition: str = "2026-11-19",
    kind: IncidentKind = IncidentKind.FAILED,
    change: Change = Change.OPENED,
    is_made_up: bool = False,
) -> MailMessage:
    trouble = Trouble(
        kind=kind,
        domain="chats",
        asset=steps[0].step if steps else "",
        partition=partition,
        job="chats_daily_job",
        causes=causes_of(steps, reason),
        advice=advice_on(steps),
        run_id="abc",
        is_made_up=is_made_up,
    )
    recovered_at = OPENED_AT + timedelta(hours=3, minutes=5)
    incident = Incident(
        incident_id=1,
        trouble=trouble,
        opened_at=OPENED_AT,
        last_seen_at=OPENED_AT,
        times_seen=1,
        recovered_at=recovered_at if change is Change.RECOVERED else None,
    )
    return compose_incident_mail(
        incident,
        change,
        recipients=["ops@example.org"],
        zone=ZoneInfo("Asia/Seoul"),
        run_url=RUN_URL,
        runbook="docs/runbooks/chats.md",
    )


def test_it_says_what_where_why_and_what_next() -> None:
    message = composed(REFUSED)
    assert message.subject == (
        "[배치 실패] chats/classifications 2026-11-19 · The key is refused. Check HCX_KEY"
    )
    for body in (message.text, message.html):
        for said in (
            "chats/classifications",
            "chats_daily_job",
            "2026-11-19",
            "2026-11-20 01:12",
            "Check HCX_KEY",
            RUN_URL,
            "설정",
            "docs/runbooks/chats.md",
        ):
            assert said in body
    assert message.recipients == ("ops@example.org",)
    assert message.attachments == ()


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        (FailedStep("a/b", "RetryableError", "Busy", True), "잠시 뒤"),
        (FailedStep("a/b", "BudgetExceededError", "Too much", True), "예산"),
        (FailedStep("a/b", "PermanentError", "No", True), "해결"),
        (FailedStep("a/b", "KeyError", "'x'", False), "개발자"),
        # Somebody else's error of the same name is not ours to explain.
        (FailedStep("a/b", "ConfigurationError", "?", False), "개발자"),
    ],
)
def test_the_advice_fits_the_error(step: FailedStep, advice: str) -> None:
    message = composed(step)
    assert advice in message.text
    assert advice in message.html


def test_a_cause_that_failed_several_steps_is_told_once() -> None:
    message = composed(REFUSED, FailedStep("chats/report", *_rest(REFUSED)))
    assert message.text.count("HCX_KEY") == 1


def _rest(step: FailedStep) -> tuple[str, str, bool]:
    return step.error_type, step.sentence, step.is_expected


def test_a_run_that_failed_before_any_step_tells_its_reason() -> None:
    message = composed(reason="The run's process\ndied", partition="")
    assert message.subject == "[배치 실패] chats_daily_job · The run's process died"
    assert "원인: The run's process died" in message.text


def test_a_long_reason_does_not_fill_the_mail() -> None:
    message = composed(FailedStep("a/b", "PermanentError", "long " * 5_000, True))
    assert len(message.subject) <= 140
    assert len(message.text) < 1_500


def test_reasons_are_escaped() -> None:
    assert "<script>" not in composed(reason="<script>alert(1)</script>").html


def test_the_sandboxs_failures_are_marked() -> None:
    assert composed(REFUSED, is_made_up=True).subject.startswith("[가상 데이터]")
    assert "가상 데이터" in composed(REFUSED, is_made_up=True).text
    assert "가상" not in composed(REFUSED).text


def test_a_recovery_says_how_long_it_took_and_asks_nothing() -> None:
    message = composed(REFUSED, change=Change.RECOVERED)
    assert message.subject == "[배치 복구] chats/classifications 2026-11-19 · 3시간 5분 만에"
    assert "2026-11-20 04:17" in message.text
    assert "다음에 할 일" not in message.text + message.html


@pytest.mark.parametrize(("kind", "change"), list(MARKS))
def test_every_change_has_its_own_mark(kind: IncidentKind, change: Change) -> None:
    subject = composed(REFUSED, kind=kind, change=change).subject
    assert subject.startswith(f"[{MARKS[kind, change][0]}]")
    assert len({mark for mark, _ in MARKS.values()}) == len(MARKS)

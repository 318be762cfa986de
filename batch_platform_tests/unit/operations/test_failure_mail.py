"""Who gets a failure's mail knows what failed, why, where to look and what to do."""

import pytest

from batch_platform.gateways.mail import MailMessage
from batch_platform.operations.failed_steps import FailedStep
from batch_platform.operations.failure_mail import compose_failure_mail

REFUSED = FailedStep(
    "chats/classifications", "ConfigurationError", "The key is refused. Check HCX_KEY", True
)
RUN_URL = "http://127.0.0.1:3000/runs/abc"


def composed(
    *steps: FailedStep, reason: str = "", partition: str = "2026-11-19", is_made_up: bool = False
) -> MailMessage:
    return compose_failure_mail(
        job="chats_daily_job",
        partition=partition,
        run_url=RUN_URL,
        steps=steps,
        reason=reason,
        recipients=["ops@example.org"],
        is_made_up=is_made_up,
    )


def test_it_says_what_where_why_and_what_next() -> None:
    message = composed(REFUSED)
    assert message.subject == (
        "[배치 실패] chats/classifications 2026-11-19 · The key is refused. Check HCX_KEY"
    )
    for body in (message.text, message.html):
        for said in ("chats/classifications", "2026-11-19", "Check HCX_KEY", RUN_URL, "설정"):
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
    assert "chats/classifications, chats/report" in message.text
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

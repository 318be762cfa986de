"""What the mail of a failed run says: what failed, why, where to look and what to do next.

Pure: facts in, a message out. Who hears of it and when is decided in `failures`.
"""

from collections.abc import Sequence

from batch_platform.gateways import mail_layout
from batch_platform.gateways.mail import MailMessage
from batch_platform.operations.failed_steps import FailedStep

_MADE_UP_BANNER = "가상 데이터(샌드박스) — 실제 업무의 실패가 아닙니다"
_LONGEST_REASON = 600
_RERUN = (
    "고친 뒤 실행 기록에서 다시 실행하세요. 끝난 일은 다시 하지 않고, 쓴 비용은 다시 들지 않습니다."
)
_NEXT_STEPS = {
    "ConfigurationError": "설정이 잘못되었습니다. 고치기 전에는 다시 실행해도 같습니다.",
    "RetryableError": "바깥 서비스의 일시적인 문제입니다. 잠시 뒤 다시 실행하면 됩니다.",
    "PartitionBusyError": "같은 날짜를 다른 실행이 처리하고 있습니다. 끝나기를 기다리세요.",
    "BudgetExceededError": "하루 예산에 닿아 멈췄습니다. 예산을 늘리거나 내일 다시 실행하세요.",
    "NoDataError": "처리할 데이터가 없습니다. 원천 데이터가 들어왔는지 확인하세요.",
}
_EXPECTED = "위에 적힌 문제를 해결해야 합니다."
_UNEXPECTED = "예상하지 못한 오류입니다. 실행 기록의 주소와 함께 담당 개발자에게 알려 주세요."


def compose_failure_mail(
    *,
    job: str,
    partition: str,
    run_url: str,
    steps: Sequence[FailedStep],
    reason: str,
    recipients: Sequence[str],
    runbook: str = "",
    is_made_up: bool = False,
) -> MailMessage:
    """Write the mail of one failed run, in Korean.

    Args:
        job: The job's name.
        partition: The partition's key; empty for a run without one.
        run_url: Where the run can be seen.
        steps: The steps that failed, the first failure first.
        reason: Why the run failed, in case no step did.
        recipients: Who hears of it.
        runbook: File that says what to do about such failures; empty when there is none.
        is_made_up: Whether it happened in the sandbox.
    """
    what = ", ".join(step.step for step in steps) or job
    problem = _reason(steps, reason)
    next_steps = _next_steps(steps)
    if runbook:
        next_steps.append(f"안내서: {runbook}")
    facts = [("실패한 자산", what), ("날짜·분할", partition or "-"), ("작업", job)]
    banner = _MADE_UP_BANNER if is_made_up else ""
    subject = " ".join(filter(None, ("[배치 실패]", what, partition)))
    return MailMessage(
        subject=("[가상 데이터]" if is_made_up else "")
        + mail_layout.shortened(f"{subject} · {problem}", 120),
        text="\n".join(
            [
                *([banner, ""] if banner else []),
                *(f"{name}: {value}" for name, value in facts),
                "",
                f"원인: {problem}",
                f"실행 기록: {run_url}",
                "",
                "다음에 할 일",
                *(f"- {step}" for step in next_steps),
                "",
            ]
        ),
        html=mail_layout.page(
            title="배치 작업이 실패했습니다",
            subtitle=" · ".join(filter(None, (what, partition))),
            preview=problem,
            banner=banner,
            blocks=[
                mail_layout.facts("무엇이", facts),
                mail_layout.points("왜", _reasons(steps, reason), is_alarming=True),
                mail_layout.points("다음에 할 일", next_steps),
                mail_layout.button("실행 기록 보기", run_url),
            ],
            footer="자동으로 보낸 메일입니다",
        ),
        recipients=tuple(recipients),
    )


def _reasons(steps: Sequence[FailedStep], reason: str) -> list[str]:
    said = [step.sentence for step in steps] or [reason or "알려진 원인이 없습니다"]
    # Several steps can fail of one cause: it is told once.
    return [mail_layout.shortened(text, _LONGEST_REASON) for text in dict.fromkeys(said)]


def _reason(steps: Sequence[FailedStep], reason: str) -> str:
    return _reasons(steps, reason)[0]


def _next_steps(steps: Sequence[FailedStep]) -> list[str]:
    advice = [
        _NEXT_STEPS.get(step.error_type, _EXPECTED) if step.is_expected else _UNEXPECTED
        for step in steps
    ] or [_UNEXPECTED]
    return [*dict.fromkeys(advice), _RERUN]

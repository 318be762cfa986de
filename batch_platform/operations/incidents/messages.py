"""What is said of an incident: its causes and advice, and the mail about each change of it. Korean.

Pure: facts in, a message out. Who hears of it and when is decided in `outbox`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from batch_platform.gateways import mail_layout
from batch_platform.gateways.mail import MailMessage
from batch_platform.operations.incidents.models import (
    CatchUp,
    Change,
    FailedStep,
    Incident,
    IncidentKind,
    Severity,
    Trouble,
)

_MADE_UP_BANNER = "가상 데이터(샌드박스) — 실제 업무의 실패가 아닙니다"
_LONGEST_REASON = 600
BUDGET_ERROR = "BudgetExceededError"
"""Type of the error of a step that stopped at its budget."""

_AFTER_BUDGET = (
    "고장이 아닙니다: 하루 예산(LLM_DAILY_BUDGET_KRW)에 닿아 멈췄고, 받은 답은 남아 있습니다.",
    "오늘 이어가려면 .env에서 그 값을 올리고 다시 실행하세요. 남은 것만 묻습니다.",
    "내일이면 예산이 새로 시작됩니다. 기다렸다가 내일 같은 날짜를 다시 실행해도 됩니다.",
    "어디에 얼마를 썼는지는 batch-platform costs가 보입니다.",
)
_RERUN = (
    "고친 뒤 실행 기록에서 다시 실행하세요. 끝난 일은 다시 하지 않고, 쓴 비용은 다시 들지 않습니다."
)
_NEXT_STEPS = {
    "ConfigurationError": "설정이 잘못되었습니다. 고치기 전에는 다시 실행해도 같습니다.",
    "RetryableError": "바깥 서비스의 일시적인 문제입니다. 잠시 뒤 다시 실행하면 됩니다.",
    "PartitionBusyError": "같은 날짜를 다른 실행이 처리하고 있습니다. 끝나기를 기다리세요.",
    BUDGET_ERROR: "하루 예산에 닿아 멈췄습니다. 예산을 늘리거나 내일 다시 실행하세요.",
    "NoDataError": "처리할 데이터가 없습니다. 원천 데이터가 들어왔는지 확인하세요.",
}
MARKS = {
    (IncidentKind.FAILED, Change.OPENED): ("배치 실패", "배치 작업이 실패했습니다"),
    (IncidentKind.FAILED, Change.RECOVERED): ("배치 복구", "실패했던 작업이 끝났습니다"),
    (IncidentKind.BUDGET_PASSED, Change.OPENED): ("예산 도달", "하루 예산에 닿아 멈췄습니다"),
    (IncidentKind.BUDGET_PASSED, Change.RECOVERED): ("예산 복구", "멈췄던 작업이 끝났습니다"),
    (IncidentKind.CHECK_FAILED, Change.OPENED): ("검사 실패", "만든 결과가 검사에 걸렸습니다"),
    (IncidentKind.CHECK_FAILED, Change.RECOVERED): ("검사 통과", "걸렸던 검사를 통과했습니다"),
    (IncidentKind.LATE, Change.OPENED): ("배치 지연", "마감까지 끝나지 않은 작업이 있습니다"),
    (IncidentKind.LATE, Change.RECOVERED): ("지연 해소", "늦었던 작업이 끝났습니다"),
    (IncidentKind.AT_RISK, Change.OPENED): ("지연 예상", "이대로면 마감을 넘깁니다"),
    (IncidentKind.AT_RISK, Change.RECOVERED): ("지연 예상 해소", "마감 전에 끝났습니다"),
    (IncidentKind.MISSED, Change.OPENED): ("시작 실패", "예정된 작업을 시작하지 못했습니다"),
    (IncidentKind.MISSED, Change.RECOVERED): ("시작 복구", "시작하지 못했던 작업이 끝났습니다"),
    (IncidentKind.STALLED, Change.OPENED): ("예약 멈춤", "예약을 돌보는 데몬이 없습니다"),
    (IncidentKind.STALLED, Change.RECOVERED): ("예약 재개", "예약을 다시 돌보고 있습니다"),
    (IncidentKind.CAUGHT_UP, Change.OPENED): (
        "밀린 작업 정리",
        "멈춰 있던 동안의 일을 했습니다",
    ),
}
"""Mark in the subject and title of each change."""
_SEVERITIES = {
    Severity.INFO: "알림",
    Severity.WARNING: "주의",
    Severity.ERROR: "오류",
    Severity.CRITICAL: "긴급",
}
_EXPECTED = "위에 적힌 문제를 해결해야 합니다."
_UNEXPECTED = "예상하지 못한 오류입니다. 실행 기록의 주소와 함께 담당 개발자에게 알려 주세요."


def mark_of(kind: IncidentKind, change: Change) -> str:
    """What the subject begins with."""
    if change is Change.ESCALATED:
        return f"{MARKS[kind, Change.OPENED][0]} 계속"
    return MARKS[kind, change][0]


def _title_of(kind: IncidentKind, change: Change) -> str:
    if change is Change.ESCALATED:
        return "아직 해결되지 않은 사건이 있습니다"
    return MARKS[kind, change][1]


def causes_of(steps: Sequence[FailedStep], reason: str) -> list[str]:
    """Why a run failed, a sentence each: one cause of several steps is told once.

    Args:
        steps: The steps that failed, the first failure first.
        reason: Why the run failed, in case no step did.
    """
    said = [step.sentence for step in steps] or [reason or "알려진 원인이 없습니다"]
    return [mail_layout.shortened(text, _LONGEST_REASON) for text in dict.fromkeys(said)]


def kind_of(steps: Sequence[FailedStep]) -> IncidentKind:
    """What kind of trouble a failed run is."""
    is_budget = steps and all(step.error_type == BUDGET_ERROR for step in steps)
    return IncidentKind.BUDGET_PASSED if is_budget else IncidentKind.FAILED


def advice_on(steps: Sequence[FailedStep]) -> list[str]:
    """What a person should do about a failed run, a sentence each."""
    if kind_of(steps) is IncidentKind.BUDGET_PASSED:
        return list(_AFTER_BUDGET)
    advice = [
        _NEXT_STEPS.get(step.error_type, _EXPECTED) if step.is_expected else _UNEXPECTED
        for step in steps
    ] or [_UNEXPECTED]
    return [*dict.fromkeys(advice), _RERUN]


def summary_of(catch_up: CatchUp, zone: ZoneInfo) -> list[str]:
    """What became of all that downtime missed: how long it was, then a sentence a schedule."""
    down = catch_up.back_at - catch_up.down_from
    hours, minutes = divmod(down // timedelta(minutes=1), 60)
    lasted = f"{hours}시간 {minutes}분" if hours < 48 else f"{hours // 24}일 {hours % 24}시간"
    lines = [
        f"{_moment(catch_up.down_from, zone)}부터 {_moment(catch_up.back_at, zone)}까지 {lasted}"
        " 멈춰 있었습니다"
    ]
    for schedule in dict.fromkeys(name for name, _, _ in catch_up.outcomes):
        mine = [each[1:] for each in catch_up.outcomes if each[0] == schedule]
        lines.append(f"{schedule}: {_outcomes(mine)}")
    return lines


def advice_after(catch_up: CatchUp) -> list[str]:
    """What a person should do once missed times were made up for; nothing when all went well."""
    if all(status != "failed" for _, _, status in catch_up.outcomes):
        return []
    return ["실패한 날짜는 따로 알렸습니다. 고친 뒤 다시 실행하세요."]


def _outcomes(mine: Sequence[tuple[str, str]]) -> str:
    """`7개 완료 (2026-11-13 … 2026-11-19), 1개 실패 (…)`; what another time made is no skip."""
    words = {"succeeded": "완료", "failed": "실패", "skipped": "건너뜀"}
    made = {partition for partition, status in mine if status != "skipped" and partition}
    parts: list[str] = []
    for status, word in words.items():
        found = [
            partition
            for partition, each in mine
            if each == status and not (status == "skipped" and partition in made)
        ]
        if not found:
            continue
        named = sorted({partition for partition in found if partition})
        shown = f"{named[0]} … {named[-1]}" if len(named) > 1 else "".join(named)
        parts.append(f"{len(named) or len(found)}개 {word}" + (f" ({shown})" if shown else ""))
    return ", ".join(parts) or "할 일이 없었습니다"


def compose_incident_mail(
    incident: Incident,
    change: Change,
    *,
    recipients: Sequence[str],
    zone: ZoneInfo,
    run_url: str,
    runbook: str = "",
    log_tail: Sequence[str] = (),
) -> MailMessage:
    """Write the mail about one change of an incident.

    Args:
        incident: What it is about.
        change: What happened to it.
        recipients: Who hears of it.
        zone: For the times in it.
        run_url: Where the run can be seen; the list of runs when there is none.
        runbook: Where it is said what to do about such troubles; empty when there is none.
        log_tail: The last lines of the run's log, redacted.
    """
    trouble = incident.trouble
    mark, title = mark_of(trouble.kind, change), _title_of(trouble.kind, change)
    what = trouble.asset or trouble.job or "플랫폼"
    where = " ".join(filter(None, (what, trouble.partition)))
    facts = _facts(incident, change, what, zone)
    is_over = change is Change.RECOVERED or trouble.kind is IncidentKind.CAUGHT_UP
    point = _lasted(incident) if change is Change.RECOVERED else trouble.causes[0]
    advice = _advice(trouble, change, runbook)
    banner = _MADE_UP_BANNER if trouble.is_made_up else ""
    subject = mail_layout.shortened(f"[{mark}] {where} · {point}", 120)
    return MailMessage(
        subject=("[가상 데이터]" if trouble.is_made_up else "") + subject,
        text="\n".join(
            [
                *([banner, ""] if banner else []),
                *(f"{name}: {value}" for name, value in facts),
                "",
                *(f"원인: {cause}" for cause in trouble.causes),
                f"실행 기록: {run_url}",
                *(["", "다음에 할 일", *(f"- {step}" for step in advice)] if advice else []),
                *(["", "기록의 끝", *log_tail] if log_tail else []),
                "",
            ]
        ),
        html=mail_layout.page(
            title=title,
            subtitle=" · ".join(filter(None, (what, trouble.partition))),
            preview=point,
            banner=banner,
            blocks=[
                mail_layout.facts("무엇이", facts),
                mail_layout.points("왜", trouble.causes, is_alarming=not is_over),
                *([mail_layout.points("다음에 할 일", advice)] if advice else []),
                mail_layout.button("실행 기록 보기", run_url),
                *([mail_layout.log("기록의 끝", log_tail)] if log_tail else []),
            ],
            footer="자동으로 보낸 메일입니다",
        ),
        recipients=tuple(recipients),
    )


def compose_short_text(incident: Incident, change: Change, *, run_url: str) -> str:
    """Write the short text about one change, for a chat: two lines, and where to look."""
    trouble = incident.trouble
    mark = mark_of(trouble.kind, change)
    what = " ".join(filter(None, (trouble.asset or trouble.job or "플랫폼", trouble.partition)))
    point = _lasted(incident) if change is Change.RECOVERED else trouble.causes[0]
    made_up = "[가상 데이터]" if trouble.is_made_up else ""
    return f"{made_up}[{mark}] {what}\n{mail_layout.shortened(point, 300)}\n{run_url}"


def _facts(incident: Incident, change: Change, what: str, zone: ZoneInfo) -> list[tuple[str, str]]:
    trouble = incident.trouble
    facts = [("자산" if trouble.asset else "작업", what), ("날짜·분할", trouble.partition or "-")]
    if trouble.check:
        facts.append(("검사", trouble.check))
    if trouble.asset and trouble.job:
        facts.append(("작업", trouble.job))
    facts.append(("심각도", _SEVERITIES[incident.severity]))
    facts.append(("발생", _moment(incident.opened_at, zone)))
    if change is Change.RECOVERED and incident.recovered_at:
        facts.append(("복구", _moment(incident.recovered_at, zone)))
    return facts


def _advice(trouble: Trouble, change: Change, runbook: str) -> list[str]:
    if change is Change.RECOVERED or not trouble.advice:
        return []
    return [*trouble.advice, *([f"안내서: {runbook}"] if runbook else [])]


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _lasted(incident: Incident) -> str:
    lasted = (incident.recovered_at or incident.last_seen_at) - incident.opened_at
    hours, minutes = divmod(max(lasted, timedelta(0)) // timedelta(minutes=1), 60)
    return f"{hours}시간 {minutes}분 만에" if hours else f"{minutes}분 만에"

"""What checks say that block nothing: a failed one is an incident, which a later pass closes.

A failed check that blocks fails its run and is an incident as any failure. Knows no Dagster.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from batch_platform.core.redaction import redactor
from batch_platform.core.settings import Settings
from batch_platform.operations.incidents.models import Incident, IncidentKind, Severity, Trouble
from batch_platform.operations.incidents.store import IncidentBook

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_RANGE = "..."
_MOST_FIGURES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check said once.

    Attributes:
        asset: Key `group/name`.
        check: Its name.
        partition: The key; `first...last` for a range, empty without one.
        is_passed: Whether it passed.
        is_severe: Whether what failed is an error, not a warning.
        is_blocking: Whether its failure fails the run.
        figures: What it measured.
        job: Of the run.
        run_id: The run's.
    """

    asset: str
    check: str
    partition: str
    is_passed: bool
    is_severe: bool
    is_blocking: bool
    figures: Mapping[str, object]
    job: str
    run_id: str


def take_verdict(book: IncidentBook, verdict: Verdict, settings: Settings, now: datetime) -> int:
    """Open an incident for a check that failed, close what a check that passed answers.

    Returns:
        How many incidents were opened or closed.
    """
    if verdict.is_passed:
        return sum(
            book.recover(incident.incident_id, now)
            for incident in book.open_incidents()
            if _answers(verdict, incident)
        )
    if verdict.is_blocking and verdict.is_severe:
        return 0
    return int(book.report(_doubt(verdict, settings), now))


def _answers(verdict: Verdict, incident: Incident) -> bool:
    """Whether a pass closes an incident: on the same partition or, of a warning, a later day's."""
    trouble = incident.trouble
    if (trouble.kind, trouble.asset, trouble.check) != (
        IncidentKind.CHECK_FAILED,
        verdict.asset,
        verdict.check,
    ):
        return False
    if trouble.partition == verdict.partition:
        return True
    first, last = _span(trouble.partition)
    passed_first, passed_last = _span(verdict.partition)
    if not all(map(_DAY.fullmatch, (first, last, passed_first, passed_last))):
        return False
    # Nobody mends a warning's day when it was a holiday: the next good day ends it.
    is_later = incident.severity is Severity.WARNING and passed_last > last
    return is_later or (passed_first <= first and last <= passed_last)


def _span(partition: str) -> tuple[str, str]:
    first, _, last = partition.partition(_RANGE)
    return first, last or first


def _doubt(verdict: Verdict, settings: Settings) -> Trouble:
    figures = ", ".join(
        f"{name} {value}" for name, value in list(verdict.figures.items())[:_MOST_FIGURES]
    )
    said = verdict.check.replace("_", " ") + (f" ({figures})" if figures else "")
    after_warning = "그대로 두어도 되는 날이면 둡니다. 다음 날짜가 통과하면 닫힙니다."
    return Trouble(
        kind=IncidentKind.CHECK_FAILED,
        domain=verdict.asset.partition("/")[0],
        asset=verdict.asset,
        partition=verdict.partition,
        job=verdict.job,
        causes=[redactor(settings)(f"검사에 걸렸습니다: {said}")],
        advice=[
            "결과는 만들어졌고 다음 단계도 그것을 썼습니다. 적힌 수를 보고 원천을 확인하세요.",
            "고쳤으면 같은 날짜를 다시 실행하세요. 검사를 통과하면 저절로 닫힙니다.",
            *([] if verdict.is_severe else [after_warning]),
        ],
        run_id=verdict.run_id,
        is_made_up=settings.is_made_up,
        check=verdict.check,
        severity=Severity.ERROR if verdict.is_severe else Severity.WARNING,
    )

"""What the interventions commands do: run the platform's assets, show what came of it.

Imports all that a run needs, so `interventions` imports this file only inside a command.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import typer

from batch_platform.build import build_definitions
from batch_platform.cli.console import MADE_UP, err, out, show_table
from batch_platform.cli.runs import run_job, show_run
from batch_platform.core.days import past_day, utc_now
from batch_platform.core.errors import NotFoundError, PermanentError
from batch_platform.core.settings import Settings
from batch_platform.domains.interventions.models import Gubun, Mode
from batch_platform.domains.interventions.store import JOB_NAME, DayCounts, InterventionStore
from batch_platform.domains.interventions.workflow import Choice, estimate
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.operations.schedules import Schedule, ScheduleBook, ScheduleSpec
from batch_platform.operations.schedules.dagster_runs import jobs_of
from batch_platform.resources.roles import bulk_llm, intervention_source

USUAL_SCHEDULE = ScheduleSpec(name="interventions_daily", job=JOB_NAME, hour=9, minute=0)
"""The old service's default: daily at 09:00, about the day before."""

_BY = "init-schedule"
_REASONS = {
    "no_food_record": "식사 기록 없음",
    "no_exercise_record": "운동 기록 없음",
    "no_food_and_exercise_record": "식사와 운동 기록 없음",
    "has_record": "이미 권고 있음",
    "no_active_schedule": "켜진 스케줄 없음",
    "not_asked": "이번 실행의 대상 아님",
    "eligible": "대상",
}
_FIELDS = {
    "diet_evaluation": "식사 평가",
    "food_evaluation": "음식 평가",
    "sleep_evaluation": "수면 평가",
    "sleep_target": "수면 목표",
    "exercise_evaluation": "운동 평가",
    "exercise_target": "운동 목표",
}
_MEALS = {"Breakfast": "아침", "Lunch": "점심", "Dinner": "저녁", "Summary": "요약"}


@dataclass(frozen=True)
class Asked:
    """What a person asked for."""

    day: date
    user_id: str
    gubun: str
    mode: str
    is_forced: bool


def record_day(settings: Settings, text: str) -> date:
    """The day of the records that a command is about.

    Raises:
        PermanentError: No date, not over yet, or before the domain's first day.
    """
    day = past_day(text or "yesterday", utc_now, settings.platform.zone)
    if day < settings.interventions.first_day:
        raise PermanentError(
            f"{day} is before the first day, {settings.interventions.first_day}",
            "Set INTERVENTIONS_FIRST_DAY to an earlier day",
        )
    return day


def make_usual_schedule(settings: Settings, *, is_forced: bool) -> None:
    """Add the usual schedule, or say that it is there; put it back to its default when forced."""
    db = open_platform_db(settings)
    repository = build_definitions(settings).get_repository_def()
    book = ScheduleBook(db, utc_now)
    book.set_jobs(jobs_of(repository))
    try:
        there = book.named(USUAL_SCHEDULE.name)
    except NotFoundError:
        _show_schedule("만들었습니다", book.add(USUAL_SCHEDULE, added_by=_BY), settings)
        return
    if is_forced:
        spec = replace(USUAL_SCHEDULE, partition_rule=there.spec.partition_rule)
        edited = book.edit(there.schedule_id, spec, version=None, edited_by=_BY)
        _show_schedule("기본값으로 되돌렸습니다", edited, settings)
    else:
        _show_schedule("이미 있습니다 (--force로 기본값으로 되돌립니다)", there, settings)


def run_day(settings: Settings, asked: Asked) -> None:
    """Make a day's recommendations and show what became of everyone.

    Raises:
        typer.Exit: The run failed; it has been said why.
    """
    _say_made_up(settings)
    partition = asked.day.isoformat()
    result = run_job(JOB_NAME, partition, settings=settings, run_config=run_config_of(asked))
    show_run(partition, result)
    if result.is_success or result.made:
        counts = InterventionStore(open_platform_db(settings)).counts(asked.day, Gubun(asked.gubun))
        _show_counts(asked, counts)
    if not result.is_success:
        raise typer.Exit(2 if result.is_misconfigured else 1)


def run_config_of(asked: Asked) -> Mapping[str, Any]:
    """Dagster's configuration of a run that a person asks for: it needs no active schedule."""
    gubun = {"gubun": asked.gubun}
    configs: Mapping[str, Mapping[str, object]] = {
        "eligible_users": {
            **gubun,
            "user_id": asked.user_id,
            "force": asked.is_forced,
            "needs_active_schedule": False,
        },
        "recommendations": {**gubun, "mode": asked.mode},
        "published_records": gubun,
    }
    return {
        "ops": {f"interventions__{asset}": {"config": config} for asset, config in configs.items()}
    }


def show_dry_run(settings: Settings, asked: Asked) -> None:
    """Show whom a run would advise and what asking would cost; nothing is asked or written."""
    _say_made_up(settings)
    choice = Choice(Gubun(asked.gubun), asked.user_id or None, asked.is_forced, False)
    is_asking = Mode(asked.mode) is Mode.LLM
    db = open_platform_db(settings)
    counts, cost = estimate(
        asked.day,
        choice,
        source=intervention_source(settings),
        llm=bulk_llm(settings, db) if is_asking else None,
        settings=settings,
        imported=InterventionStore(db).imported_users(asked.day, choice.gubun),
    )
    rows = [(_REASONS[state], f"{count:,}명") for state, count in sorted(counts.items())]
    if cost is not None:
        rows += [
            ("이미 답 있음", f"{cost.in_ledger:,}명"),
            ("모델 호출", f"{cost.calls:,}회"),
            ("토큰 (입력 / 출력)", f"{cost.input_tokens:,} / {cost.output_tokens:,}"),
            ("비용", f"{cost.cost_krw:,.1f}원"),
        ]
    title = f"{asked.day} · {asked.gubun} · {asked.mode} · 미리 보기 (아무것도 쓰지 않았습니다)"
    if not counts:
        out.print(f"{asked.day}: 원본에 사용자가 없습니다. 서비스의 프로필 표를 확인하세요.")
        return
    show_table(title, ["무엇", "수"], rows, right=(1,))


def show_user(settings: Settings, day: date, user_id: str) -> bool:
    """Show a user's recommendations of a day; tell whether there are any."""
    _say_made_up(settings)
    store = InterventionStore(open_platform_db(settings))
    found = store.of_user(day, user_id)
    for made in found:
        show_table(_title(day, user_id, made), ["무엇", "내용"], _content(made))
    if found:
        return True
    states = store.states_of_user(day, user_id)
    if states:
        why = ", ".join(f"{gubun}: {_REASONS[state]}" for gubun, state in states)
        out.print(f"{day} 사용자 {user_id}: 권고가 없습니다 ({why}).", markup=False)
    else:
        out.print(
            f"{day} 사용자 {user_id}: 아직 실행되지 않았거나 원본에 없는 사용자입니다."
            f" batch-platform interventions run --date {day}",
            markup=False,
        )
    return False


def _title(day: date, user_id: str, made: Mapping[str, Any]) -> str:
    writer = {"model": "모델", "rule": "규칙", "import": "이전 시스템", None: "오류"}[
        made["written_by"]
    ]
    why = f" ({made['reason']})" if made["reason"] else ""
    return (
        f"사용자 {user_id} · {day} 기록 → {made['target_date']} · {made['gubun']}"
        f" · {writer}{why} · {made['version']} · {made['processing_time']:.2f}초"
    )


def _content(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    if made["error_message"]:
        return [("오류", f"{made['error_message']} · 다음 실행에서 다시 시도합니다")]
    meals = made["diet_target"] or {}
    texts = [(_FIELDS[name], made[name]) for name in _FIELDS if made[name]]
    return [*((_MEALS[name], text) for name, text in meals.items()), *texts]


def _show_counts(asked: Asked, counts: DayCounts) -> None:
    rows = [
        ("권고", f"{counts.recommendations:,}", f"규칙 {counts.by_rule:,}"),
        ("오류 (다음 실행에서 다시)", f"{counts.errors:,}", ""),
        *((_REASONS[state], f"{count:,}", "") for state, count in counts.left_out.items()),
        ("모두", f"{counts.users:,}", "맞음" if counts.missing == 0 else "맞지 않음"),
    ]
    show_table(f"{asked.day} · {asked.gubun}", ["무엇", "사용자", "비고"], rows, right=(1,))


def _show_schedule(what: str, schedule: Schedule, settings: Settings) -> None:
    spec = schedule.spec
    due = schedule.next_due_at
    state = f"다음 {due.astimezone(settings.platform.zone):%Y-%m-%d %H:%M}" if due else "쉬는 중"
    out.print(
        f"스케줄 {spec.name}: {what} · {spec.frequency} {spec.hour:02}:{spec.minute:02}"
        f" {spec.timezone} · {state}",
        markup=False,
        soft_wrap=True,
    )


def _say_made_up(settings: Settings) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)

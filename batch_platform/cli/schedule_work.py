"""What `batch-platform schedules` does: options into a specification, answers into tables."""

import calendar
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text

from batch_platform.cli.console import err, marked, out, person, show_table
from batch_platform.core.days import utc_now
from batch_platform.core.errors import NotFoundError, PermanentError
from batch_platform.core.settings import Settings
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.operations.schedules import (
    Frequency,
    MissedPolicy,
    Occurrence,
    OccurrenceBook,
    PartitionRule,
    Schedule,
    ScheduleBook,
    ScheduleSpec,
    rules,
)
from batch_platform.resources.roles import active_settings

_WEEKDAYS = "월화수목금토일"
_ENGLISH_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL_ENGLISH_WEEKDAYS = tuple(name.lower() for name in calendar.day_name)
_MISSED = {"all": "모두", "latest": "마지막만", "skip": "건너뜀"}
_STATUSES = {
    "due": "[cyan]기다림[/cyan]",
    "launching": "[cyan]시작하는 중[/cyan]",
    "launched": "[cyan]실행 중[/cyan]",
    "succeeded": "[green]성공[/green]",
    "failed": "[red]실패[/red]",
    "skipped": "[dim]건너뜀[/dim]",
}
_ACTIONS = {
    "added": "만듦",
    "edited": "바꿈",
    "paused": "쉼",
    "resumed": "다시 시작",
    "deleted": "지움",
}
_QUIET = timedelta(minutes=2)


def changes_of(
    *,
    name: str | None,
    job: str | None,
    frequency: str | None,
    at: str | None,
    weekday: str | None,
    day: int | None,
    cron: str | None,
    timezone: str | None,
    missed: str | None,
    partition: str | None,
    config: str | None,
) -> dict[str, Any]:
    """What a command's options change in a specification.

    Raises:
        PermanentError: An option cannot be read.
    """
    changes: dict[str, Any] = {
        "name": name,
        "job": job,
        "day": day,
        "cron": cron,
        "timezone": timezone,
        "frequency": _one_of(Frequency, "--frequency", frequency),
        "missed": _one_of(MissedPolicy, "--missed", missed),
        "partition_rule": _one_of(PartitionRule, "--partition", partition),
        "weekday": _weekday(weekday) if weekday is not None else None,
        "run_config": _config(config) if config is not None else None,
    }
    if at is not None:
        changes["hour"], changes["minute"] = _time(at)
    if changes["frequency"] is None:
        # What only one frequency has says which is meant.
        meant = {"cron": Frequency.CRON, "weekday": Frequency.WEEKLY, "day": Frequency.MONTHLY}
        changes["frequency"] = next(
            (each for what, each in meant.items() if changes[what] is not None), None
        )
    if changes["frequency"] not in {None, Frequency.CRON} and changes["cron"] is None:
        changes["cron"] = ""
    return {what: value for what, value in changes.items() if value is not None}


def add(changes: Mapping[str, Any], *, is_active: bool) -> None:
    """Add a schedule and show when it is due."""
    settings = active_settings()
    book = _book(settings)
    spec = ScheduleSpec(
        **{"timezone": settings.platform.timezone, **changes, "is_active": is_active}
    )
    _require_runnable(book, spec, settings)
    added = book.add(spec, added_by=person())
    out.print(f"예약 {added.schedule_id}번을 만들었습니다.")
    _show_next(book, added)


def edit(which: str, changes: Mapping[str, Any]) -> None:
    """Edit a schedule and show when it is due now."""
    settings = active_settings()
    book = _book(settings)
    before = _found(book, which)
    if "hour" in changes and before.spec.cron and "frequency" not in changes:
        raise PermanentError(
            f"{before.spec.name} follows the cron string {before.spec.cron!r}, not a time of day",
            "Give --cron, or --frequency daily as well",
        )
    spec = replace(before.spec, **changes)
    if {"job", "run_config"} & set(changes):
        _require_runnable(book, spec, settings)
    edited = book.edit(before.schedule_id, spec, version=before.version, edited_by=person())
    out.print(f"예약 {edited.schedule_id}번을 바꾸었습니다.")
    _show_next(book, edited)


def set_active(which: str, *, is_active: bool) -> None:
    """Pause or resume a schedule."""
    book = _book(active_settings())
    found = _found(book, which)
    if is_active:
        _show_next(book, book.resume(found.schedule_id, resumed_by=person()))
    else:
        book.pause(found.schedule_id, paused_by=person())
        out.print(f"{found.spec.name}: 쉽니다. 다시 시작: schedules resume", markup=False)


def delete(which: str) -> None:
    """Delete a schedule."""
    book = _book(active_settings())
    found = _found(book, which)
    book.delete(found.schedule_id, deleted_by=person())
    out.print(f"{found.spec.name}: 지웠습니다. 이력은 남아 있습니다.", markup=False)


def show_all() -> None:
    """Show every schedule; how to make one when there is none."""
    book = _book(active_settings())
    schedules = book.list()
    if not schedules:
        out.print(
            "예약이 없습니다. 만들기: batch-platform schedules add 아침 --job chats_night_job"
            " --at 09:00"
        )
    else:
        show_table(
            "예약",
            ["번호", "이름", "작업", "언제", "시간대", "놓친 시각", "다음"],
            [
                (
                    each.schedule_id,
                    each.spec.name,
                    each.spec.job,
                    _when(each.spec),
                    each.spec.timezone,
                    _MISSED[each.spec.missed],
                    _local(each.next_due_at, each.spec)
                    if each.next_due_at
                    else marked("[dim]쉼[/dim]"),
                )
                for each in schedules
            ],
            right=(0,),
        )
    _warn_when_nobody_watches(book)


def show_preview(which: str, count: int) -> None:
    """Show the next times, and the partition that each stands for."""
    book = _book(active_settings())
    found = _found(book, which)
    times = book.preview(found.schedule_id, count)
    if not times:
        out.print(f"{found.spec.name}: 쉬고 있어서 예정된 시각이 없습니다.", markup=False)
        return
    zones = {job.name: job.timezone for job in book.jobs()}
    zone = ZoneInfo(zones.get(found.spec.job) or found.spec.timezone)
    rule = found.spec.partition_rule or PartitionRule.NONE
    show_table(
        f"{found.spec.name}: 다음 {len(times)}번 ({found.spec.timezone})",
        ["시각", "데이터"],
        [
            (_local(time, found.spec), rules.partition_for(rule, time, zone) or "-")
            for time in times
        ],
    )


def show_history(which: str, count: int) -> None:
    """Show what was due and what became of it, the latest first."""
    settings = active_settings()
    schedule_id = _found(_book(settings), which).schedule_id if which else None
    occurrences = OccurrenceBook(open_platform_db(settings), utc_now).history(
        schedule_id=schedule_id, limit=count
    )
    if not occurrences:
        out.print("아직 예정된 적이 없습니다.")
        return
    zone = settings.platform.zone
    show_table(
        f"이력 ({zone.key})",
        ["예정", "예약", "작업", "데이터", "상태", "실행", "이유"],
        [
            (
                f"{each.due_at.astimezone(zone):%Y-%m-%d %H:%M}",
                each.schedule_name or f"요청: {each.requested_by}",
                each.job,
                each.partition or "-",
                _status(each),
                (each.run_id or "")[:8],
                each.reason,
            )
            for each in occurrences
        ],
    )


def show_changes(which: str) -> None:
    """Show who did what to a schedule, the latest first."""
    settings = active_settings()
    book = _book(settings)
    changes = book.changes(_found(book, which).schedule_id)
    zone = settings.platform.zone
    show_table(
        f"{changes[0].spec.name}: 변경 ({zone.key})",
        ["때", "누가", "무엇을", "언제", "작업"],
        [
            (
                f"{each.changed_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
                each.changed_by,
                _ACTIONS[each.action],
                f"{_when(each.spec)} {each.spec.timezone}",
                each.spec.job,
            )
            for each in changes
        ],
    )


def _book(settings: Settings) -> ScheduleBook:
    return ScheduleBook(open_platform_db(settings), utc_now)


def _found(book: ScheduleBook, which: str) -> Schedule:
    # An argument that is no UTF-8 is no name, and the database would refuse to look for it.
    which = which.encode("utf-8", "replace").decode()
    try:
        return book.named(which)
    except NotFoundError:
        if not which.isdecimal():
            raise
        return book.get(int(which))


def _require_runnable(book: ScheduleBook, spec: ScheduleSpec, settings: Settings) -> None:
    """Refuse an unknown job, or a configuration that its runs would refuse at night."""
    if spec.job in {job.name for job in book.jobs()} and not spec.run_config:
        return
    # Slow to import, and seldom needed.
    from batch_platform.build import build_definitions
    from batch_platform.operations.schedules.dagster_runs import config_problem, jobs_of

    repository = build_definitions(settings).get_repository_def()
    book.set_jobs(jobs_of(repository))
    if repository.has_job(spec.job):
        problem = config_problem(repository.get_job(spec.job), spec.run_config)
        if problem:
            raise PermanentError(problem, "Compare --config with the job's launchpad")


def _show_next(book: ScheduleBook, schedule: Schedule) -> None:
    spec = schedule.spec
    times = ", ".join(_local(time, spec) for time in book.preview(schedule.schedule_id, 3))
    told = f"다음: {times} ({spec.timezone})" if times else "쉽니다"
    out.print(f"{spec.name}: {_when(spec)}. {told}", markup=False)
    _warn_when_nobody_watches(book)


def _warn_when_nobody_watches(book: ScheduleBook) -> None:
    until = book.watched_until()
    if until is None or utc_now() - until > _QUIET:
        err.print(
            "[yellow]지금은 예약을 돌볼 데몬이 없습니다.[/yellow] batch-platform up으로 띄우면"
            " 놓친 시각을 예약마다 정한 대로 처리합니다."
        )


def _when(spec: ScheduleSpec) -> str:
    at = f"{spec.hour:02}:{spec.minute:02}"
    match spec.frequency:
        case Frequency.WEEKLY:
            return f"매주 {_WEEKDAYS[spec.weekday - 1]}요일 {at}"
        case Frequency.MONTHLY:
            return f"매월 {spec.day}일 {at}" if spec.day < 29 else f"매월 {spec.day}일(말일) {at}"
        case Frequency.CRON:
            return spec.cron
        case _:
            return f"매일 {at}"


def _local(moment: datetime, spec: ScheduleSpec) -> str:
    local = moment.astimezone(ZoneInfo(spec.timezone))
    return f"{local:%Y-%m-%d} ({_WEEKDAYS[local.weekday()]}) {local:%H:%M}"


def _status(occurrence: Occurrence) -> Text:
    late = " [yellow](놓친 시각)[/yellow]" if occurrence.is_missed else ""
    return marked(_STATUSES[occurrence.status] + late)


def _one_of(
    kind: type[Frequency | MissedPolicy | PartitionRule], option: str, text: str | None
) -> StrEnum | None:
    if text is None:
        return None
    try:
        return kind(text.lower())
    except ValueError:
        raise PermanentError(f"{option} {text!r} is unknown", f"Use {', '.join(kind)}") from None


def _time(text: str) -> tuple[int, int]:
    try:
        at = datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - a time of day has no zone
    except ValueError:
        raise PermanentError(f"{text!r} is no time of day", "Write it like 09:00") from None
    return at.hour, at.minute


def _weekday(text: str) -> int:
    wanted = text.strip().lower()
    for number, (korean, english) in enumerate(zip(_WEEKDAYS, _ENGLISH_WEEKDAYS, strict=True), 1):
        # The whole word: "monkey" begins like a Monday.
        names = {str(number), korean, f"{korean}요일", english, _FULL_ENGLISH_WEEKDAYS[number - 1]}
        if wanted in names:
            return number
    raise PermanentError(f"{text!r} is no weekday", "Use 월 to 일, mon to sun, or 1 to 7")


def _config(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise PermanentError(f"--config is no JSON: {error}", "Put it into '…'") from None
    except (ValueError, RecursionError):
        raise PermanentError("--config has too long a number or is nested too deeply") from None
    if not isinstance(value, dict):
        raise PermanentError("--config is no JSON object", 'Write it like {"ops": {…}}')
    return value

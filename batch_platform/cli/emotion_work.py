"""What the emotions commands do: run the platform's assets, show what came of it.

Imports all that a run needs, so `emotions` imports this file only inside a command.
"""

import os
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from batch_platform.cli.console import MADE_UP, err, out, show_table
from batch_platform.cli.runs import RunResult, dagster_home, run_job, show_run
from batch_platform.core.days import today, utc_now
from batch_platform.core.errors import NoDataError, NotFoundError, PermanentError
from batch_platform.core.settings import Settings
from batch_platform.domains.emotions.agreement import Coded, agreement_of, human_coding
from batch_platform.domains.emotions.automation import BATCH_JOB, POSTS_JOB, steps_for
from batch_platform.domains.emotions.job_store import JobStore
from batch_platform.domains.emotions.models import BatchStage, Mode, RequestState
from batch_platform.domains.emotions.partitions import emotions_batches
from batch_platform.domains.emotions.polling import cancel_jobs, poll_jobs
from batch_platform.domains.emotions.reporting import observation
from batch_platform.domains.emotions.selection import preview, register, register_named, spec_of
from batch_platform.domains.emotions.source import PostSource
from batch_platform.domains.emotions.store import EmotionStore
from batch_platform.domains.emotions.workflow import BatchStatus, status_of
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.resources.roles import EmotionModels

_STAGES = {
    BatchStage.REGISTERED: "접수",
    BatchStage.TO_SEND: "보낼 것 있음",
    BatchStage.IN_FLIGHT: "처리 중",
    BatchStage.TO_COLLECT: "받을 것 있음",
    BatchStage.FINISHED: "완료",
    BatchStage.CANCELLED: "취소됨",
    BatchStage.FAILED: "실패",
}
_LEFT_OUT = {
    "empty": "빈 글",
    "analysed_lately": "최근에 같은 모델이 분석함",
    "in_flight": "다른 배치가 분석 중",
}
_LEVELS = {
    "poor": "거의 없음",
    "slight": "약간",
    "fair": "어느 정도",
    "moderate": "보통",
    "substantial": "상당함",
    "almost perfect": "거의 완전",
    "unknown": "잴 수 없음",
}
_SHORTEST_SLEEP, _LONGEST_SLEEP = 0.2, 30.0
_SHOWN_QUARANTINED = 10
_DEMO_DAYS = 7


@dataclass(frozen=True)
class Asked:
    """What a person asked for."""

    mode: Mode
    first_date: date | None
    last_date: date | None
    like: str | None
    is_direct: bool


def asked(mode: str, start: str, end: str, like: str, *, is_direct: bool) -> Asked:
    """Read a command's options.

    Raises:
        PermanentError: A day cannot be read, or they are in the wrong order.
    """
    first, last = _day(start), _day(end)
    if first and last and last < first:
        raise PermanentError(f"The range {first} … {last} ends before it starts", "Swap the dates")
    return Asked(Mode(mode), first, last, like or None, is_direct)


def submit(settings: Settings, wanted: Asked, *, reads: bool) -> str:
    """Read the posts, write the batch down, choose and send; tell its name.

    Raises:
        PermanentError: The run failed; it has been said why.
    """
    _say_made_up(settings)
    db = open_platform_db(settings)
    if reads:
        _read_posts(settings)
    with _models(settings, db) as models:
        provider, model = models.chosen
    spec = spec_of(
        wanted.mode,
        settings,
        provider=provider,
        model=model,
        is_direct=wanted.is_direct,
        first_date=wanted.first_date,
        last_date=wanted.last_date,
        like_batch=wanted.like,
    )
    if wanted.is_direct:
        _show_direct_price(settings, wanted)
    key = register(spec, db=db, settings=settings, clock=utc_now)
    out.print(f"배치 {key} 을(를) 만들었습니다.", markup=False)
    _work_on(settings, status_of(key, db=db, settings=settings))
    return key


def watch(settings: Settings, key: str) -> None:
    """Do what a batch needs until it is finished; Ctrl-C leaves it to the provider.

    Raises:
        PermanentError: A run failed; it has been said why.
    """
    db = open_platform_db(settings)
    try:
        _watch(settings, db, key)
    except KeyboardInterrupt:
        err.print(
            f"그만 지켜봅니다. 배치는 계속됩니다: batch-platform emotions watch {key}"
            " (batch-platform up 이 켜져 있으면 센서가 이어서 합니다)",
            markup=False,
        )
        return
    show_status(settings, key)


def _watch(settings: Settings, db: PlatformDb, key: str) -> None:
    shown = ""
    while True:
        status = status_of(key, db=db, settings=settings)
        shown = _show_progress(status, settings.platform.zone, shown)
        if status.batch.finished_at is not None:
            return
        if steps_for(status):
            _work_on(settings, status)
            continue
        _poll(settings, db, key)
        status = status_of(key, db=db, settings=settings)
        if not steps_for(status):
            time.sleep(_seconds_to_next(status))


def _seconds_to_next(status: BatchStatus) -> float:
    if status.next_poll_at is None:
        return _SHORTEST_SLEEP
    left = (status.next_poll_at - utc_now()).total_seconds()
    return min(max(left, _SHORTEST_SLEEP), _LONGEST_SLEEP)


def _poll(settings: Settings, db: PlatformDb, key: str) -> None:
    with _models(settings, db) as models:
        seen = poll_jobs(db=db, open_client=models.client, settings=settings, clock=utc_now)
    if any(each.batch_key == key and each.has_changed for each in seen):
        _observe(settings, status_of(key, db=db, settings=settings))


def _observe(settings: Settings, status: BatchStatus) -> None:
    with _instance(settings) as instance:
        instance.report_runless_asset_event(observation(status, settings))


def _run_steps(settings: Settings, key: str, steps: Sequence[str]) -> RunResult:
    with _instance(settings) as instance:
        instance.add_dynamic_partitions(emotions_batches.name or "", [key])
    result = run_job(BATCH_JOB, key, settings=settings, assets=steps)
    show_run(key, result)
    return result


def _work_on(settings: Settings, status: BatchStatus) -> None:
    key = status.batch.key
    result = _run_steps(settings, key, steps_for(status))
    if result.is_success:
        return
    if all(each.error_type == "PartitionBusyError" for each in result.failures):
        time.sleep(_LONGEST_SLEEP / 10)
        return
    raise PermanentError(
        f"The batch {key} stopped", f"Mend it, then batch-platform emotions resume {key}"
    )


def cancel(settings: Settings, key: str) -> None:
    """End a batch at the provider and take what was finished."""
    db = open_platform_db(settings)
    status = status_of(key, db=db, settings=settings)
    if status.batch.finished_at is not None:
        out.print(f"{key}: 이미 끝난 배치입니다.", markup=False)
        return
    with _models(settings, db) as models:
        running = cancel_jobs(key, db=db, open_client=models.client, clock=utc_now)
    out.print(f"{key}: 작업 {len(running)}개에 취소를 요청했습니다.", markup=False)
    watch(settings, key)


def show_dry_run(settings: Settings, wanted: Asked, *, reads: bool) -> None:
    """Show what a batch would take and cost; nothing is sent or claimed."""
    _say_made_up(settings)
    if reads:
        _read_posts(settings)
    db = open_platform_db(settings)
    with _models(settings, db) as models:
        provider, model = models.chosen
        spec = spec_of(
            wanted.mode,
            settings,
            provider=provider,
            model=model,
            is_direct=wanted.is_direct,
            first_date=wanted.first_date,
            last_date=wanted.last_date,
            like_batch=wanted.like,
        )
        found = preview(spec, db=db, open_llm=models.llm, settings=settings, clock=utc_now)
    cost, counts = found.estimate, found.counts
    rows = [
        ("읽은 글", f"{found.posts_read:,}"),
        *((_LEFT_OUT[why], f"{count:,}") for why, count in counts.left_out.items()),
        ("고를 수 있는 글", f"{found.population:,}"),
        ("고른 글", f"{counts.chosen:,}"),
    ]
    if found.corrected_size is not None:
        rows.append(("유한 모집단 수정을 하면 충분한 수", f"{found.corrected_size:,}"))
    rows += [
        ("이미 답 있음", f"{counts.of(RequestState.ANSWERED):,}"),
        ("보낼 줄 (같은 글은 한 번)", f"{cost.lines:,}"),
        ("토큰 (입력 / 출력)", f"{cost.input_tokens:,} / {cost.output_tokens:,}"),
        ("배치 비용", f"{cost.batch_krw:,.1f}원"),
        ("바로 물을 때 비용", f"{cost.direct_krw:,.1f}원"),
    ]
    title = f"{wanted.mode.value} · {provider} {model} · 미리 보기 (아무것도 보내지 않았습니다)"
    show_table(title, ["무엇", "수"], rows, right=(1,))


class DayPilot:
    """The demo's batch: five posts, once a day, sent at first and taken at last."""

    def __init__(self, settings: Settings, on: date) -> None:
        self._settings = settings
        self._db = open_platform_db(settings)
        self._key = f"{Mode.PILOT.value}-{on:%Y%m%d}-0000"
        self._days = (on - timedelta(days=_DEMO_DAYS), on - timedelta(days=1))

    def send(self) -> list[RunResult]:
        """Read the last posts and send five of them; nothing when that was done before."""
        first, last = (max(day, self._settings.emotions.first_day) for day in self._days)
        with _models(self._settings, self._db) as models:
            provider, model = models.chosen
        spec = spec_of(Mode.PILOT, self._settings, provider=provider, model=model)
        batch = register_named(self._key, spec, db=self._db, settings=self._settings, clock=utc_now)
        if batch.finished_at is not None:
            return []
        read = run_job(
            POSTS_JOB,
            first.isoformat(),
            last_partition=last.isoformat() if last > first else None,
            settings=self._settings,
        )
        show_run(last.isoformat(), read)
        return [read, *self._steps()]

    def take(self) -> list[RunResult]:
        """Take what the provider made, asking again what failed."""
        results: list[RunResult] = []
        while self._status().batch.finished_at is None:
            made = self._steps()
            results += made
            if any(not each.is_success for each in made):
                break
            if not made:
                _poll(self._settings, self._db, self._key)
                time.sleep(_SHORTEST_SLEEP)
        return results

    def _status(self) -> BatchStatus:
        return status_of(self._key, db=self._db, settings=self._settings)

    def _steps(self) -> list[RunResult]:
        steps = steps_for(self._status())
        return [_run_steps(self._settings, self._key, steps)] if steps else []


def show_list(settings: Settings, limit: int) -> None:
    """Show the newest batches, a line each."""
    db = open_platform_db(settings)
    statuses = [
        status_of(batch.key, db=db, settings=settings) for batch in JobStore(db).batches(limit)
    ]
    if not statuses:
        out.print("배치가 없습니다. 먼저: batch-platform emotions run code_check")
        return
    rows = [
        (
            each.batch.key,
            _stage(each),
            f"{each.batch.spec.provider} {each.batch.spec.model}",
            f"{each.counts.chosen:,}",
            f"{each.counts.of(RequestState.ANSWERED):,}",
            f"{each.counts.of(RequestState.QUARANTINED):,}",
            f"{each.cost_krw:,.1f}",
        )
        for each in statuses
    ]
    columns = ["배치", "상태", "모델", "글", "분석", "따로 둠", "원"]
    show_table("감정 분석 배치", columns, rows, right=(3, 4, 5, 6))


def show_status(settings: Settings, key: str) -> None:
    """Show a batch: posts, jobs, cost, files."""
    status = status_of(key, db=open_platform_db(settings), settings=settings)
    batch, counts = status.batch, status.counts
    rows = [
        ("상태", _stage(status)),
        ("모델", f"{batch.spec.provider} {batch.spec.model}"),
        ("읽은 글", f"{batch.posts_read:,}"),
        *((_LEFT_OUT[why], f"{count:,}") for why, count in counts.left_out.items()),
        ("고른 글", f"{counts.chosen:,}"),
        ("분석", f"{counts.of(RequestState.ANSWERED):,}"),
        ("따로 둠", f"{counts.of(RequestState.QUARANTINED):,}"),
        ("취소", f"{counts.of(RequestState.CANCELLED):,}"),
        ("남음", f"{counts.open:,}"),
        (
            "예상 비용",
            f"{batch.estimate.batch_krw:,.1f}원 (바로 물으면 {batch.estimate.direct_krw:,.1f}원)",
        ),
    ]
    if not batch.spec.is_direct:
        rows.append(("실제 비용", f"{status.cost_krw:,.1f}원"))
    if batch.problem:
        rows.append(("까닭", batch.problem))
    if status.files.csv.is_file():
        rows += [("CSV", str(status.files.csv)), ("Parquet", str(status.files.parquet))]
    show_table(key, ["무엇", "내용"], rows)
    _show_jobs(settings, status)


def show_results(settings: Settings, key: str) -> None:
    """Show what a batch found."""
    _say_made_up(settings)
    db = open_platform_db(settings)
    status, store = status_of(key, db=db, settings=settings), EmotionStore(db)
    shares = store.emotion_shares(key)
    if not shares:
        out.print(f"{key}: 아직 결과가 없습니다 ({_stage(status)}).", markup=False)
        return
    total = sum(count for _, count in shares)
    rows = [(name, f"{count:,}", f"{count / total:.1%}") for name, count in shares]
    show_table(f"{key} · 주 감정", ["감정", "글", "비율"], rows, right=(1, 2))
    means = store.pad_means(key)
    if means is not None:
        out.print(f"PAD 평균: P {means[0]:+.2f} · A {means[1]:+.2f} · D {means[2]:+.2f}")
    aside = store.quarantined(key)
    if aside:
        shown = [(name, reason) for name, reason, _ in aside[:_SHOWN_QUARANTINED]]
        show_table(f"따로 둔 글 {len(aside):,}건", ["글", "까닭"], shown)
    out.print(f"CSV: {status.files.csv}", markup=False, soft_wrap=True)
    out.print(f"Parquet: {status.files.parquet}", markup=False, soft_wrap=True)


def export(settings: Settings, key: str, to: Path) -> None:
    """Copy a batch's result file where a person wants it.

    Raises:
        PermanentError: The name ends with neither .csv nor .parquet, or cannot be written.
        NoDataError: There are no results yet.
    """
    files = status_of(key, db=open_platform_db(settings), settings=settings).files
    kinds = {".csv": files.csv, ".parquet": files.parquet}
    source = kinds.get(to.suffix.lower())
    if source is None:
        raise PermanentError(f"{to.name} is neither .csv nor .parquet", "Name it like result.csv")
    if not source.is_file():
        raise NoDataError(f"{key} has no results yet", f"batch-platform emotions watch {key}")
    try:
        shutil.copyfile(source, to)
    except OSError as error:
        raise PermanentError(f"{to} cannot be written: {error.strerror}", "Name another") from error
    out.print(f"내보냈습니다: {to.resolve()}", markup=False, soft_wrap=True)


def show_agreement(settings: Settings, first: str, second: str) -> None:
    """Show how far two analyses agree."""
    db = open_platform_db(settings)
    found = agreement_of(_coding(settings, db, first), _coding(settings, db, second))
    kappa = "-"
    if found.kappa is not None and found.interval is not None:
        low, high = found.interval
        kappa = f"{found.kappa:.3f} (95 % {low:.3f} … {high:.3f}) · {_LEVELS[found.level]}"
    rows = [
        ("함께 있는 글", f"{found.posts:,}"),
        ("주 감정이 같은 비율", f"{found.share:.1%}"),
        ("코헨의 카파", kappa),
        *(
            (f"{axis} 상관 (피어슨 r)", "-" if r is None else f"{r:+.3f} ({found.pad_posts:,}건)")
            for axis, r in zip("PAD", found.pad, strict=True)
        ),
    ]
    show_table(f"{first} ↔ {second}", ["무엇", "값"], rows)


def named(settings: Settings, key: str) -> str:
    """A batch that a person named, or the newest.

    Raises:
        NotFoundError: There is none.
    """
    if key:
        return key
    newest = JobStore(open_platform_db(settings)).batches(limit=1)
    if not newest:
        raise NotFoundError("There is no batch yet", "batch-platform emotions run code_check")
    return newest[0].key


def _coding(settings: Settings, db: PlatformDb, name: str) -> Mapping[str, Coded]:
    if name.lower().endswith(".csv"):
        return human_coding(Path(name))
    status_of(name, db=db, settings=settings)
    return {key: Coded(dominant, pad) for key, dominant, pad in EmotionStore(db).analysed(name)}


def _read_posts(settings: Settings) -> None:
    zone = settings.platform.zone
    on = today(utc_now, zone)
    found = PostSource(settings.emotions, zone).day_range(on)
    if found is None:
        raise NoDataError(
            "The source has no posts", "Check EMOTIONS_SOURCE and EMOTIONS_COLUMN_DATE"
        )
    first, last = max(found[0], settings.emotions.first_day), min(found[1], on)
    result = run_job(
        POSTS_JOB,
        first.isoformat(),
        settings=settings,
        last_partition=last.isoformat() if last > first else None,
    )
    if not result.is_success:
        show_run(first.isoformat(), result)
        raise PermanentError("The posts could not be read", "What is wrong is said above")


def _show_direct_price(settings: Settings, wanted: Asked) -> None:
    db = open_platform_db(settings)
    with _models(settings, db) as models:
        provider, model = models.chosen
        spec = spec_of(
            wanted.mode,
            settings,
            provider=provider,
            model=model,
            first_date=wanted.first_date,
            last_date=wanted.last_date,
            like_batch=wanted.like,
        )
        cost = preview(spec, db=db, open_llm=models.llm, settings=settings, clock=utc_now).estimate
    out.print(
        f"바로 묻습니다: 약 {cost.direct_krw:,.1f}원. 배치라면 {cost.batch_krw:,.1f}원으로,"
        f" {cost.direct_krw - cost.batch_krw:,.1f}원이 더 듭니다.",
        markup=False,
    )


def _show_jobs(settings: Settings, status: BatchStatus) -> None:
    zone = settings.platform.zone
    rows = [
        (
            f"{job.round}-{job.chunk}",
            job.state.value if job.state else "아직 안 보냄",
            f"{job.requests_completed:,} / {job.requests:,}",
            f"{job.requests_failed:,}",
            f"{job.cost_krw:,.1f}",
            f"{job.polled_at.astimezone(zone):%m-%d %H:%M:%S}" if job.polled_at else "",
            job.job_name or "",
            job.error or "",
        )
        for job in status.jobs
    ]
    if rows:
        columns = ["회차", "상태", "답 / 줄", "실패", "원", "확인", "제공자의 이름", "까닭"]
        show_table("작업", columns, rows, right=(2, 3, 4))


def _show_progress(status: BatchStatus, zone: ZoneInfo, shown: str) -> str:
    done = sum(job.requests_completed for job in status.jobs)
    lines = sum(job.requests for job in status.jobs)
    states = ", ".join(sorted({job.state.value for job in status.jobs if job.state}))
    line = f"{_stage(status)} · {done:,} / {lines:,}줄" + (f" · {states}" if states else "")
    if line != shown:
        err.print(f"{utc_now().astimezone(zone):%H:%M:%S} {status.batch.key} {line}", markup=False)
    return line


def _stage(status: BatchStatus) -> str:
    return _STAGES[status.stage]


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PermanentError(f"{text!r} is not a date", "Write it like 2026-11-19") from None


@contextmanager
def _models(settings: Settings, db: PlatformDb) -> Generator[EmotionModels]:
    models = EmotionModels(settings, db)
    try:
        yield models
    finally:
        models.close()


@contextmanager
def _instance(settings: Settings) -> Generator[dg.DagsterInstance]:
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    with dg.DagsterInstance.get() as instance:
        yield instance


def _say_made_up(settings: Settings) -> None:
    if settings.is_made_up:
        err.print(MADE_UP)

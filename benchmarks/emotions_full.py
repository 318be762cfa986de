"""A `full` batch end to end: posts read, chosen, sent, taken, analysed, against the sandbox.

    python -m benchmarks.emotions_full                      # 17,336 made-up posts
    python -m benchmarks.emotions_full --posts reviews.csv  # real ones
    python -m benchmarks.emotions_full --small

Files of at most 10,000 lines; one line in a hundred fails and is asked again. The server is a
process of its own, so that the peak of memory is the platform's. Takes about a minute.
"""

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from batch_platform.core.days import utc_now
from batch_platform.core.settings import Profile, Section, Settings
from batch_platform.domains.emotions.collection import collect_results
from batch_platform.domains.emotions.models import BatchStage, Mode
from batch_platform.domains.emotions.polling import poll_jobs
from batch_platform.domains.emotions.selection import choose_posts, register, spec_of
from batch_platform.domains.emotions.source import PostSource
from batch_platform.domains.emotions.store import EmotionStore
from batch_platform.domains.emotions.submission import send_batch
from batch_platform.domains.emotions.workflow import (
    BatchStatus,
    enter_history,
    read_posts,
    status_of,
    write_analyses,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.resources.roles import EmotionModels
from batch_platform.sandbox.batch_server import running_batch_server
from benchmarks.figures import report
from benchmarks.scratch_database import scratch_database

POSTS = 17_336
MOST_MEGABYTES = 400
LEAST_JOBS = 2
ERROR_SHARE = 0.01


def made_up_posts(file: Path, count: int) -> Path:
    """A source of posts about as long as a review."""
    piece = "연기도 음악도 화면도 다 좋은데 결말이 조금 아쉽네요 다시 보고 싶은 영화 "
    with file.open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(["review_id", "date", "review"])
        for number in range(count):
            text = f"{number} {piece * (1 + number % 3)}"[: 20 + number % 60]
            writer.writerow([number, f"2015-08-{1 + number % 20:02}", text])
    return file


def settings_of(variables: dict[str, object]) -> Settings:
    """The settings of these variables alone, of made-up answers."""
    sections = {
        name: field.annotation(_env_file=None, **variables)
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }
    return Settings.model_validate({"profile": Profile.DEMO, **sections})


class FullBatch:
    """The steps of a full batch, each timed."""

    def __init__(self, db: PlatformDb, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._models = EmotionModels(settings, db)
        self.seconds: dict[str, float] = {}

    def _timed(self, what: str, started: float) -> None:
        spent = time.perf_counter() - started
        self.seconds[what] = self.seconds.get(what, 0.0) + spent

    def run(self) -> tuple[int, BatchStatus]:
        """From the source to the history; gives the rows read and how the batch ended."""
        db, settings, models, clock = self._db, self._settings, self._models, utc_now
        started = time.perf_counter()
        zone = settings.platform.zone
        source = PostSource(settings.emotions, zone)
        read = read_posts(None, source=source, db=db, settings=settings, today=date(2015, 8, 20))
        self._timed("read posts", started)
        provider, model = models.chosen
        spec = spec_of(Mode.FULL, settings, provider=provider, model=model)
        key = register(spec, db=db, settings=settings, clock=clock)
        while True:
            status = status_of(key, db=db, settings=settings)
            started = time.perf_counter()
            match status.stage:
                case BatchStage.REGISTERED:
                    choose_posts(key, db=db, open_llm=models.llm, settings=settings, clock=clock)
                    self._timed("choose", started)
                case BatchStage.TO_SEND:
                    send_batch(
                        key, db=db, open_client=models.client, settings=settings, clock=clock
                    )
                    self._timed("send", started)
                case BatchStage.IN_FLIGHT:
                    time.sleep(0.1)
                    poll_jobs(db=db, open_client=models.client, settings=settings, clock=clock)
                    self._timed("wait", started)
                case BatchStage.TO_COLLECT:
                    collect_results(
                        key,
                        db=db,
                        open_client=models.client,
                        open_llm=models.llm,
                        settings=settings,
                        clock=clock,
                    )
                    self._timed("take", started)
                    started = time.perf_counter()
                    write_analyses(key, db=db, open_llm=models.llm, settings=settings, clock=clock)
                    enter_history(key, db=db, settings=settings, clock=clock)
                    self._timed("write analyses", started)
                case _:
                    models.close()
                    return read.rows, status


def peak_megabytes() -> float:
    """The most memory that this process has had."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if "VmHWM" in line)
    return int(line.split()[1]) / 1024


def full_figures(posts: Path | None, *, is_small: bool) -> dict[str, dict[str, object]]:
    """Run a full batch and tell what it took."""
    with tempfile.TemporaryDirectory() as name, scratch_database() as db:
        folder = Path(name)
        source = posts or made_up_posts(folder / "posts.csv", 2_000 if is_small else POSTS)
        served = running_batch_server(folder / "provider", as_process=True, error_share=ERROR_SHARE)
        with served as server:
            settings = settings_of(
                {
                    "BATCH_PLATFORM_HOME": folder / "home",
                    "EMOTIONS_SOURCE": str(source),
                    "EMOTIONS_COLUMN_POST_ID": "review_id",
                    "EMOTIONS_COLUMN_CONTENT": "review",
                    "EMOTIONS_COLUMN_DATE": "date",
                    "EMOTIONS_PROVIDER": "openai",
                    "EMOTIONS_POLL_INTERVAL_SECONDS": 0.1,
                    "EMOTIONS_MAX_BATCH_SIZE": 1_000 if is_small else 10_000,
                    "OPENAI_API_KEY": "sandbox",
                    "OPENAI_BASE_URL": server.openai_url,
                }
            )
            batch = FullBatch(db, settings)
            rows, status = batch.run()
            jobs = server.stats()["jobs_by_key"]
            analyses = EmotionStore(db).analysis_count(status.batch.key)
    print_outcome(rows, status, batch.seconds, analyses)
    accounted = sum(status.counts.states.values())
    return {
        "emotions_full_rows_not_accounted_for": {
            "value": abs(rows - accounted) + status.counts.open,
            "aim": 0,
            "better": "lower",
        },
        "emotions_full_jobs_of_the_first_round": {
            "value": sum(job.round == 1 for job in status.jobs),
            "aim": LEAST_JOBS,
            "better": "higher",
        },
        "emotions_full_jobs_made_twice": {
            "value": sum(count - 1 for count in jobs.values()),
            "aim": 0,
            "better": "lower",
        },
        "emotions_full_peak_megabytes": {
            "value": round(peak_megabytes()),
            "aim": MOST_MEGABYTES,
            "better": "lower",
        },
    }


def print_outcome(rows: int, status: BatchStatus, seconds: dict[str, float], analyses: int) -> None:
    """Say what became of every row, and what each step took."""
    states = ", ".join(f"{count:,} {state}" for state, count in status.counts.states.items())
    print(f"{rows:,} rows read: {states}; {analyses:,} analyses")
    print(f"jobs (round-chunk: lines): {shown_jobs(status)}")
    for what, spent in seconds.items():
        print(f"  {what}: {spent:.1f} s")
    estimate = status.batch.estimate
    print(
        f"  {status.cost_krw:,.0f} won (estimated {estimate.batch_krw:,.0f},"
        f" at once {estimate.direct_krw:,.0f})"
    )


def shown_jobs(status: BatchStatus) -> str:
    """A batch's jobs in a line."""
    return ", ".join(f"{job.round}-{job.chunk}: {job.requests:,}" for job in status.jobs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=Path, help="CSV of real posts: review_id, date, review")
    parser.add_argument("--small", action="store_true", help="2,000 posts")
    given = parser.parse_args(arguments)
    report(full_figures(given.posts, is_small=given.small))


if __name__ == "__main__":
    main(sys.argv[1:])

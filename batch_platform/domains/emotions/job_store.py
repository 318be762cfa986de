"""SQL of batches and of their jobs at the provider: the state that survives everything."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from batch_platform.core.errors import NotFoundError
from batch_platform.domains.emotions.models import Batch, BatchSpec, CostEstimate, Job, Mode
from batch_platform.gateways.llm_batch.models import BatchJob, BatchState
from batch_platform.gateways.platform_db import PlatformDb

_JOB_COLUMNS = (
    "run_key, batch_key, round, chunk, provider, model, state, requests, requests_completed,"
    " requests_failed, file_bytes, file_ref, job_name, error, is_permanent_failure, prepared_at,"
    " create_started_at, created_at, next_poll_at, polled_at, cancel_requested_at, ended_at,"
    " collected_at, input_tokens, output_tokens, cost_krw"
)
"""In the order of the fields of `Job`."""
_BATCH_COLUMNS = (
    "batch_key, mode, is_direct, provider, model, prompt_version, seed, confidence_level,"
    " margin_of_error, first_date, last_date, like_batch, registered_at, chosen_at, cancelled_at,"
    " finished_at, work_requested_at, work_requests, posts_read, population, corrected_size,"
    " lines, estimated_input_tokens, estimated_output_tokens, estimated_krw, estimated_direct_krw,"
    " problem, is_made_up"
)


class JobStore:
    """Batches and jobs in the platform's database."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def register(self, key: str, spec: BatchSpec, now: datetime, *, is_made_up: bool) -> bool:
        """Write that somebody asked for a batch; False when the name is taken."""
        with self._db.connect("emotions batch") as connection:
            return (
                connection.execute(
                    """
                    INSERT INTO emotions.batches (
                        batch_key, mode, is_direct, provider, model, prompt_version, seed,
                        confidence_level, margin_of_error, first_date, last_date, like_batch,
                        registered_at, is_made_up
                    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                    ON CONFLICT (batch_key) DO NOTHING
                    """,
                    [
                        key,
                        spec.mode.value,
                        spec.is_direct,
                        spec.provider,
                        spec.model,
                        spec.prompt_version,
                        spec.seed,
                        spec.confidence_level,
                        spec.margin_of_error,
                        spec.first_date,
                        spec.last_date,
                        spec.like_batch,
                        now,
                        is_made_up,
                    ],
                ).rowcount
                == 1
            )

    def batch(self, key: str) -> Batch:
        """A batch by its name.

        Raises:
            NotFoundError: There is none.
        """
        rows = self._db.fetch_all(
            f"SELECT {_BATCH_COLUMNS} FROM emotions.batches WHERE batch_key = %s", [key]
        )
        if not rows:
            raise NotFoundError(
                f"There is no batch {key}", "batch-platform emotions list shows them"
            )
        return _batch(rows[0])

    def batches(self, limit: int = 20) -> list[Batch]:
        """The newest batches."""
        rows = self._db.fetch_all(
            f"SELECT {_BATCH_COLUMNS} FROM emotions.batches ORDER BY registered_at DESC LIMIT %s",
            [limit],
        )
        return [_batch(row) for row in rows]

    def open_batches(self) -> list[Batch]:
        """Batches that have no end yet, the oldest first."""
        rows = self._db.fetch_all(
            f"SELECT {_BATCH_COLUMNS} FROM emotions.batches WHERE finished_at IS NULL"
            " ORDER BY registered_at"
        )
        return [_batch(row) for row in rows]

    def note_chosen(
        self,
        connection: psycopg.Connection,
        key: str,
        *,
        posts_read: int,
        population: int,
        corrected_size: int | None,
        estimate: CostEstimate,
        now: datetime,
    ) -> None:
        """Write what a batch is going to ask, in the transaction that chooses."""
        connection.execute(
            """
            UPDATE emotions.batches SET chosen_at = %s, posts_read = %s, population = %s,
                corrected_size = %s, lines = %s, estimated_input_tokens = %s,
                estimated_output_tokens = %s, estimated_krw = %s, estimated_direct_krw = %s
            WHERE batch_key = %s
            """,
            [
                now,
                posts_read,
                population,
                corrected_size,
                estimate.lines,
                estimate.input_tokens,
                estimate.output_tokens,
                estimate.batch_krw,
                estimate.direct_krw,
                key,
            ],
        )

    def expected_krw_in_flight(self, but_for: str) -> float:
        """What other open batches should still cost: their estimates without what was charged."""
        rows = self._db.fetch_all(
            """
            SELECT coalesce(sum(greatest(0, estimated_krw - coalesce((
                SELECT sum(cost_krw) FROM emotions.batch_jobs WHERE batch_key = batches.batch_key
            ), 0))), 0) FROM emotions.batches
            WHERE finished_at IS NULL AND chosen_at IS NOT NULL AND NOT is_direct
              AND batch_key <> %s
            """,
            [but_for],
        )
        return float(rows[0][0])

    def note_cancelled(self, key: str, now: datetime) -> None:
        """Write that a person wants no more of a batch."""
        self._update_batch("cancelled_at = coalesce(cancelled_at, %s)", [now], key)

    def note_finished(self, key: str, now: datetime, problem: str | None) -> None:
        """Write that nothing of a batch is open any more."""
        self._update_batch("finished_at = %s, problem = %s", [now, problem], key)

    def note_work_requested(self, key: str, now: datetime) -> None:
        """Write that a run was launched for a batch."""
        self._update_batch("work_requested_at = %s, work_requests = work_requests + 1", [now], key)

    def _update_batch(self, assigned: LiteralString, values: Sequence[object], key: str) -> None:
        with self._db.connect("emotions batch") as connection:
            connection.execute(
                f"UPDATE emotions.batches SET {assigned} WHERE batch_key = %s", [*values, key]
            )

    def jobs(self, batch_key: str) -> list[Job]:
        """A batch's jobs, by round and chunk."""
        return self._jobs("batch_key = %s ORDER BY round, chunk", [batch_key])

    def jobs_in_flight(self, now: datetime) -> list[Job]:
        """Jobs of every batch that are at the provider and due to be asked after."""
        return self._jobs(
            "state IN ('PENDING', 'RUNNING') AND next_poll_at <= %s ORDER BY next_poll_at", [now]
        )

    def _jobs(self, condition: LiteralString, values: Sequence[object]) -> list[Job]:
        rows = self._db.fetch_all(
            f"SELECT {_JOB_COLUMNS} FROM emotions.batch_jobs WHERE {condition}", values
        )
        return [_job(row) for row in rows]

    def prepare(
        self,
        batch: Batch,
        round_number: int,
        jobs: Sequence[tuple[str, int, int, Sequence[str]]],
        now: datetime,
    ) -> None:
        """Write jobs that are going to be sent, and which texts are in which, in one transaction.

        Args:
            batch: Whose they are.
            round_number: Which time of asking it is, from 1.
            jobs: Run key, chunk, bytes of the file, custom ids of the texts.
            now: The current time.
        """
        with self._db.connect("emotions jobs") as connection, connection.transaction():
            for run_key, chunk, file_bytes, custom_ids in jobs:
                connection.execute(
                    """
                    INSERT INTO emotions.batch_jobs (run_key, batch_key, round, chunk, provider,
                        model, requests, file_bytes, prepared_at, is_made_up)
                    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                    """,
                    [
                        run_key,
                        batch.key,
                        round_number,
                        chunk,
                        batch.spec.provider,
                        batch.spec.model,
                        len(custom_ids),
                        file_bytes,
                        now,
                        batch.is_made_up,
                    ],
                )
                connection.execute(
                    "UPDATE emotions.batch_requests SET state = 'sent', run_key = %s"
                    " WHERE batch_key = %s AND asked_as = ANY(%s) AND state = 'waiting'",
                    [run_key, batch.key, list(custom_ids)],
                )

    def note_uploaded(self, run_key: str, file_ref: str) -> None:
        """Write where a job's file is at the provider."""
        self._update_job("file_ref = %s", [file_ref], run_key)

    def note_creating(self, run_key: str, now: datetime) -> None:
        """Write that the provider is about to be asked to make a job."""
        self._update_job("create_started_at = %s", [now], run_key)

    def note_seen(
        self, run_key: str, seen: BatchJob, now: datetime, next_poll_at: datetime
    ) -> None:
        """Write what the provider says of a job."""
        self._update_job(
            "job_name = %s, state = %s, requests_completed = %s, requests_failed = %s, error = %s,"
            " is_permanent_failure = %s, created_at = coalesce(created_at, %s), polled_at = %s,"
            " next_poll_at = %s, ended_at = CASE WHEN %s THEN coalesce(ended_at, %s) END",
            [
                seen.name,
                seen.state.value,
                seen.requests_completed,
                seen.requests_failed,
                seen.error,
                seen.is_permanent_failure,
                seen.created_at or now,
                now,
                next_poll_at,
                seen.state.is_final,
                now,
            ],
            run_key,
        )

    def note_cancel_requested(self, run_key: str, now: datetime) -> None:
        """Write that the provider was asked to end a job."""
        self._update_job(
            "cancel_requested_at = coalesce(cancel_requested_at, %s), next_poll_at = %s",
            [now, now],
            run_key,
        )

    def note_collected(
        self, run_key: str, now: datetime, input_tokens: int, output_tokens: int, cost_krw: float
    ) -> None:
        """Write that all of a job is stored, and what it cost."""
        self._update_job(
            "collected_at = %s, input_tokens = %s, output_tokens = %s, cost_krw = %s",
            [now, input_tokens, output_tokens, cost_krw],
            run_key,
        )

    def _update_job(self, assigned: LiteralString, values: Sequence[object], run_key: str) -> None:
        with self._db.connect("emotions jobs") as connection:
            connection.execute(
                f"UPDATE emotions.batch_jobs SET {assigned} WHERE run_key = %s",
                [*values, run_key],
            )


def _batch(row: Sequence[Any]) -> Batch:
    return Batch(
        key=row[0],
        spec=BatchSpec(Mode(row[1]), *row[2:12]),
        registered_at=row[12],
        chosen_at=row[13],
        cancelled_at=row[14],
        finished_at=row[15],
        work_requested_at=row[16],
        work_requests=row[17],
        posts_read=row[18],
        population=row[19],
        corrected_size=row[20],
        estimate=CostEstimate(*row[21:26]),
        problem=row[26],
        is_made_up=row[27],
    )


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip((field.name for field in fields(Job)), row, strict=True))
    values["state"] = BatchState(values["state"]) if values["state"] else None
    return Job(**values)

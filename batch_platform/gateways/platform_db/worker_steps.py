"""Steps that workers took: each message is executed once, and a dead worker's is noticed.

A worker that executes a step holds a `RunLock` under the message's key.
"""

from batch_platform.gateways.platform_db.database import PlatformDb
from batch_platform.gateways.platform_db.run_locks import RunLock, living_runs

_KEPT_DAYS = 7


def take_step(db: PlatformDb, task_id: str, run_id: str, step_key: str, worker: str) -> bool:
    """Note that a worker executes a message; tell whether it is the first to do so."""
    with db.connect(f"take {step_key} of run {run_id}") as connection:
        connection.execute(
            "DELETE FROM operations.worker_steps"
            " WHERE started_at < now() - make_interval(days => %s)",
            [_KEPT_DAYS],
        )
        taken = connection.execute(
            "INSERT INTO operations.worker_steps (task_id, run_id, step_key, worker)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [task_id, run_id, step_key, worker],
        )
        return taken.rowcount == 1


def step_lock(db: PlatformDb, task_id: str) -> RunLock:
    """Shows others, while the block runs, that the worker that executes a message lives."""
    return RunLock(db, f"step {task_id}")


def worker_of(db: PlatformDb, task_id: str) -> str | None:
    """The worker that took a message; None while it waits."""
    rows = db.fetch_all("SELECT worker FROM operations.worker_steps WHERE task_id = %s", [task_id])
    return rows[0][0] if rows else None


def is_executed(db: PlatformDb, task_id: str) -> bool:
    """Whether a worker that executes the message lives."""
    name = f"step {task_id}"
    return name in living_runs(db, [name])


def is_left_behind(db: PlatformDb, run_id: str, step_key: str) -> bool:
    """Whether a step of the same asset goes on whose own run is gone: it ends itself soon."""
    rows = db.fetch_all(
        "SELECT task_id, run_id FROM operations.worker_steps"
        " WHERE split_part(step_key, '.', 1) = split_part(%s, '.', 1) AND run_id <> %s"
        "   AND started_at > now() - interval '1 day'",
        [step_key, run_id],
    )
    living = living_runs(db, [name for task, run in rows for name in (f"step {task}", run)])
    return any(f"step {task}" in living and run not in living for task, run in rows)

"""`llm.progress`: how far each ask has come, for anyone who looks."""

import psycopg

from batch_platform.core.errors import PlatformError
from batch_platform.gateways.llm.database import Session
from batch_platform.gateways.llm.ledger import Provenance
from batch_platform.gateways.llm.models import Progress


class ProgressRow:
    """The row of one ask."""

    def __init__(self, session: Session, ask_id: str, provenance: Provenance) -> None:
        self._session = session
        self._ask_id = ask_id
        self._provenance = provenance

    def write(self, progress: Progress) -> None:
        """Say how far it has come."""
        self._write(progress, "running", None)

    def end(self, progress: Progress, problem: PlatformError | None) -> None:
        """Say that it is over, and what ended it early."""
        state = "finished" if problem is None else "stopped"
        self._write(progress, state, None if problem is None else problem.problem)

    def _write(self, progress: Progress, state: str, problem: str | None) -> None:
        of = self._provenance

        def work(connection: psycopg.Connection) -> None:
            connection.execute(
                """
                INSERT INTO llm.progress (ask_id, task, partition, state, done, failed, remaining,
                                          rate, seconds_left, cost_krw, problem)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (ask_id) DO UPDATE SET state = excluded.state, done = excluded.done,
                    failed = excluded.failed, remaining = excluded.remaining,
                    rate = excluded.rate, seconds_left = excluded.seconds_left,
                    cost_krw = excluded.cost_krw, problem = excluded.problem, updated_at = now()
                """,
                (
                    self._ask_id,
                    of.task,
                    of.partition,
                    state,
                    progress.done,
                    progress.failed,
                    progress.remaining,
                    progress.rate,
                    progress.seconds_left,
                    progress.cost_krw,
                    problem,
                ),
            )

        self._session.run(work)

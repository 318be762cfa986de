"""The quarantine: what models could not answer and was set aside, looked at by a person.

Each item is asked about once more (its day's job runs again and asks what is missing) or discarded
with a reason. SQL included; the engine fills the table, see `gateways/llm/ledger.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from batch_platform.core.days import Clock
from batch_platform.core.errors import NotFoundError, PermanentError
from batch_platform.core.hashing import json_hash
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.deadline_book import noted_deadlines
from batch_platform.operations.schedules import OccurrenceBook

MOST_REASON_LENGTH = 500

REPLACE_ANSWERED = "batch-platform interventions run --date {partition} --force"
"""The command that has answers replaced which stand in for a model's."""

_ANSWERED_BY_RULES = frozenset({"interventions"})
"""Domains in which rules write at once what a model could not; their runs let that stand."""

_SELECT: LiteralString = """
    SELECT task, partition, item_id, quarantine.reason, quarantined_at, attempts, cost_krw, model,
           coalesce(discarded.reason, '') AS discarded_because,
           coalesce(discarded_by, '') AS discarded_by
    FROM llm.quarantine
    LEFT JOIN llm.discarded USING (task, partition, item_id)
    LEFT JOIN llm.calls USING (task, key)
"""


@dataclass(frozen=True, slots=True)
class ItemKey:
    """Which item of the quarantine.

    Attributes:
        task: The domain, a dot and the question, `chats.classify`.
        partition: The partition's key.
        item_id: As the domain calls it.
    """

    task: str
    partition: str
    item_id: str

    @property
    def domain(self) -> str:
        """Whose it is."""
        return self.task.partition(".")[0]


@dataclass(frozen=True, slots=True)
class QuarantinedItem:
    """An item that was set aside.

    Attributes:
        key: Which.
        reason: Why, in a sentence without personal data.
        at: When.
        attempts: How often the model was asked; None when no call was made.
        cost_krw: What that cost.
        model: Which model.
        discarded_because: Why a person gave it up; empty while it waits.
        discarded_by: Who that was.
    """

    key: ItemKey
    reason: str
    at: datetime
    attempts: int | None
    cost_krw: float | None
    model: str | None
    discarded_because: str
    discarded_by: str


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """What was set going.

    Attributes:
        items: How many items are asked about again by runs.
        runs: These runs, (job, partition).
        answered: How many have another answer meanwhile, which a run by itself lets stand; a model
            is asked only when a person has that answer replaced.
        answered_partitions: Of these.
    """

    items: int
    runs: Sequence[tuple[str, str]]
    answered: int = 0
    answered_partitions: Sequence[str] = ()


class QuarantineBook:
    """Everything that was set aside.

    Args:
        db: The platform's database.
        clock: Tells when a run was asked for.
    """

    def __init__(self, db: PlatformDb, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def items(
        self,
        *,
        domain: str | None = None,
        partition: str | None = None,
        with_discarded: bool = False,
        limit: int = 500,
    ) -> list[QuarantinedItem]:
        """Items, the newest first.

        Args:
            domain: Only this domain's.
            partition: Only this partition's.
            with_discarded: Those that a person gave up, too.
            limit: At most so many.
        """
        query = (
            _SELECT
            + """
            WHERE (%(domain)s::text IS NULL OR split_part(task, '.', 1) = %(domain)s)
              AND (%(partition)s::text IS NULL OR partition = %(partition)s)
              AND (%(with_discarded)s OR discarded.task IS NULL)
            ORDER BY quarantined_at DESC, task, partition, item_id LIMIT %(limit)s
        """
        )
        values = {
            "domain": domain,
            "partition": partition,
            "with_discarded": with_discarded,
            "limit": limit,
        }
        return [_item(row) for row in self._db.fetch_all(query, values)]

    def get(self, key: ItemKey) -> QuarantinedItem:
        """One item.

        Raises:
            NotFoundError: It is not in the quarantine (any more).
        """
        rows = self._db.fetch_all(
            _SELECT + " WHERE task = %s AND partition = %s AND item_id = %s",
            [key.task, key.partition, key.item_id],
        )
        if not rows:
            raise NotFoundError(
                f"{key.task} {key.partition} {key.item_id} is not in the quarantine",
                "See batch-platform quarantine list",
            )
        return _item(rows[0])

    def ask_again(
        self, keys: Sequence[ItemKey], occurrences: OccurrenceBook, *, requested_by: str
    ) -> AskedAgain:
        """Let models be asked about items once more: their days' jobs run again.

        A job asks only what is missing, so that nothing else is paid for. What has another answer
        meanwhile is marked alone: the next run that replaces that answer asks.

        Args:
            keys: Which; what is not in the quarantine any more is passed over.
            occurrences: Where runs are asked for.
            requested_by: Who asks.

        Raises:
            PermanentError: No job is known that makes one of the domains' days.
        """
        with self._db.connect("quarantine") as connection:
            found = [key for key in keys if _mark(connection, key)]
            jobs = _jobs(connection, {key.domain for key in found} - _ANSWERED_BY_RULES)
        answered = [key for key in found if key.domain in _ANSWERED_BY_RULES]
        asked = [key for key in found if key.domain not in _ANSWERED_BY_RULES]
        runs = sorted({(jobs[key.domain], key.partition) for key in asked})
        for job, partition in runs:
            # Pressed twice within a minute, it runs once.
            key = json_hash([job, partition, f"{self._clock():%Y-%m-%d %H:%M}", requested_by])
            occurrences.request_run(
                job, [partition], {}, key=f"quarantine {key}", requested_by=requested_by
            )
        days = sorted({key.partition for key in answered})
        return AskedAgain(len(asked), runs, len(answered), days)

    def discard(self, keys: Sequence[ItemKey], reason: str, *, discarded_by: str) -> int:
        """Give items up; they stay on record and leave the inbox.

        Args:
            keys: Which; what is not in the quarantine any more is passed over.
            reason: Why.
            discarded_by: Who decided it.

        Returns:
            How many were given up now.

        Raises:
            PermanentError: There is no reason, or it is too long.
        """
        reason = " ".join(reason.split())
        if not reason or len(reason) > MOST_REASON_LENGTH:
            raise PermanentError(
                f"A reason has 1 to {MOST_REASON_LENGTH} letters", "Say why it is given up"
            )
        with self._db.connect("quarantine") as connection, connection.transaction():
            return sum(
                connection.execute(
                    "INSERT INTO llm.discarded (task, partition, item_id, reason, discarded_by)"
                    " SELECT task, partition, item_id, %s, %s FROM llm.quarantine"
                    " WHERE task = %s AND partition = %s AND item_id = %s"
                    " ON CONFLICT DO NOTHING",
                    [reason, discarded_by, key.task, key.partition, key.item_id],
                ).rowcount
                for key in keys
            )


def _mark(connection: psycopg.Connection, key: ItemKey) -> bool:
    """Let the next run ask about an item; tell whether it is in the quarantine."""
    values = [key.task, key.partition, key.item_id]
    found = connection.execute(
        "SELECT key FROM llm.quarantine WHERE task = %s AND partition = %s AND item_id = %s", values
    ).fetchone()
    if found is None:
        return False
    connection.execute(
        "UPDATE llm.calls SET is_asked_again = true WHERE key = %s AND output IS NULL", found
    )
    connection.execute(
        "DELETE FROM llm.discarded WHERE task = %s AND partition = %s AND item_id = %s", values
    )
    return True


def _jobs(connection: psycopg.Connection, domains: set[str]) -> dict[str, str]:
    """Domain → the job that makes its day.

    Raises:
        PermanentError: One has none.
    """
    known = {
        each.asset.partition("/")[0]: each.job for each in noted_deadlines(connection) if each.job
    }
    for domain in domains - known.keys():
        row = connection.execute(
            "SELECT job FROM operations.jobs WHERE job ~ ('^' || %s || '_(night_)?job$')", [domain]
        ).fetchone()
        if row is None:
            raise PermanentError(
                f"No job is known that makes a day of {domain}",
                "Start the platform with batch-platform up, or run the day in the webserver",
            )
        known[domain] = row[0]
    return known


def _item(row: Sequence[Any]) -> QuarantinedItem:
    task, partition, item_id, *rest = row
    return QuarantinedItem(ItemKey(task, partition, item_id), *rest)

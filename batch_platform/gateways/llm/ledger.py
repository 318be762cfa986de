"""`llm.calls`, the ledger: no model call is paid for twice. Its key, its SQL and its retention.

Plain synchronous SQL; when to look up and when to commit is the engine's business.
"""

import hashlib
import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from batch_platform.core.personal_data import Masked, mask
from batch_platform.gateways.llm.database import Session

_USED_AGAIN_AFTER = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What all answers of one ask have in common: the key's parts beside the text, and who asks.

    Attributes:
        digest: Of the instructions and the answer's schema.
        parameters: What shapes the answer (temperature). What only bounds it, like the most tokens,
            is not part of the key: an answer that was cut is never stored.
        is_made_up: Whether the sandbox answers. Part of the key, so that its answers and real ones
            can never be taken for one another.
    """

    task: str
    prompt_version: str
    digest: str
    provider: str
    model: str
    parameters: Mapping[str, Any]
    is_made_up: bool
    partition: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of one text: an answer (`output`) or why there is none (`error`)."""

    key: bytes
    output: str | None
    error: str | None
    call_id: str
    input_tokens: int
    output_tokens: int
    cost_krw: float
    cost_usd: float
    latency_seconds: float
    attempts: int
    masked: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of keys. Whatever is neither found nor ours, somebody else is asking about.

    Attributes:
        found: Outputs (JSON) of those that have one.
        ours: Those that are ours to ask about.
        in_vain: Of ours, those whose answers could not be used, and why.
    """

    found: dict[bytes, str]
    ours: set[bytes]
    in_vain: dict[bytes, str]


class Keys:
    """Makes the ledger's keys of one ask.

    Args:
        provenance: The key's parts beside the text.
    """

    def __init__(self, provenance: Provenance) -> None:
        parts = [
            provenance.task,
            provenance.prompt_version,
            provenance.digest,
            provenance.model,
            json.dumps(provenance.parameters, sort_keys=True),
            "made up" if provenance.is_made_up else "real",
        ]
        self._start = hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode())

    def key(self, text: str) -> bytes:
        """SHA-256 of the parts and a text that `prepared` made."""
        digest = self._start.copy()
        digest.update(text.encode())
        return digest.digest()


def prepared(text: str) -> Masked:
    """A text as it is asked and keyed: storable, NFC, stripped, without personal data."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode()
    return mask(text.replace("\x00", "").strip())


class Ledger:
    """The ledger through one session.

    Args:
        session: Where the SQL runs; its owner holds this ask's claims.
        provenance: What all answers of the ask have in common.
        price_table: Name and version of the prices that costs are worked out with.
        owner: Number that claims are made under.
    """

    def __init__(
        self, session: Session, provenance: Provenance, price_table: str, owner: int
    ) -> None:
        self._session = session
        self._provenance = provenance
        self._price_table = price_table
        self._owner = owner

    def open_partition(self) -> None:
        """Note that the partition uses the ledger from now on, and forget its last quarantine."""
        of = self._provenance

        def work(connection: psycopg.Connection) -> None:
            with connection.transaction():
                connection.execute(
                    """
                    INSERT INTO llm.partitions (task, partition) VALUES (%s, %s)
                    ON CONFLICT (task, partition) DO UPDATE SET is_live = true, asked_at = now()
                    """,
                    (of.task, of.partition),
                )
                connection.execute(
                    "DELETE FROM llm.quarantine WHERE task = %s AND partition = %s",
                    (of.task, of.partition),
                )
                # What a process that died had claimed or reserved counts for nothing: sweep it.
                connection.execute(
                    """
                    DELETE FROM llm.reservations
                    WHERE owner NOT IN (SELECT owner FROM llm.live_owners)
                    """
                )

        self._session.run(work)

    def peek(self, keys: Collection[bytes]) -> dict[bytes, str]:
        """Outputs (JSON) of the keys that have one. Leaves no trace."""
        return self._known(keys)[0]

    def _known(self, keys: Collection[bytes]) -> tuple[dict[bytes, str], dict[bytes, str]]:
        """Outputs, and why the answers were none of the keys this partition paid for in vain.

        What failed without an answer (an outage, say) is not among the latter: asking again pays
        once. Nor is what another partition paid for: one bad night must not spoil those after it.
        Nor what a person wants to be asked once more.
        """
        rows = self._session.run(
            lambda connection: connection.execute(
                """
                SELECT key, output::text, error FROM llm.calls
                WHERE key = ANY(%s)
                  AND (output IS NOT NULL
                       OR output_tokens > 0 AND %s = ANY(used_by) AND NOT is_asked_again)
                """,
                (list(keys), self._provenance.partition),
                binary=True,
            ).fetchall()
        )
        found = {bytes(key): output for key, output, _ in rows if output is not None}
        in_vain = {bytes(key): error for key, output, error in rows if output is None}
        return found, in_vain

    def take(self, keys: Sequence[bytes]) -> Taken:
        """Look keys up, note that this partition uses what is found, claim what is not."""
        ours = self._claim(keys)
        found, in_vain = self._known(keys)
        if found:
            self.note_use(found)
        # Somebody may have answered, and given the claim back, between the two.
        late = ours & found.keys()
        if late:
            self.give_back(late)
            ours -= late
        return Taken(found, ours, {key: in_vain[key] for key in ours & in_vain.keys()})

    def note_use(self, keys: Collection[bytes]) -> None:
        """Note that this partition uses answers, so that they are kept."""
        self._session.run(
            lambda connection: connection.execute(
                """
                UPDATE llm.calls SET last_used_at = now(),
                    used_by = CASE WHEN %(partition)s = ANY(used_by) THEN used_by
                                   ELSE used_by || %(partition)s::text END
                WHERE key = ANY(%(keys)s)
                  AND (last_used_at < now() - %(again)s OR NOT %(partition)s = ANY(used_by))
                """,
                {
                    "keys": sorted(keys),
                    "partition": self._provenance.partition,
                    "again": _USED_AGAIN_AFTER,
                },
            )
        )

    def _claim(self, keys: Collection[bytes]) -> set[bytes]:
        """Claim the keys that have no answer and nobody else is asking about now."""
        rows = self._session.run(
            lambda connection: connection.execute(
                """
                INSERT INTO llm.claims AS held (key, owner)
                SELECT key, %(owner)s FROM unnest(%(keys)s::bytea[]) AS wanted (key)
                WHERE NOT EXISTS (
                    SELECT FROM llm.calls WHERE calls.key = wanted.key AND output IS NOT NULL
                )
                ORDER BY key
                ON CONFLICT (key) DO UPDATE SET owner = excluded.owner
                WHERE held.owner = excluded.owner
                   OR held.owner NOT IN (SELECT owner FROM llm.live_owners)
                RETURNING key
                """,
                {"owner": self._owner, "keys": list(keys)},
                binary=True,
            ).fetchall()
        )
        return {bytes(row[0]) for row in rows}

    def recording(
        self,
        records: Sequence[Record],
        quarantined: Sequence[tuple[str, str, bytes]],
        spent_on: date,
        spent_krw: float,
    ) -> dict[str, Any]:
        """Arguments of `RECORD`: commit a group of results, what they cost, give their claims back.

        Args:
            records: At most one a key.
            quarantined: (item id, reason, key) of items set aside.
            spent_on: Day whose budget the cost is charged to.
            spent_krw: Won paid since the last group, wasted calls included.
        """
        of = self._provenance
        set_aside = {item: (item, reason, key.hex()) for item, reason, key in quarantined}
        rows = json.dumps(
            [
                [
                    record.key.hex(),
                    record.call_id,
                    record.output,
                    record.error,
                    record.input_tokens,
                    record.output_tokens,
                    record.cost_krw,
                    record.cost_usd,
                    record.latency_seconds,
                    record.attempts,
                    record.masked,
                ]
                for record in sorted(records, key=lambda record: record.key)
            ],
            ensure_ascii=False,
        )
        return {
            "rows": rows,
            "task": of.task,
            "prompt_version": f"{of.prompt_version}+{of.digest[:12]}",
            "provider": of.provider,
            "model": of.model,
            "parameters": Jsonb(dict(of.parameters)),
            "price_table": self._price_table,
            "is_made_up": of.is_made_up,
            "partition": of.partition,
            "quarantined": json.dumps(sorted(set_aside.values()), ensure_ascii=False),
            "domain": of.task.partition(".")[0],
            "spent_on": spent_on,
            "spent_krw": spent_krw,
            "keys": [record.key for record in records],
            "owner": self._owner,
        }

    def record(
        self,
        records: Sequence[Record],
        quarantined: Sequence[tuple[str, str, bytes]],
        spent_on: date,
        spent_krw: float,
    ) -> None:
        """Commit what `recording` says."""
        arguments = self.recording(records, quarantined, spent_on, spent_krw)
        self._session.run(lambda connection: connection.execute(RECORD, arguments, prepare=True))

    def give_back(self, keys: Collection[bytes]) -> None:
        """Give back claims on keys that are not going to be asked about."""
        self._session.run(
            lambda connection: connection.execute(
                "DELETE FROM llm.claims WHERE key = ANY(%s) AND owner = %s",
                (list(keys), self._owner),
            )
        )

    def release(self) -> None:
        """Give back whatever is still claimed."""
        self._session.run(
            lambda connection: connection.execute(
                "DELETE FROM llm.claims WHERE owner = %s", (self._owner,)
            )
        )


# One statement, so that a commit takes one journey to the database and back: until it has come
# back, its calls hold their places.
RECORD: LiteralString = """
    WITH given_back AS (
        DELETE FROM llm.claims WHERE key = ANY(%(keys)s) AND owner = %(owner)s
    ), set_aside AS (
        INSERT INTO llm.quarantine (task, partition, item_id, reason, key)
        SELECT %(task)s, %(partition)s, q ->> 0, q ->> 1, decode(q ->> 2, 'hex')
        FROM json_array_elements(%(quarantined)s::json) AS q
        ON CONFLICT (task, partition, item_id)
        DO UPDATE SET reason = excluded.reason, key = excluded.key
    ), charged AS (
        INSERT INTO llm.spending AS known
        SELECT %(domain)s, %(spent_on)s, %(spent_krw)s WHERE %(spent_krw)s > 0
        ON CONFLICT (domain, spent_on)
        DO UPDATE SET spent_krw = known.spent_krw + excluded.spent_krw
    )
    INSERT INTO llm.calls AS known (
        key, task, prompt_version, provider, model, parameters, call_id, output, error,
        input_tokens, output_tokens, cost_krw, cost_usd, price_table, latency_seconds, attempts,
        masked, is_made_up, used_by
    )
    SELECT decode(r ->> 0, 'hex'), %(task)s, %(prompt_version)s, %(provider)s, %(model)s,
           %(parameters)s, r ->> 1, (r ->> 2)::jsonb, r ->> 3, (r ->> 4)::bigint, (r ->> 5)::bigint,
           (r ->> 6)::float8, (r ->> 7)::float8, %(price_table)s, (r ->> 8)::float8,
           (r ->> 9)::integer, (r -> 10)::jsonb, %(is_made_up)s, ARRAY[%(partition)s::text]
    FROM json_array_elements(%(rows)s::json) AS r
    ON CONFLICT (key) DO UPDATE SET
        call_id = excluded.call_id,
        output = coalesce(excluded.output, known.output),
        error = CASE WHEN excluded.output IS NULL AND known.output IS NULL THEN excluded.error END,
        input_tokens = known.input_tokens + excluded.input_tokens,
        output_tokens = known.output_tokens + excluded.output_tokens,
        cost_krw = known.cost_krw + excluded.cost_krw,
        cost_usd = known.cost_usd + excluded.cost_usd,
        price_table = excluded.price_table,
        latency_seconds = excluded.latency_seconds,
        attempts = known.attempts + excluded.attempts,
        masked = excluded.masked,
        is_asked_again = false,
        used_by = CASE WHEN %(partition)s = ANY(known.used_by) THEN known.used_by
                       ELSE known.used_by || %(partition)s::text END,
        last_used_at = now()
"""
"""Commits a group of results; its arguments are those of `Ledger.recording`."""


def retire_partition(connection: psycopg.Connection, task: str, partition: str) -> None:
    """Say that a partition is gone, so that what only it used may be pruned when it is old."""
    connection.execute(
        "UPDATE llm.partitions SET is_live = false WHERE task = %s AND partition = %s",
        (task, partition),
    )


def prune(connection: psycopg.Connection, older_than: timedelta, *, dry_run: bool) -> int:
    """Delete answers that nothing has used for a time, never one that a live partition used.

    A partition is live from its first ask until `retire_partition`.

    Returns:
        Answers that were deleted, or that would be.
    """
    with connection.transaction(force_rollback=dry_run):
        deleted = connection.execute(
            """
            DELETE FROM llm.calls
            WHERE last_used_at < now() - %(age)s AND NOT EXISTS (
                SELECT FROM llm.partitions
                WHERE partitions.task = calls.task AND partitions.is_live
                  AND partitions.partition = ANY(calls.used_by)
            )
            """,
            {"age": older_than},
        ).rowcount
        connection.execute("DELETE FROM llm.progress WHERE updated_at < now() - %s", (older_than,))
    return deleted

"""A made-up past: nights of every domain in Dagster's storage, as Dagster itself would leave them.

Written with SQL, since a year of real runs would take an hour; that Dagster's own rows look like
these is what `contract/test_run_history.py` holds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import psycopg

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.deadline_book import note_deadlines

ASSETS: Mapping[str, Sequence[str]] = {
    "chats": ("raw_chats", "classifications", "published_keywords", "report", "report_mail"),
    "fortunes": ("eligible_users", "natal_charts", "daily_fortunes", "published_fortunes"),
    "interventions": ("user_records", "eligible_users", "recommendations", "published_records"),
    "stocks": ("listings", "daily_prices", "valuations"),
    "backups": ("database_backup", "backup_copies"),
}


class MadeUpNights:
    """Writes runs into Dagster's storage.

    Args:
        db: Dagster's database, with its tables.
    """

    def __init__(self, db: PlatformDb) -> None:
        self.db = db

    def nights(
        self, deadlines: Sequence[Deadline], last: date, count: int, *, seconds: float = 240.0
    ) -> None:
        """Good nights of every deadline, half an hour before it.

        Args:
            deadlines: Of each, its job made its domain's assets.
            last: The last day of a deadline.
            count: How many nights.
            seconds: How long each run took.
        """
        with self.db.connect("made up") as connection, connection.transaction():
            for age in reversed(range(count)):
                for deadline in deadlines:
                    due_date = last - timedelta(days=age)
                    day = due_date - timedelta(days=deadline.days_after)
                    # Seoul's times as UTC.
                    due = datetime.combine(due_date, deadline.at, UTC) - timedelta(hours=9)
                    _write_run(
                        connection,
                        deadline.job,
                        deadline.asset.partition("/")[0],
                        day.isoformat(),
                        due - timedelta(minutes=30),
                        seconds + age % 7 * 3,
                    )

    def run(
        self,
        job: str,
        domain: str,
        partition: str,
        at: datetime,
        *,
        status: str = "SUCCESS",
        made: Sequence[str] | None = None,
        seconds: float = 60.0,
        path: str = "",
    ) -> str:
        """One run; return its id. `made` names its assets, all of the domain's by default."""
        with self.db.connect("made up") as connection, connection.transaction():
            return _write_run(
                connection, job, domain, partition, at, seconds, status=status, made=made, path=path
            )


def know_jobs(db: PlatformDb, deadlines: Sequence[Deadline]) -> None:
    """Let the platform know the deadlines and their jobs, as if its daemon had looked."""
    note_deadlines(db, deadlines)
    with db.connect("test") as connection:
        for deadline in deadlines:
            connection.execute(
                "INSERT INTO operations.jobs VALUES (%s, 'A job', 'daily', 'Asia/Seoul')",
                [deadline.job],
            )


def _write_run(
    connection: psycopg.Connection,
    job: str,
    domain: str,
    partition: str,
    at: datetime,
    seconds: float,
    *,
    status: str = "SUCCESS",
    made: Sequence[str] | None = None,
    path: str = "",
) -> str:
    run_id = str(uuid4())
    start = at.timestamp()
    is_over = status in {"SUCCESS", "FAILURE", "CANCELED"}
    connection.execute(
        "INSERT INTO runs (run_id, pipeline_name, status, run_body, partition, create_timestamp,"
        " update_timestamp, start_time, end_time) VALUES (%s, %s, %s, '{}', %s, %s, %s, %s, %s)",
        [
            run_id,
            job,
            status,
            partition,
            at.replace(tzinfo=None),
            at.replace(tzinfo=None),
            None if status == "QUEUED" else start,
            start + seconds if is_over else None,
        ],
    )
    connection.execute(
        "INSERT INTO run_tags (run_id, key, value) VALUES (%s, 'domain', %s)", [run_id, domain]
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, step_key,"
            " asset_key, partition) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            list(
                _events(run_id, domain, partition, at + timedelta(seconds=seconds), made, path=path)
            ),
        )
        cursor.executemany(
            "INSERT INTO asset_keys (asset_key) VALUES (%s) ON CONFLICT DO NOTHING",
            [(json.dumps([domain, name]),) for name in ASSETS.get(domain, ())],
        )
    return run_id


def _events(
    run_id: str,
    domain: str,
    partition: str,
    at: datetime,
    made: Sequence[str] | None,
    *,
    path: str,
) -> Iterator[tuple[object, ...]]:
    time = at.replace(tzinfo=None)
    names = ASSETS.get(domain, ())
    for name in names:
        key = json.dumps([domain, name])
        planned = (run_id, "{}", "ASSET_MATERIALIZATION_PLANNED", time, name, key, partition)
        yield planned
        # What else a step leaves behind.
        for kind in ("STEP_START", "STEP_OUTPUT", "STEP_SUCCESS"):
            yield (run_id, "{}" * 500, kind, time, name, None, None)
        if made is None or name in made:
            event = _materialization(name, path if name == "report" else "")
            yield (run_id, event, "ASSET_MATERIALIZATION", time, name, key, partition)


def _materialization(name: str, path: str) -> str:
    entries = [
        _entry("dagster/row_count", "Int", "value", 2_650 + len(name)),
        _entry("seconds", "Float", "value", 1.5),
        _entry("preview", "Markdown", "md_str", "| a | b |" * 200),
    ]
    if path:
        entries.append(_entry("path", "Path", "path", path))
    specific = {"materialization": {"metadata_entries": entries}}
    return json.dumps({"dagster_event": {"event_specific_data": specific}})


def _entry(label: str, kind: str, attribute: str, value: object) -> dict[str, object]:
    data = {"__class__": f"{kind}MetadataEntryData", attribute: value}
    return {"__class__": "EventMetadataEntry", "label": label, "entry_data": data}

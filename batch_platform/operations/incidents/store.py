"""`IncidentBook`: incidents and their outbox in the platform's database. All SQL of incidents."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, LiteralString
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from batch_platform.core.errors import NotFoundError, StaleVersionError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.incidents.models import (
    CatchUp,
    Change,
    Channel,
    Incident,
    IncidentKind,
    Missed,
    Severity,
    Trouble,
)
from batch_platform.operations.incidents.routes import AlertRoute, require_sense, ways

_COLUMNS = (
    "incident_id, kind, domain, asset, partition, job, causes, advice, run_id, is_made_up,"
    " opened_at, last_seen_at, times_seen, recovered_at, severity, escalated_at, muted_until,"
    " muted_by, check_name"
)


_ROUTE: LiteralString = "domain, least_severity, channel, recipients, from_time, to_time"
_DEFAULT_ZONE = ZoneInfo("Asia/Seoul")
_MUTED = "It was over while it was muted"


class DueMessage:
    """A message of the outbox that is due, held by this process until its block ends.

    Attributes:
        incident: What it is about.
        change: What happened to it.
        channel: Where it goes.
        recipients: Addresses of a mail; those of the settings when there are none.
        send_from: Since when it is tried.
        attempts: How often sending it was tried before.
    """

    def __init__(self, connection: psycopg.Connection[Any], row: Mapping[str, Any]) -> None:
        self._connection = connection
        self.incident = _incident(row)
        self.change = Change(row["change"])
        self.channel = Channel(row["channel"])
        self.recipients: Sequence[str] = row["recipients"]
        self.send_from: datetime = row["send_from"]
        self.attempts: int = row["attempts"]

    def mark_sent(self, at: datetime) -> None:
        """Note that it reached its channel."""
        self._mark("sent_at = %s, last_error = %s", at, None)

    def mark_failed(self, at: datetime, reason: str) -> None:
        """Note why it could not be sent, and that it is tried again at a time."""
        self._mark("next_attempt_at = %s, last_error = %s", at, reason)

    def give_up(self, at: datetime, reason: str) -> None:
        """Note that it is not tried again; it stays in the outbox for all to see."""
        self._mark("given_up_at = %s, last_error = %s", at, reason)

    def _mark(self, assignments: LiteralString, at: datetime, reason: str | None) -> None:
        self._connection.execute(
            f"UPDATE operations.incident_messages SET attempts = attempts + 1, {assignments}"
            " WHERE incident_id = %s AND change = %s AND channel = %s",
            [at, reason, self.incident.incident_id, self.change, self.channel],
        )


class IncidentBook:
    """Opens and closes incidents; a change and the messages about it are one transaction.

    Args:
        db: The platform's database.
        channels: That the settings have an address of; where people are told without routes.
        zone: Of the routes' hours.
    """

    def __init__(
        self,
        db: PlatformDb,
        channels: Sequence[Channel] = (Channel.MAIL,),
        zone: ZoneInfo = _DEFAULT_ZONE,
    ) -> None:
        self._db = db
        self._channels = channels
        self._zone = zone

    def report(self, trouble: Trouble, at: datetime, *, occurrence_id: int | None = None) -> bool:
        """Write down a trouble; tell whether it is a new one, of which people will hear.

        Args:
            trouble: What is wrong.
            at: When it was seen.
            occurrence_id: The occurrence that it is about: it is not reported again.
        """
        with self._db.connect("incidents") as connection, connection.transaction():
            row = connection.execute(
                "INSERT INTO operations.incidents (trouble_key, kind, domain, asset, check_name,"
                " partition, job, causes, advice, run_id, is_made_up, severity, opened_at,"
                " last_seen_at)"
                " VALUES (%(key)s, %(kind)s, %(domain)s, %(asset)s, %(check)s, %(partition)s,"
                " %(job)s, %(causes)s, %(advice)s, %(run_id)s, %(is_made_up)s, %(severity)s,"
                " %(at)s, %(at)s)"
                " ON CONFLICT (trouble_key) WHERE recovered_at IS NULL DO UPDATE"
                " SET last_seen_at = excluded.last_seen_at, run_id = excluded.run_id,"
                " times_seen = incidents.times_seen + 1, causes = excluded.causes"
                # The same run, told of again after a crash of the teller, is not a second time.
                " WHERE incidents.run_id IS DISTINCT FROM excluded.run_id"
                " RETURNING incident_id, times_seen",
                {
                    "key": trouble.key,
                    "kind": trouble.kind,
                    "domain": trouble.domain,
                    "asset": trouble.asset,
                    "check": trouble.check,
                    "partition": trouble.partition,
                    "job": trouble.job,
                    "causes": list(trouble.causes),
                    "advice": list(trouble.advice),
                    "run_id": trouble.run_id,
                    "is_made_up": trouble.is_made_up,
                    "severity": trouble.first_severity,
                    "at": at,
                },
            ).fetchone()
            is_new = row is not None and row[1] == 1
            if row is not None and is_new:
                self._write_messages(connection, row[0], Change.OPENED, at)
            if occurrence_id is not None:
                connection.execute(
                    "UPDATE operations.occurrences SET incident_at = %s WHERE occurrence_id = %s",
                    [at, occurrence_id],
                )
            return is_new

    def tell_caught_up(self, catch_up_id: int, trouble: Trouble, at: datetime) -> bool:
        """Write the one message about a time of being down; tell whether it was not written yet."""
        with self._db.connect("incidents") as connection, connection.transaction():
            row = connection.execute(
                "UPDATE operations.catch_ups SET told_at = %s"
                " WHERE catch_up_id = %s AND told_at IS NULL RETURNING down_from",
                [at, catch_up_id],
            ).fetchone()
            if row is None:
                return False
            incident = connection.execute(
                "INSERT INTO operations.incidents (trouble_key, kind, domain, asset, partition,"
                " job, causes, advice, is_made_up, severity, opened_at, last_seen_at, recovered_at)"
                " VALUES (%s, %s, '', '', '', '', %s, %s, %s, %s, %s, %s, %s)"
                " RETURNING incident_id",
                [
                    f"{trouble.key} {catch_up_id}", trouble.kind, list(trouble.causes),
                    list(trouble.advice), trouble.is_made_up, trouble.first_severity,
                    row[0], at, at,
                ],
            ).fetchone()  # fmt: skip
            assert incident is not None  # noqa: S101 - RETURNING gives one
            self._write_messages(connection, incident[0], Change.OPENED, at)
            return True

    def missed(self, since: datetime) -> list[Missed]:
        """Times since then for which no run could be launched and no incident was opened."""
        with self._db.connect("incidents") as connection:
            rows = connection.execute(
                "SELECT occurrence_id, coalesce(name, ''), occurrences.job, partition, due_at,"
                " reason FROM operations.occurrences"
                " LEFT JOIN operations.schedules USING (schedule_id)"
                " WHERE status = 'failed' AND run_id IS NULL AND incident_at IS NULL"
                " AND ended_at >= %s ORDER BY due_at, occurrence_id",
                [since],
            )
            return [Missed(*row) for row in rows]

    def catch_ups_to_tell(self) -> list[CatchUp]:
        """Times of being down that are made up for and of which nobody was told."""
        with self._db.connect("incidents") as connection:
            rows = connection.execute(
                "SELECT catch_up_id, down_from, back_at, ended_at FROM operations.catch_ups"
                " WHERE ended_at IS NOT NULL AND told_at IS NULL ORDER BY catch_up_id"
            ).fetchall()
            outcomes = connection.execute(
                "SELECT catch_up_id, name, partition, status FROM operations.occurrences"
                " JOIN operations.schedules USING (schedule_id) WHERE catch_up_id = ANY(%s)"
                " ORDER BY name, due_at",
                [[row[0] for row in rows]],
            ).fetchall()
        return [
            replace(CatchUp(*row), outcomes=[each[1:] for each in outcomes if each[0] == row[0]])
            for row in rows
        ]

    def catch_ups_since(self, since: datetime) -> list[CatchUp]:
        """Times of being down that ended since then or are made up for; without outcomes."""
        with self._db.connect("incidents") as connection:
            rows = connection.execute(
                "SELECT catch_up_id, down_from, back_at, ended_at FROM operations.catch_ups"
                " WHERE ended_at IS NULL OR back_at >= %s",
                [since],
            )
            return [CatchUp(*row) for row in rows]

    def recover(self, incident_id: int, at: datetime) -> bool:
        """Close an incident; tell whether it was open."""
        with self._db.connect("incidents") as connection, connection.transaction():
            row = connection.execute(
                "UPDATE operations.incidents SET recovered_at = %s"
                " WHERE incident_id = %s AND recovered_at IS NULL"
                " RETURNING coalesce(muted_until > %s, false)",
                [at, incident_id, at],
            ).fetchone()
            if row == (False,):
                self._write_messages(connection, incident_id, Change.RECOVERED, at)
            elif row is not None:
                connection.execute(
                    "UPDATE operations.incident_messages SET given_up_at = %s, last_error = %s"
                    " WHERE incident_id = %s AND sent_at IS NULL AND given_up_at IS NULL",
                    [at, _MUTED, incident_id],
                )
            return row is not None

    def escalate(self, at: datetime, after: timedelta) -> int:
        """Tell once more, as critical, of what matters and has been open for long.

        Args:
            at: The present.
            after: How long.

        Returns:
            How many.
        """
        with self._db.connect("incidents") as connection, connection.transaction():
            rows = connection.execute(
                "UPDATE operations.incidents SET escalated_at = %(at)s, severity = 'critical'"
                " WHERE recovered_at IS NULL AND escalated_at IS NULL"
                " AND severity IN ('error', 'critical') AND opened_at <= %(before)s"
                " AND (muted_until IS NULL OR muted_until <= %(at)s) RETURNING incident_id",
                {"at": at, "before": at - after},
            ).fetchall()
            for (incident_id,) in rows:
                self._write_messages(connection, incident_id, Change.ESCALATED, at)
            return len(rows)

    def mute(self, incident_id: int, until: datetime | None, *, muted_by: str) -> None:
        """Tell nobody of an open incident until a time; None ends that.

        Raises:
            NotFoundError: There is no such open incident.
        """
        with self._db.connect("incidents") as connection:
            row = connection.execute(
                "UPDATE operations.incidents SET muted_until = %s, muted_by = %s"
                " WHERE incident_id = %s AND recovered_at IS NULL RETURNING incident_id",
                [until, muted_by, incident_id],
            ).fetchone()
        if row is None:
            raise NotFoundError(
                f"There is no open incident {incident_id}", "batch-platform alerts list"
            )

    def open_incidents(self) -> list[Incident]:
        """What is wrong now, the oldest first."""
        with self._db.connect("incidents") as connection:
            rows = connection.cursor(row_factory=dict_row).execute(
                f"SELECT {_COLUMNS} FROM operations.incidents"
                " WHERE recovered_at IS NULL ORDER BY opened_at"
            )
            return [_incident(row) for row in rows]

    def muted_incidents(self, now: datetime) -> list[Incident]:
        """Open incidents of which nobody is told now, the oldest first."""
        return [
            each
            for each in self.open_incidents()
            if each.muted_until is not None and each.muted_until > now
        ]

    @contextmanager
    def due_message(self, now: datetime) -> Generator[DueMessage | None]:
        """Hold the oldest message that is due while the block sends it; None when there is none.

        Another sender takes another message. After an error in the block it is due as before.
        """
        with (
            self._db.connect("outbox") as connection,
            connection.transaction(),
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            row = cursor.execute(
                f"SELECT change, channel, recipients, send_from, attempts, {_COLUMNS}"
                " FROM operations.incident_messages JOIN operations.incidents USING (incident_id)"
                " WHERE sent_at IS NULL AND given_up_at IS NULL AND next_attempt_at <= %(now)s"
                " AND (muted_until IS NULL OR muted_until <= %(now)s)"
                " ORDER BY written_at, incident_id, change, channel LIMIT 1"
                " FOR UPDATE OF incident_messages SKIP LOCKED",
                {"now": now},
            ).fetchone()
            yield DueMessage(connection, row) if row else None

    def unsent_count(self) -> int:
        """Messages that could not be sent so far, or were given up."""
        ((count,),) = self._db.fetch_all(
            "SELECT count(*) FROM operations.incident_messages"
            " WHERE sent_at IS NULL AND attempts > 0"
        )
        return count

    def unsent(self) -> list[tuple[Channel, int, str]]:
        """(channel, messages that could not be sent so far or were given up, the last reason)."""
        rows = self._db.fetch_all(
            "SELECT channel, count(*), (array_agg(last_error ORDER BY written_at DESC))[1]"
            " FROM operations.incident_messages WHERE sent_at IS NULL AND attempts > 0"
            " GROUP BY channel ORDER BY channel"
        )
        return [(Channel(channel), count, reason or "") for channel, count, reason in rows]

    def routes(self) -> list[AlertRoute]:
        """Every route, in the order in which they were made."""
        with self._db.connect("alert routes") as connection:
            return _routes(connection)

    def add_route(self, route: AlertRoute, at: datetime, *, changed_by: str) -> AlertRoute:
        """Add a route; from now on messages go only where routes say.

        Raises:
            PermanentError: A value makes no sense.
        """
        require_sense(route)
        with self._db.connect("alert routes") as connection:
            row = connection.execute(
                "INSERT INTO operations.alert_routes"
                f" ({_ROUTE}, changed_by, changed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
                " RETURNING route_id, version",
                [*_route_values(route), changed_by, at],
            ).fetchone()
        assert row is not None  # noqa: S101 - RETURNING gives one
        return replace(route, route_id=row[0], version=row[1])

    def route(self, route_id: int) -> AlertRoute:
        """The route of a number.

        Raises:
            NotFoundError: There is none.
        """
        with self._db.connect("alert routes") as connection:
            return _existing(connection, route_id)

    def edit_route(
        self, route: AlertRoute, at: datetime, *, changed_by: str, version: int | None = None
    ) -> AlertRoute:
        """Put a route in place of the one of its number.

        Args:
            route: What it is from now on.
            at: The present.
            changed_by: Who says so.
            version: The one that the change is based on; None when any will do.

        Raises:
            NotFoundError: There is none.
            StaleVersionError: It was changed meanwhile.
            PermanentError: A value makes no sense.
        """
        require_sense(route)
        with self._db.connect("alert routes") as connection, connection.transaction():
            _require_version(connection, route.route_id, version)
            row = connection.execute(
                f"UPDATE operations.alert_routes SET ({_ROUTE}, changed_by, changed_at, version)"
                " = ROW (%s, %s, %s, %s, %s, %s, %s, %s, version + 1) WHERE route_id = %s"
                " RETURNING version",
                [*_route_values(route), changed_by, at, route.route_id],
            ).fetchone()
        assert row is not None  # noqa: S101 - it is locked
        return replace(route, version=row[0])

    def delete_route(self, route_id: int, *, version: int | None = None) -> None:
        """Remove a route; the arguments are those of `edit_route`.

        Raises:
            NotFoundError: There is none.
            StaleVersionError: It was changed meanwhile.
        """
        with self._db.connect("alert routes") as connection, connection.transaction():
            _require_version(connection, route_id, version)
            connection.execute(
                "DELETE FROM operations.alert_routes WHERE route_id = %s", [route_id]
            )

    def _write_messages(
        self,
        connection: psycopg.Connection[Any],
        incident_id: int,
        change: Change,
        at: datetime,
    ) -> None:
        row = connection.execute(
            "SELECT domain, severity FROM operations.incidents WHERE incident_id = %s",
            [incident_id],
        ).fetchone()
        assert row is not None  # noqa: S101 - it was written in this transaction
        found = ways(
            _routes(connection), self._channels,
            domain=row[0], severity=Severity(row[1]), now=at, zone=self._zone,
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO operations.incident_messages (incident_id, change, channel,"
                " recipients, written_at, send_from, next_attempt_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [
                    (incident_id, change, way.channel, list(way.recipients), at, way.send_from,
                     way.send_from)
                    for way in found
                ],
            )  # fmt: skip


def _routes(connection: psycopg.Connection[Any]) -> list[AlertRoute]:
    rows = connection.execute(
        f"SELECT route_id, version, {_ROUTE} FROM operations.alert_routes ORDER BY route_id"
    )
    return [_route(row) for row in rows]


def _existing(
    connection: psycopg.Connection[Any], route_id: int, *, for_update: bool = False
) -> AlertRoute:
    row = connection.execute(
        f"SELECT route_id, version, {_ROUTE} FROM operations.alert_routes WHERE route_id = %s"
        + (" FOR UPDATE" if for_update else ""),
        [route_id],
    ).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no alert route {route_id}", "List them to see which there are"
        )
    return _route(row)


def _require_version(
    connection: psycopg.Connection[Any], route_id: int, version: int | None
) -> None:
    """Lock a route, and refuse a change that is based on an older one."""
    found = _existing(connection, route_id, for_update=True)
    if version is not None and version != found.version:
        raise StaleVersionError(
            f"The alert route {route_id} was changed meanwhile: it is version {found.version},"
            f" not {version}",
            "Read it again, then change it",
        )


def _route(row: Sequence[Any]) -> AlertRoute:
    route_id, version, domain, severity, channel, recipients, from_time, to_time = row
    return AlertRoute(
        route_id=route_id,
        version=version,
        domain=domain,
        least_severity=Severity(severity),
        channel=Channel(channel),
        recipients=tuple(recipients),
        from_time=from_time,
        to_time=to_time,
    )


def _route_values(route: AlertRoute) -> list[Any]:
    return [
        route.domain, route.least_severity, route.channel, list(route.recipients),
        route.from_time, route.to_time,
    ]  # fmt: skip


def _incident(row: Mapping[str, Any]) -> Incident:
    return Incident(
        incident_id=row["incident_id"],
        trouble=Trouble(
            kind=IncidentKind(row["kind"]),
            domain=row["domain"],
            asset=row["asset"],
            partition=row["partition"],
            job=row["job"],
            causes=row["causes"],
            advice=row["advice"],
            run_id=row["run_id"],
            is_made_up=row["is_made_up"],
            check=row["check_name"],
        ),
        opened_at=row["opened_at"],
        last_seen_at=row["last_seen_at"],
        times_seen=row["times_seen"],
        recovered_at=row["recovered_at"],
        severity=Severity(row["severity"]),
        escalated_at=row["escalated_at"],
        muted_until=row["muted_until"],
        muted_by=row["muted_by"],
    )

"""The deadlines in force as rows, for those who cannot ask the domains: they would need Dagster."""

from collections.abc import Sequence

import psycopg

from batch_platform.core.deadlines import Deadline
from batch_platform.gateways.platform_db import PlatformDb


def note_deadlines(db: PlatformDb, deadlines: Sequence[Deadline]) -> None:
    """Put these in place of all deadlines that were noted, if they differ."""
    with db.connect("deadlines") as connection, connection.transaction():
        if set(noted_deadlines(connection)) == set(deadlines):
            return
        connection.execute("LOCK operations.deadlines IN SHARE ROW EXCLUSIVE MODE")
        connection.execute("DELETE FROM operations.deadlines")
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO operations.deadlines (asset, due_time, days_after, first_day, job)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    (each.asset, each.at, each.days_after, each.first_day, each.job)
                    for each in deadlines
                ],
            )


def deadlines_noted(db: PlatformDb) -> list[Deadline]:
    """The same for who has no connection yet."""
    with db.connect("deadlines") as connection:
        return noted_deadlines(connection)


def noted_deadlines(connection: psycopg.Connection) -> list[Deadline]:
    """The deadlines that were noted last, by asset."""
    rows = connection.execute(
        "SELECT asset, due_time, days_after, first_day, job FROM operations.deadlines"
        ' ORDER BY asset COLLATE "C"'
    )
    return [Deadline(*row) for row in rows]

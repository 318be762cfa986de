"""SQL of the backups domain on the platform's database: history, and copies of tables.

What a restore needs is in the backup's folder (`folder`), not here.
"""

from collections.abc import Sequence
from datetime import date, datetime

from batch_platform.domains.backups.models import Manifest, Verification
from batch_platform.gateways.platform_db import PlatformDb


class BackupStore:
    """Reads and writes the tables of the schema `backups`."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def add(self, manifest: Manifest, manifest_sha256: str) -> None:
        """Remember a backup."""
        tables = [table for database in manifest.databases for table in database.tables]
        with self._db.connect("backups") as connection:
            connection.execute(
                "INSERT INTO backups.backups (backup_id, kind, day, parent_id, started_at, seconds,"
                " size_bytes, database_bytes, table_count, row_count, manifest_sha256, is_made_up)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (backup_id) DO NOTHING",
                [
                    manifest.backup_id,
                    manifest.kind.value,
                    manifest.day,
                    manifest.parent_id,
                    manifest.started_at,
                    manifest.seconds,
                    manifest.size_bytes,
                    sum(database.database_bytes for database in manifest.databases),
                    len(tables) or len({each.table for each in manifest.changed}),
                    manifest.row_count,
                    manifest_sha256,
                    manifest.is_made_up,
                ],
            )

    def add_verification(
        self, manifest: Manifest, manifest_sha256: str, verification: Verification
    ) -> None:
        """Remember what a check found, also of a backup that was made elsewhere."""
        self.add(manifest, manifest_sha256)
        with self._db.connect("backups") as connection:
            connection.execute(
                "INSERT INTO backups.verifications"
                " (backup_id, verified_at, method, is_good, problems, seconds)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    verification.backup_id,
                    verification.verified_at,
                    verification.method,
                    verification.is_good,
                    list(verification.problems),
                    verification.seconds,
                ],
            )

    def newest_of_day(self, day: date, kinds: Sequence[str]) -> str | None:
        """Id of the newest backup of a day that was not removed."""
        rows = self._db.fetch_all(
            "SELECT backup_id FROM backups.backups"
            " WHERE day = %s AND kind = ANY(%s) AND removed_at IS NULL"
            " ORDER BY started_at DESC LIMIT 1",
            [day, list(kinds)],
        )
        return rows[0][0] if rows else None

    def mark_removed(self, backup_ids: Sequence[str], at: datetime) -> None:
        """Remember that backups' files are gone."""
        with self._db.connect("backups") as connection:
            connection.execute(
                "UPDATE backups.backups SET removed_at = %s WHERE backup_id = ANY(%s)",
                [at, list(backup_ids)],
            )

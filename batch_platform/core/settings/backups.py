"""What is backed up, where to and for how long."""

from pathlib import Path

from batch_platform.core.settings.section import Section, variable


class BackupsSettings(Section):
    """Backups of databases, and snapshots of tables."""

    folder: Path | None = variable(
        "BACKUP_FOLDER", None, "Folder of the backups; <home>/backups by default"
    )

"""Backups that are known to restore: dumps, incremental backups, snapshots of tables."""

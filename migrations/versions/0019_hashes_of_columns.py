"""Snapshots are counted by the hashes of their columns."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE backups.table_snapshots
            DROP CONSTRAINT table_snapshots_method_check,
            ADD CONSTRAINT table_snapshots_method_check
                CHECK (method IN ('columns', 'record', 'text'));
    """)

"""What is known of backups, restores and snapshots; which partitions were overwritten."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("CREATE SCHEMA backups")


def downgrade() -> None:
    op.execute("DROP SCHEMA backups CASCADE")

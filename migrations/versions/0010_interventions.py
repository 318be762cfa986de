"""The interventions' tables: records as read, recommendations."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("CREATE SCHEMA interventions")


def downgrade() -> None:
    op.execute("DROP SCHEMA interventions CASCADE")

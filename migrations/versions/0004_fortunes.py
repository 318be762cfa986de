"""The fortunes' tables: users as read, natal charts, fortunes."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("CREATE SCHEMA fortunes")


def downgrade() -> None:
    op.execute("DROP SCHEMA fortunes CASCADE")

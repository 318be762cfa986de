"""The stocks' tables: listings, prices, corporate actions, trading days."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("CREATE SCHEMA stocks")


def downgrade() -> None:
    op.execute("DROP SCHEMA stocks CASCADE")

"""The API's tokens, its audit and its idempotency keys."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("CREATE SCHEMA api")


def downgrade() -> None:
    op.execute("DROP SCHEMA api CASCADE")

"""What every domain shares: the schema `operations`."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA operations;

        CREATE TABLE operations.sent_mails (
            message_id text PRIMARY KEY,
            asset      text NOT NULL,
            partition  text NOT NULL,
            recipients text[] NOT NULL,
            subject    text NOT NULL,
            sent_at    timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE operations.sent_mails IS
            'One row per mail that a server accepted: the same content is not sent twice';
        CREATE INDEX ON operations.sent_mails (asset, partition);
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA operations CASCADE")

"""Which days' work was told to a dead man's switch."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE operations.heartbeats (
            due_date date PRIMARY KEY,
            tried_at timestamptz NOT NULL,
            told_at  timestamptz
        );
        COMMENT ON TABLE operations.heartbeats IS
            'One row per day whose work was all there, when HEARTBEAT_URL was to hear of it';
        COMMENT ON COLUMN operations.heartbeats.due_date IS 'The day of the deadlines';
        COMMENT ON COLUMN operations.heartbeats.told_at IS 'Empty while nobody has answered there';
    """)

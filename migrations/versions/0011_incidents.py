"""Incidents: what went wrong and is not right yet, and the messages about them."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE operations.incidents (
            incident_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            trouble_key  text NOT NULL,
            kind         text NOT NULL CHECK (kind IN ('failed', 'late')),
            domain       text NOT NULL,
            asset        text NOT NULL,
            partition    text NOT NULL,
            job          text NOT NULL,
            causes       text[] NOT NULL,
            advice       text[] NOT NULL,
            run_id       text,
            is_made_up   boolean NOT NULL,
            opened_at    timestamptz NOT NULL,
            last_seen_at timestamptz NOT NULL,
            times_seen   integer NOT NULL DEFAULT 1,
            recovered_at timestamptz
        );
        COMMENT ON TABLE operations.incidents IS
            'One row per trouble from its first sign to its recovery';
        COMMENT ON COLUMN operations.incidents.trouble_key IS
            'What makes it this trouble: seen again while it is open, it is the same incident';
        CREATE UNIQUE INDEX incidents_open ON operations.incidents (trouble_key)
            WHERE recovered_at IS NULL;
        CREATE INDEX ON operations.incidents (opened_at);

        CREATE TABLE operations.incident_messages (
            incident_id     bigint NOT NULL REFERENCES operations.incidents ON DELETE CASCADE,
            change          text NOT NULL CHECK (change IN ('opened', 'recovered')),
            channel         text NOT NULL CHECK (channel IN ('mail', 'webhook')),
            written_at      timestamptz NOT NULL,
            next_attempt_at timestamptz NOT NULL,
            attempts        integer NOT NULL DEFAULT 0,
            sent_at         timestamptz,
            given_up_at     timestamptz,
            last_error      text,
            PRIMARY KEY (incident_id, change, channel)
        );
        COMMENT ON TABLE operations.incident_messages IS
            'The outbox: one message per change of state and channel, written with the change';
        CREATE INDEX incident_messages_due ON operations.incident_messages (next_attempt_at)
            WHERE sent_at IS NULL AND given_up_at IS NULL;
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE operations.incident_messages;
        DROP TABLE operations.incidents;
    """)

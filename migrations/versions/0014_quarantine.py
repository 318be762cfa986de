"""Sign-ins to the pages, the deadlines in force, and what was set aside."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE api.sessions (
            session_hash bytea PRIMARY KEY CHECK (octet_length(session_hash) = 32),
            token_id     text NOT NULL REFERENCES api.tokens,
            created_at   timestamptz NOT NULL DEFAULT now(),
            expires_at   timestamptz NOT NULL,
            ended_at     timestamptz
        );
        COMMENT ON TABLE api.sessions IS
            'One row per sign-in to the pages; it holds no longer than its token does';
        COMMENT ON COLUMN api.sessions.session_hash IS
            'SHA-256 of the cookie: 256 random bits need no slow hash';
        CREATE INDEX ON api.sessions (expires_at);

        CREATE TABLE operations.deadlines (
            asset      text PRIMARY KEY,
            due_time   time NOT NULL,
            days_after integer NOT NULL,
            first_day  date,
            job        text NOT NULL
        );
        COMMENT ON TABLE operations.deadlines IS
            'One row per deadline in force, noted by who knows the domains for those who do not';
        COMMENT ON COLUMN operations.deadlines.due_time IS 'In ORG_TIMEZONE';
        COMMENT ON COLUMN operations.deadlines.days_after IS
            'From the partition''s day to the deadline''s; negative for what is made ahead';
        COMMENT ON COLUMN operations.deadlines.first_day IS
            'The first partition that is expected; NULL: the first one that was ever made';
        COMMENT ON COLUMN operations.deadlines.job IS 'What makes it; empty when nobody said';

        ALTER TABLE llm.quarantine ADD COLUMN key bytea;
        COMMENT ON COLUMN llm.quarantine.key IS
            'Of llm.calls, where the answers that could not be used are; NULL: it was never asked';

        ALTER TABLE llm.calls ADD COLUMN is_asked_again boolean NOT NULL DEFAULT false;
        COMMENT ON COLUMN llm.calls.is_asked_again IS
            'Somebody wants one more try of a text whose answers could not be used';

        CREATE TABLE llm.discarded (
            task         text NOT NULL,
            partition    text NOT NULL,
            item_id      text NOT NULL,
            reason       text NOT NULL CHECK (reason <> ''),
            discarded_by text NOT NULL,
            discarded_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (task, partition, item_id)
        );
        COMMENT ON TABLE llm.discarded IS
            'Items of the quarantine that a person looked at and gave up, and why';
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE llm.discarded;
        ALTER TABLE llm.calls DROP COLUMN is_asked_again;
        ALTER TABLE llm.quarantine DROP COLUMN key;
        DROP TABLE operations.deadlines;
        DROP TABLE api.sessions;
    """)

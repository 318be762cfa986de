"""The API's tokens and its audit."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA api;

        CREATE TABLE api.tokens (
            token_id     text PRIMARY KEY,
            name         text NOT NULL,
            scope        text NOT NULL CHECK (scope IN ('viewer', 'operator', 'admin')),
            secret_hash  bytea NOT NULL,
            created_at   timestamptz NOT NULL DEFAULT now(),
            expires_at   timestamptz,
            revoked_at   timestamptz,
            last_used_at timestamptz
        );
        COMMENT ON TABLE api.tokens IS
            'One row per token that was ever made; who has one may use the API';
        COMMENT ON COLUMN api.tokens.token_id IS 'The part of the token that is no secret';
        COMMENT ON COLUMN api.tokens.secret_hash IS
            'SHA-256 of the whole token: 256 random bits need no slow hash';
        COMMENT ON COLUMN api.tokens.last_used_at IS 'To within a minute';
        CREATE UNIQUE INDEX ON api.tokens (name) WHERE revoked_at IS NULL;

        CREATE TABLE api.audit (
            audit_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            token_id   text NOT NULL,
            token_name text NOT NULL,
            method     text NOT NULL,
            path       text NOT NULL,
            outcome    smallint,
            begun_at   timestamptz NOT NULL DEFAULT now(),
            ended_at   timestamptz
        );
        COMMENT ON TABLE api.audit IS
            'One row per request that would change something, written before it is carried out';
        COMMENT ON COLUMN api.audit.outcome IS
            'HTTP status of the answer; NULL when the API ended before it had one';
        CREATE INDEX ON api.audit (begun_at);
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA api CASCADE")

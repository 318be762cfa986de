"""The API's tokens, its audit and what was asked to run."""

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

        CREATE TABLE api.run_requests (
            request_id   uuid PRIMARY KEY,
            job          text NOT NULL,
            partitions   text[] NOT NULL,
            content_hash text NOT NULL,
            requested_by text NOT NULL,
            requested_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE api.run_requests IS 'One row per accepted request to run a job';
        COMMENT ON COLUMN api.run_requests.request_id IS
            'Made from token and Idempotency-Key where there is one: asking twice is one request';
        COMMENT ON COLUMN api.run_requests.content_hash IS
            'Of what was asked: the same key with another content is refused';
        CREATE INDEX ON api.run_requests (requested_at);
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA api CASCADE")

"""Tables of the model engine, in the schema `llm`: ledger, pace, budget, progress, quarantine."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA llm;

        CREATE TABLE llm.calls (
            key             bytea PRIMARY KEY CHECK (octet_length(key) = 32),
            task            text NOT NULL,
            domain          text NOT NULL GENERATED ALWAYS AS (split_part(task, '.', 1)) STORED,
            prompt_version  text NOT NULL,
            provider        text NOT NULL,
            model           text NOT NULL,
            parameters      jsonb NOT NULL,
            call_id         text NOT NULL,
            output          jsonb,
            error           text,
            input_tokens    bigint NOT NULL,
            output_tokens   bigint NOT NULL,
            cost_krw        double precision NOT NULL,
            cost_usd        double precision NOT NULL,
            price_table     text NOT NULL,
            latency_seconds double precision NOT NULL,
            attempts        integer NOT NULL,
            masked          jsonb NOT NULL,
            is_made_up      boolean NOT NULL,
            used_by         text[] NOT NULL,
            created_at      timestamptz NOT NULL DEFAULT now(),
            last_used_at    timestamptz NOT NULL DEFAULT now(),
            CHECK ((output IS NULL) = (error IS NOT NULL))
        );
        CREATE INDEX calls_last_used_at ON llm.calls (last_used_at);
        CREATE INDEX calls_created_at ON llm.calls (created_at);
        COMMENT ON TABLE llm.calls IS
            'One row per text that a model was asked about: the answer, or why there is none';
        COMMENT ON COLUMN llm.calls.key IS
            'SHA-256 of task, prompt version, instructions, schema, model, parameters, masked text';
        COMMENT ON COLUMN llm.calls.call_id IS
            'The provider''s id of the completion that answered; items of one call share it';
        COMMENT ON COLUMN llm.calls.input_tokens IS
            'The item''s share of its calls'' tokens, wasted calls included; so are all costs';
        COMMENT ON COLUMN llm.calls.used_by IS 'Partitions whose materialization used the answer';

        CREATE TABLE llm.partitions (
            task       text NOT NULL,
            partition  text NOT NULL,
            is_live    boolean NOT NULL DEFAULT true,
            asked_at   timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (task, partition)
        );
        COMMENT ON TABLE llm.partitions IS
            'Who used the ledger; what a live partition used is never pruned';

        CREATE VIEW llm.live_owners AS
            SELECT (classid::bigint << 32) | objid::bigint AS owner FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
        COMMENT ON VIEW llm.live_owners IS
            'Numbers whose session-level advisory lock is held: asks whose process is alive';

        CREATE UNLOGGED TABLE llm.claims (
            key   bytea PRIMARY KEY,
            owner bigint NOT NULL
        );
        COMMENT ON TABLE llm.claims IS
            'Texts being asked about now; a claim counts while its owner holds its advisory lock';

        CREATE TABLE llm.pace (
            limit_key  text PRIMARY KEY,
            state      jsonb NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE llm.pace IS 'One row per provider: when its next request may leave';

        CREATE TABLE llm.spending (
            domain    text NOT NULL,
            spent_on  date NOT NULL,
            spent_krw double precision NOT NULL,
            PRIMARY KEY (domain, spent_on)
        );
        CREATE UNLOGGED TABLE llm.reservations (
            owner        bigint NOT NULL,
            domain       text NOT NULL,
            spent_on     date NOT NULL,
            reserved_krw double precision NOT NULL,
            PRIMARY KEY (owner, domain, spent_on)
        );
        COMMENT ON TABLE llm.reservations IS
            'Won set aside for calls in flight; a reservation counts while its owner is alive';

        CREATE TABLE llm.progress (
            ask_id       text PRIMARY KEY,
            task         text NOT NULL,
            partition    text NOT NULL,
            state        text NOT NULL CHECK (state IN ('running', 'finished', 'stopped')),
            done         bigint NOT NULL,
            failed       bigint NOT NULL,
            remaining    bigint,
            rate         double precision NOT NULL,
            seconds_left double precision,
            cost_krw     double precision NOT NULL,
            problem      text,
            started_at   timestamptz NOT NULL DEFAULT now(),
            updated_at   timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX progress_updated_at ON llm.progress (updated_at);
        COMMENT ON TABLE llm.progress IS 'One row per ask, written at most once a second';

        CREATE TABLE llm.quarantine (
            task           text NOT NULL,
            partition      text NOT NULL,
            item_id        text NOT NULL,
            reason         text NOT NULL,
            quarantined_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (task, partition, item_id)
        );
        COMMENT ON TABLE llm.quarantine IS
            'Items that the last ask of a partition set aside, without personal data';

        CREATE VIEW llm.cost_by_day AS
            SELECT (created_at AT TIME ZONE 'Asia/Seoul')::date AS spent_on, is_made_up,
                   count(*) AS items, sum(input_tokens) AS input_tokens,
                   sum(output_tokens) AS output_tokens,
                   sum(cost_krw) AS cost_krw, sum(cost_usd) AS cost_usd
            FROM llm.calls GROUP BY 1, 2;
        CREATE VIEW llm.cost_by_domain AS
            SELECT domain, task, is_made_up, count(*) AS items,
                   count(*) FILTER (WHERE output IS NULL) AS failed_items,
                   sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
                   sum(cost_krw) AS cost_krw, sum(cost_usd) AS cost_usd
            FROM llm.calls GROUP BY 1, 2, 3;
        CREATE VIEW llm.cost_by_model AS
            SELECT provider, model, price_table, is_made_up, count(*) AS items,
                   sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
                   sum(cost_krw) AS cost_krw, sum(cost_usd) AS cost_usd
            FROM llm.calls GROUP BY 1, 2, 3, 4;
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA llm CASCADE")

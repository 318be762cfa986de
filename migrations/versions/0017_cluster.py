"""Steps that workers execute, and the parts that a partition's asking is cut into."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE operations.worker_steps (
            task_id    text PRIMARY KEY,
            run_id     text NOT NULL,
            step_key   text NOT NULL,
            worker     text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE operations.worker_steps IS
            'One row per step that a worker took from the queue; kept for a week';
        COMMENT ON COLUMN operations.worker_steps.task_id IS
            'The message''s key: one that the broker delivers twice is executed once';

        CREATE TABLE operations.asked_chunks (
            run_id        text NOT NULL,
            asset         text NOT NULL,
            partition     text NOT NULL,
            chunk         integer NOT NULL,
            asked         bigint NOT NULL,
            calls         bigint NOT NULL,
            retries       bigint NOT NULL,
            refusals      bigint NOT NULL,
            input_tokens  bigint NOT NULL,
            output_tokens bigint NOT NULL,
            cost_krw      double precision NOT NULL,
            ended_at      timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (run_id, asset, partition, chunk)
        );
        COMMENT ON TABLE operations.asked_chunks IS
            'One row per part of a partition that a step of its own asked about, and what that took;
             kept for a week. The step that writes the partition adds them up';

        ALTER TABLE operations.step_progress ADD COLUMN part text NOT NULL DEFAULT '',
            DROP CONSTRAINT step_progress_pkey,
            ADD PRIMARY KEY (run_id, asset, part);
        COMMENT ON COLUMN operations.step_progress.part IS
            'Which part of the partition; empty when it is not cut into parts';
    """)


def downgrade() -> None:
    op.execute("""
        DELETE FROM operations.step_progress WHERE part <> '';
        ALTER TABLE operations.step_progress DROP CONSTRAINT step_progress_pkey,
            DROP COLUMN part, ADD PRIMARY KEY (run_id, asset);
        DROP TABLE operations.asked_chunks, operations.worker_steps;
    """)

"""Occurrences of every schedule, and what was made up for after the platform had been down."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE operations.schedules ADD COLUMN is_declared boolean NOT NULL DEFAULT false;
        COMMENT ON COLUMN operations.schedules.is_declared IS
            'Declared in code: its dispatcher keeps the row as the code says, but for "missed",'
            ' which people may change';
        COMMENT ON COLUMN operations.schedules.cron IS
            'One or more cron strings, divided by |';

        CREATE TABLE operations.catch_ups (
            catch_up_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            down_from   timestamptz NOT NULL,
            back_at     timestamptz NOT NULL,
            ended_at    timestamptz,
            told_at     timestamptz,
            CHECK (down_from <= back_at)
        );
        COMMENT ON TABLE operations.catch_ups IS
            'One row per time that the platform was down and missed something';
        COMMENT ON COLUMN operations.catch_ups.ended_at IS
            'When the last of what it missed had ended, well or not';
        COMMENT ON COLUMN operations.catch_ups.told_at IS
            'When the one message about all of it was written';
        CREATE UNIQUE INDEX catch_up_going_on ON operations.catch_ups ((ended_at IS NULL))
            WHERE ended_at IS NULL;

        ALTER TABLE operations.occurrences
            ADD COLUMN tags jsonb NOT NULL DEFAULT '{}',
            ADD COLUMN catch_up_id bigint REFERENCES operations.catch_ups,
            ADD COLUMN incident_at timestamptz;
        COMMENT ON COLUMN operations.occurrences.tags IS
            'Of the run, as a schedule declared in code asked for them';
        COMMENT ON COLUMN operations.occurrences.catch_up_id IS
            'The time of being down that it was missed in';
        COMMENT ON COLUMN operations.occurrences.incident_at IS
            'When an incident was opened because it failed without a run';
        CREATE INDEX ON operations.occurrences (catch_up_id) WHERE catch_up_id IS NOT NULL;
        CREATE INDEX ON operations.occurrences (ended_at)
            WHERE status = 'failed' AND run_id IS NULL AND incident_at IS NULL;

        ALTER TABLE operations.incidents DROP CONSTRAINT incidents_kind_check;
        ALTER TABLE operations.incidents ADD CONSTRAINT incidents_kind_check CHECK
            (kind IN ('failed', 'late', 'missed', 'caught_up', 'stalled', 'at_risk'));
    """)


def downgrade() -> None:
    op.execute("""
        DELETE FROM operations.incidents WHERE kind NOT IN ('failed', 'late');
        ALTER TABLE operations.incidents DROP CONSTRAINT incidents_kind_check;
        ALTER TABLE operations.incidents ADD CONSTRAINT incidents_kind_check CHECK
            (kind IN ('failed', 'late'));
        ALTER TABLE operations.occurrences
            DROP COLUMN tags, DROP COLUMN catch_up_id, DROP COLUMN incident_at;
        DROP TABLE operations.catch_ups;
        ALTER TABLE operations.schedules DROP COLUMN is_declared;
    """)

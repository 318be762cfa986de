"""Schedules in a table and their occurrences."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE operations.jobs (
            job         text PRIMARY KEY,
            description text NOT NULL,
            partitions  text NOT NULL CHECK (partitions IN ('none', 'daily', 'monthly', 'other')),
            timezone    text NOT NULL
        );
        COMMENT ON TABLE operations.jobs IS
            'One row per job of the code location, noted by its dispatcher for those who know no'
            ' Dagster: what a schedule may name';

        CREATE TABLE operations.schedules (
            schedule_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name           text NOT NULL CHECK (name <> ''),
            job            text NOT NULL,
            frequency      text NOT NULL
                           CHECK (frequency IN ('daily', 'weekly', 'monthly', 'cron')),
            hour           smallint NOT NULL CHECK (hour BETWEEN 0 AND 23),
            minute         smallint NOT NULL CHECK (minute BETWEEN 0 AND 59),
            weekday        smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
            day            smallint NOT NULL CHECK (day BETWEEN 1 AND 31),
            cron           text NOT NULL CHECK ((frequency = 'cron') = (cron <> '')),
            timezone       text NOT NULL,
            is_active      boolean NOT NULL,
            missed         text NOT NULL CHECK (missed IN ('all', 'latest', 'skip')),
            partition_rule text NOT NULL,
            run_config     jsonb NOT NULL,
            version        integer NOT NULL,
            next_due_at    timestamptz,
            created_at     timestamptz NOT NULL,
            updated_at     timestamptz NOT NULL,
            deleted_at     timestamptz,
            CHECK (next_due_at IS NULL OR (is_active AND deleted_at IS NULL))
        );
        COMMENT ON TABLE operations.schedules IS
            'One row per schedule that people manage while everything runs; deleted ones stay';
        COMMENT ON COLUMN operations.schedules.weekday IS '1 Monday … 7 Sunday; weekly only';
        COMMENT ON COLUMN operations.schedules.day IS
            'Monthly only; in a shorter month its last day';
        COMMENT ON COLUMN operations.schedules.missed IS
            'What becomes of the times at which the platform was down';
        COMMENT ON COLUMN operations.schedules.next_due_at IS
            'First time of which no occurrence was noted yet; NULL when it is never due again';
        CREATE UNIQUE INDEX ON operations.schedules (name) WHERE deleted_at IS NULL;
        CREATE INDEX ON operations.schedules (next_due_at) WHERE next_due_at IS NOT NULL;

        CREATE TABLE operations.schedule_changes (
            schedule_id bigint NOT NULL REFERENCES operations.schedules,
            version     integer NOT NULL,
            action      text NOT NULL
                        CHECK (action IN ('added', 'edited', 'paused', 'resumed', 'deleted')),
            changed_by  text NOT NULL,
            changed_at  timestamptz NOT NULL,
            spec        jsonb NOT NULL,
            PRIMARY KEY (schedule_id, version)
        );
        COMMENT ON TABLE operations.schedule_changes IS
            'One row per change of a schedule, with what the schedule was after it';

        CREATE TABLE operations.occurrences (
            occurrence_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            schedule_id      bigint REFERENCES operations.schedules,
            schedule_version integer,
            request_key      text,
            request_hash     text,
            requested_by     text NOT NULL DEFAULT '',
            job              text NOT NULL,
            partition        text NOT NULL,
            run_config       jsonb NOT NULL,
            due_at           timestamptz NOT NULL,
            is_missed        boolean NOT NULL,
            status           text NOT NULL CHECK (status IN
                             ('due', 'launching', 'launched', 'succeeded', 'failed', 'skipped')),
            reason           text NOT NULL DEFAULT '',
            run_id           text,
            noted_at         timestamptz NOT NULL,
            leased_at        timestamptz,
            launched_at      timestamptz,
            ended_at         timestamptz,
            UNIQUE (schedule_id, due_at),
            UNIQUE (request_key, partition),
            CHECK ((schedule_id IS NULL) = (request_key IS NOT NULL)),
            CHECK ((schedule_id IS NULL) = (schedule_version IS NULL)),
            CHECK ((request_key IS NULL) = (request_hash IS NULL)),
            CHECK (status NOT IN ('launched', 'succeeded') OR run_id IS NOT NULL),
            CHECK ((status IN ('failed', 'skipped')) = (reason <> ''))
        );
        COMMENT ON TABLE operations.occurrences IS
            'One row per time that a job was to run: by a schedule, or because somebody asked';
        COMMENT ON COLUMN operations.occurrences.due_at IS
            'Unique per schedule whatever its version: an edit cannot fire a time again';
        COMMENT ON COLUMN operations.occurrences.partition IS 'Empty: the job has no partitions';
        COMMENT ON COLUMN operations.occurrences.is_missed IS
            'The platform was down at that time; the schedule''s policy decided';
        COMMENT ON COLUMN operations.occurrences.status IS
            'due: to be launched; launching: a dispatcher asked Dagster for the run; launched: the'
            ' run is in Dagster''s queue or goes on; then how it ended';
        COMMENT ON COLUMN operations.occurrences.run_id IS
            'The one run that may execute it, set when it is enqueued; a re-execution takes over';
        COMMENT ON COLUMN operations.occurrences.leased_at IS
            'When a dispatcher last asked for the run: nobody asks again for a minute';
        CREATE INDEX ON operations.occurrences (due_at, occurrence_id)
            WHERE status IN ('due', 'launching', 'launched');
        CREATE INDEX ON operations.occurrences (due_at);
        CREATE INDEX ON operations.occurrences (run_id) WHERE run_id IS NOT NULL;

        CREATE TABLE operations.dispatcher (
            is_the_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_the_only_row),
            caught_up_at    timestamptz NOT NULL
        );
        COMMENT ON TABLE operations.dispatcher IS
            'Until when every due time was noted: a gap to the present is a time of being down';
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE operations.dispatcher, operations.occurrences, operations.schedule_changes,
            operations.schedules, operations.jobs
    """)

"""Routes of messages, mutes and escalation; deadlines that people edit; how far steps are."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE operations.alert_routes (
            route_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            domain         text NOT NULL,
            least_severity text NOT NULL
                           CHECK (least_severity IN ('info', 'warning', 'error', 'critical')),
            channel        text NOT NULL CHECK (channel IN ('mail', 'slack', 'discord')),
            recipients     text[] NOT NULL CHECK (recipients = '{}' OR channel = 'mail'),
            from_time      time,
            to_time        time,
            changed_by     text NOT NULL,
            changed_at     timestamptz NOT NULL,
            CHECK ((from_time IS NULL) = (to_time IS NULL)),
            CHECK (from_time <> to_time)
        );
        COMMENT ON TABLE operations.alert_routes IS
            'One row per way that messages about incidents go; without any, all go everywhere';
        COMMENT ON COLUMN operations.alert_routes.domain IS 'Empty: every domain';
        COMMENT ON COLUMN operations.alert_routes.recipients IS
            'Mail only; empty: those of the settings. Addresses of chats are secrets, so settings';
        COMMENT ON COLUMN operations.alert_routes.from_time IS
            'In the platform''s zone; before it messages wait. It may be later than to_time';

        ALTER TABLE operations.incidents
            ADD COLUMN severity text NOT NULL DEFAULT 'error'
                CHECK (severity IN ('info', 'warning', 'error', 'critical')),
            ADD COLUMN escalated_at timestamptz,
            ADD COLUMN muted_until timestamptz,
            ADD COLUMN muted_by text NOT NULL DEFAULT '';
        COMMENT ON COLUMN operations.incidents.muted_until IS
            'Until then nobody is told of it; whatever comes of it can be seen all the same';

        ALTER TABLE operations.incident_messages
            DROP CONSTRAINT incident_messages_change_check,
            DROP CONSTRAINT incident_messages_channel_check,
            ADD COLUMN recipients text[] NOT NULL DEFAULT '{}',
            ADD COLUMN send_from timestamptz;
        UPDATE operations.incident_messages
            SET send_from = written_at,
                channel = CASE channel WHEN 'webhook' THEN 'slack' ELSE channel END;
        ALTER TABLE operations.incident_messages
            ALTER COLUMN send_from SET NOT NULL,
            ADD CHECK (change IN ('opened', 'escalated', 'recovered')),
            ADD CHECK (channel IN ('mail', 'slack', 'discord'));
        COMMENT ON COLUMN operations.incident_messages.recipients IS
            'Mail only; empty: those of the settings';
        COMMENT ON COLUMN operations.incident_messages.send_from IS
            'Not before, by the hours of its route; it is tried for a day from then on';

        CREATE TABLE operations.deadline_changes (
            asset      text PRIMARY KEY,
            at         time,
            days_after integer,
            changed_by text NOT NULL,
            changed_at timestamptz NOT NULL,
            CHECK ((at IS NULL) = (days_after IS NULL))
        );
        COMMENT ON TABLE operations.deadline_changes IS
            'One row per deadline that people set in place of the one in code; NULL: none';

        CREATE TABLE operations.step_progress (
            run_id     text NOT NULL,
            asset      text NOT NULL,
            partition  text NOT NULL,
            done       bigint NOT NULL,
            total      bigint NOT NULL,
            began_at   timestamptz NOT NULL,
            told_at    timestamptz NOT NULL,
            PRIMARY KEY (run_id, asset)
        );
        COMMENT ON TABLE operations.step_progress IS
            'One row per step that goes on and how far it is; gone soon after it has ended';
        COMMENT ON COLUMN operations.step_progress.began_at IS
            'When the first of this run''s were done: the rate counts from there';
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE operations.step_progress, operations.deadline_changes;
        DELETE FROM operations.incident_messages
            WHERE change = 'escalated' OR channel = 'discord';
        ALTER TABLE operations.incident_messages
            DROP CONSTRAINT incident_messages_change_check,
            DROP CONSTRAINT incident_messages_channel_check,
            DROP COLUMN recipients, DROP COLUMN send_from;
        UPDATE operations.incident_messages SET channel = 'webhook' WHERE channel = 'slack';
        ALTER TABLE operations.incident_messages
            ADD CHECK (change IN ('opened', 'recovered')),
            ADD CHECK (channel IN ('mail', 'webhook'));
        ALTER TABLE operations.incidents
            DROP COLUMN severity, DROP COLUMN escalated_at, DROP COLUMN muted_until,
            DROP COLUMN muted_by;
        DROP TABLE operations.alert_routes;
    """)

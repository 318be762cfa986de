"""Versions of alert routes; incidents of checks and of budgets."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE operations.alert_routes ADD COLUMN version integer NOT NULL DEFAULT 1;
        COMMENT ON COLUMN operations.alert_routes.version IS
            'Grows with each change, so that no change by another person is lost';

        ALTER TABLE operations.incidents
            ADD COLUMN check_name text NOT NULL DEFAULT '',
            DROP CONSTRAINT incidents_kind_check,
            ADD CONSTRAINT incidents_kind_check CHECK (kind IN ('failed', 'late', 'missed',
                'caught_up', 'stalled', 'at_risk', 'budget_passed', 'check_failed'));
        COMMENT ON COLUMN operations.incidents.check_name IS
            'The check of the asset that failed; empty for troubles of another kind';
    """)


def downgrade() -> None:
    op.execute("""
        DELETE FROM operations.incidents WHERE kind IN ('budget_passed', 'check_failed');
        ALTER TABLE operations.incidents
            DROP COLUMN check_name,
            DROP CONSTRAINT incidents_kind_check,
            ADD CONSTRAINT incidents_kind_check CHECK (kind IN ('failed', 'late', 'missed',
                'caught_up', 'stalled', 'at_risk'));
        ALTER TABLE operations.alert_routes DROP COLUMN version;
    """)

"""The interventions' tables: records as read, who is advised, what was advised.

A day's recommendations are kept by `gubun` (all, sleep, food): each is a run of its own.
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA interventions;

        CREATE TABLE interventions.user_records (
            record_date     date NOT NULL,
            user_id         text COLLATE "C" NOT NULL,
            has_profile     boolean NOT NULL,
            allergies       jsonb NOT NULL,
            food_preference text,
            height_cm       double precision,
            weight_kg       double precision,
            foods           jsonb NOT NULL,
            has_exercise    boolean NOT NULL,
            target_steps    bigint,
            current_steps   bigint,
            sleep_minutes   bigint,
            problem         text,
            is_made_up      boolean NOT NULL,
            PRIMARY KEY (record_date, user_id)
        );
        COMMENT ON TABLE interventions.user_records IS
            'One row per user known to the source that day: profile, food, exercise and sleep';
        COMMENT ON COLUMN interventions.user_records.foods IS
            'List of {meal, name, amount_g, energy_kcal, allergens}; empty without a food record';
        COMMENT ON COLUMN interventions.user_records.problem IS
            'Why no food can be named safely to this user, without personal data';

        CREATE TABLE interventions.eligible_users (
            record_date date NOT NULL,
            gubun       text NOT NULL CHECK (gubun IN ('all', 'sleep', 'food')),
            user_id     text COLLATE "C" NOT NULL,
            state       text NOT NULL CHECK (state IN (
                            'eligible', 'no_food_record', 'no_exercise_record',
                            'no_food_and_exercise_record', 'has_record', 'no_active_schedule',
                            'not_asked')),
            is_made_up  boolean NOT NULL,
            PRIMARY KEY (record_date, gubun, user_id)
        );
        COMMENT ON TABLE interventions.eligible_users IS
            'One row per user, day and gubun: eligible, or why the user is left out';
        COMMENT ON COLUMN interventions.eligible_users.state IS
            'not_asked: the last run was for one other user alone';

        CREATE TABLE interventions.recommendations (
            record_date             date NOT NULL,
            gubun                   text NOT NULL CHECK (gubun IN ('all', 'sleep', 'food')),
            user_id                 text COLLATE "C" NOT NULL,
            target_date             date NOT NULL,
            written_by              text CHECK (written_by IN ('model', 'rule')),
            reason                  text NOT NULL,
            version                 text NOT NULL,
            diet_evaluation         text,
            diet_target             json,
            food_evaluation         text,
            sleep_evaluation        text,
            sleep_target            text,
            exercise_evaluation     text,
            exercise_target         text,
            processing_time         double precision NOT NULL,
            error_message           text,
            input                   json NOT NULL,
            output                  json,
            is_made_up              boolean NOT NULL,
            PRIMARY KEY (record_date, gubun, user_id),
            CHECK (target_date = record_date + 1),
            CHECK ((error_message IS NULL) = (written_by IS NOT NULL)),
            CHECK ((error_message IS NULL) = (output IS NOT NULL))
        );
        COMMENT ON TABLE interventions.recommendations IS
            'One row per user, day and gubun: a recommendation, or an error that is tried again';
        COMMENT ON COLUMN interventions.recommendations.reason IS
            'Why rules wrote it; empty when the model did';
        COMMENT ON COLUMN interventions.recommendations.version IS
            'Model and prompt''s version, or the rules'' version';
        COMMENT ON COLUMN interventions.recommendations.processing_time IS
            'Seconds from handing the user over (waiting in line counts) to the answer';
        COMMENT ON COLUMN interventions.recommendations.input IS
            'What was sent: no name and no key of the user is in it';
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA interventions CASCADE")

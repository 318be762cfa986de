"""The fortunes' tables: users as read, natal charts, fortunes."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA fortunes;

        CREATE TABLE fortunes.readings (
            for_date           date PRIMARY KEY,
            source_rows        bigint NOT NULL,
            eligible_rows      bigint NOT NULL,
            inactive_rows      bigint NOT NULL,
            undated_rows       bigint NOT NULL,
            unborn_rows        bigint NOT NULL,
            unreadable_rows    bigint NOT NULL,
            unknown_hour_rows  bigint NOT NULL,
            is_made_up         boolean NOT NULL,
            read_at            timestamptz NOT NULL
        );
        COMMENT ON TABLE fortunes.readings IS
            'One row per day that fortunes are for: the app''s users, and why some get none';
        COMMENT ON COLUMN fortunes.readings.undated_rows IS 'Active users without a birth date';
        COMMENT ON COLUMN fortunes.readings.unborn_rows IS
            'Active users whose birth date is not before the day';
        COMMENT ON COLUMN fortunes.readings.unreadable_rows IS
            'Active users whose birth date is no date, or before 1900';

        CREATE TABLE fortunes.eligible_users (
            for_date   date NOT NULL,
            user_id    text COLLATE "C" NOT NULL,
            birth_date date NOT NULL,
            birth_time time,
            is_male    boolean,
            time_zone  text NOT NULL,
            is_made_up boolean NOT NULL,
            PRIMARY KEY (for_date, user_id)
        );
        COMMENT ON TABLE fortunes.eligible_users IS
            'One row per day that fortunes are for and user who gets one';
        COMMENT ON COLUMN fortunes.eligible_users.birth_time IS
            'Local clock time in Korea, summer time as it was; NULL when unknown';

        CREATE TABLE fortunes.natal_charts (
            user_id          text COLLATE "C" PRIMARY KEY,
            birth_date       date NOT NULL,
            birth_time       time,
            is_male          boolean,
            year_pillar      smallint NOT NULL CHECK (year_pillar BETWEEN 0 AND 59),
            month_pillar     smallint NOT NULL CHECK (month_pillar BETWEEN 0 AND 59),
            day_pillar       smallint NOT NULL CHECK (day_pillar BETWEEN 0 AND 59),
            hour_pillar      smallint CHECK (hour_pillar BETWEEN 0 AND 59),
            is_term_day      boolean NOT NULL,
            luck_direction   smallint CHECK (luck_direction IN (-1, 1)),
            luck_start_years double precision,
            ruleset          text NOT NULL,
            is_made_up       boolean NOT NULL,
            computed_at      timestamptz NOT NULL,
            CHECK ((birth_time IS NULL) = (hour_pillar IS NULL)),
            CHECK ((luck_direction IS NULL) = (luck_start_years IS NULL))
        );
        COMMENT ON TABLE fortunes.natal_charts IS
            'One row per person: the four pillars (0 is 갑자), computed once by a rule set';
        COMMENT ON COLUMN fortunes.natal_charts.is_term_day IS
            'Born on the day of a solar term that turns a pillar, so the hour matters';
        COMMENT ON COLUMN fortunes.natal_charts.luck_start_years IS
            'Age at which the first ten-year pillar (대운) begins';

        CREATE TABLE fortunes.daily_fortunes (
            for_date      date NOT NULL,
            user_id       text COLLATE "C" NOT NULL,
            status        text NOT NULL CHECK (status IN ('completed', 'failed')),
            gapja_code    smallint NOT NULL CHECK (gapja_code BETWEEN 0 AND 59),
            gapja_name    text NOT NULL,
            gapja_element text NOT NULL,
            fortune_data  jsonb,
            fortune_score jsonb NOT NULL,
            time_zone     text NOT NULL,
            reason        text,
            attempts      integer NOT NULL,
            next_retry_at timestamptz,
            model         text NOT NULL,
            is_made_up    boolean NOT NULL,
            generated_at  timestamptz NOT NULL,
            PRIMARY KEY (for_date, user_id),
            CHECK ((status = 'completed') = (fortune_data IS NOT NULL)),
            CHECK ((status = 'failed') = (reason IS NOT NULL)),
            CHECK (status = 'failed' OR next_retry_at IS NULL)
        );
        COMMENT ON TABLE fortunes.daily_fortunes IS
            'One row per day and eligible user: a fortune, or why there is none';
        COMMENT ON COLUMN fortunes.daily_fortunes.gapja_code IS 'The day''s pillar; 0 is 갑자';
        COMMENT ON COLUMN fortunes.daily_fortunes.attempts IS
            'Runs that asked about the user without a usable answer';
        COMMENT ON COLUMN fortunes.daily_fortunes.next_retry_at IS
            'From when a run asks again; NULL when nobody will';
        CREATE INDEX ON fortunes.daily_fortunes (next_retry_at) WHERE status = 'failed';
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA fortunes CASCADE")

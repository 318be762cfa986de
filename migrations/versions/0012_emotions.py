"""Emotions: posts, provider batches, analyses and their history."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA emotions;

        CREATE TABLE emotions.posts (
            post_date   date NOT NULL,
            post_key    text NOT NULL,
            post_id     text NOT NULL,
            comment_id  text,
            kind        text NOT NULL,
            title       text NOT NULL,
            content     text NOT NULL,
            depth       integer,
            views       bigint,
            likes       bigint,
            is_made_up  boolean NOT NULL,
            PRIMARY KEY (post_date, post_key)
        );
        CREATE INDEX ON emotions.posts (post_key, post_date);
        COMMENT ON TABLE emotions.posts IS 'One row per post or comment, as the source had it';
        COMMENT ON COLUMN emotions.posts.post_key IS
            'post_id, an underscore, and comment_id or 0: names the post everywhere';

        CREATE TABLE emotions.batches (
            batch_key         text PRIMARY KEY,
            mode              text NOT NULL
                              CHECK (mode IN ('code_check', 'pilot', 'sampling', 'full')),
            is_direct         boolean NOT NULL,
            provider          text NOT NULL,
            model             text NOT NULL,
            prompt_version    text NOT NULL,
            seed              bigint NOT NULL,
            confidence_level  double precision NOT NULL,
            margin_of_error   double precision NOT NULL,
            first_date        date,
            last_date         date,
            like_batch        text,
            posts_read        bigint NOT NULL DEFAULT 0,
            population        bigint NOT NULL DEFAULT 0,
            corrected_size    bigint,
            lines             bigint NOT NULL DEFAULT 0,
            estimated_input_tokens   bigint NOT NULL DEFAULT 0,
            estimated_output_tokens  bigint NOT NULL DEFAULT 0,
            estimated_krw            double precision NOT NULL DEFAULT 0,
            estimated_direct_krw     double precision NOT NULL DEFAULT 0,
            problem           text,
            registered_at     timestamptz NOT NULL,
            chosen_at         timestamptz,
            cancelled_at      timestamptz,
            finished_at       timestamptz,
            work_requested_at timestamptz,
            work_requests     integer NOT NULL DEFAULT 0,
            is_made_up        boolean NOT NULL
        );
        CREATE INDEX batches_open ON emotions.batches (registered_at) WHERE finished_at IS NULL;
        COMMENT ON TABLE emotions.batches IS
            'One row per batch somebody asked for: what was chosen, how, and what it should cost';
        COMMENT ON COLUMN emotions.batches.population IS
            'Posts that could be chosen: those read without what is left out';
        COMMENT ON COLUMN emotions.batches.corrected_size IS
            'Sample size that would do with the finite population correction';
        COMMENT ON COLUMN emotions.batches.lines IS
            'Distinct texts that no answer was known for: what is sent';
        COMMENT ON COLUMN emotions.batches.work_requested_at IS
            'When the sensor last launched a run for it';

        CREATE TABLE emotions.batch_jobs (
            run_key             text PRIMARY KEY,
            batch_key           text NOT NULL REFERENCES emotions.batches ON DELETE CASCADE,
            round               integer NOT NULL,
            chunk               integer NOT NULL,
            provider            text NOT NULL,
            model               text NOT NULL,
            state               text CHECK (state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED',
                                                      'CANCELLED', 'EXPIRED')),
            requests            bigint NOT NULL,
            requests_completed  bigint NOT NULL DEFAULT 0,
            requests_failed     bigint NOT NULL DEFAULT 0,
            file_bytes          bigint NOT NULL,
            file_ref            text,
            job_name            text UNIQUE,
            error               text,
            is_permanent_failure boolean NOT NULL DEFAULT false,
            prepared_at         timestamptz NOT NULL,
            create_started_at   timestamptz,
            created_at          timestamptz,
            next_poll_at        timestamptz,
            polled_at           timestamptz,
            cancel_requested_at timestamptz,
            ended_at            timestamptz,
            collected_at        timestamptz,
            input_tokens        bigint NOT NULL DEFAULT 0,
            output_tokens       bigint NOT NULL DEFAULT 0,
            cost_krw            double precision NOT NULL DEFAULT 0,
            is_made_up          boolean NOT NULL,
            UNIQUE (batch_key, round, chunk),
            CHECK ((job_name IS NULL) = (state IS NULL))
        );
        CREATE INDEX batch_jobs_open ON emotions.batch_jobs (next_poll_at)
            WHERE collected_at IS NULL;
        COMMENT ON TABLE emotions.batch_jobs IS
            'One row per job at the provider, written before anything is sent';
        COMMENT ON COLUMN emotions.batch_jobs.run_key IS
            'Our name of the job, which it carries at the provider: by it a job is found again';
        COMMENT ON COLUMN emotions.batch_jobs.state IS
            'The provider''s; NULL until the job is known to be there';
        COMMENT ON COLUMN emotions.batch_jobs.create_started_at IS
            'When the provider was last asked to make it: it may be there though nobody heard so';
        COMMENT ON COLUMN emotions.batch_jobs.collected_at IS
            'When its last line was read and everything of it stored';

        CREATE TABLE emotions.batch_requests (
            batch_key   text NOT NULL REFERENCES emotions.batches ON DELETE CASCADE,
            post_key    text NOT NULL,
            post_date   date NOT NULL,
            custom_id   text NOT NULL,
            asked_as    text,
            model       text NOT NULL,
            kind        text NOT NULL,
            state       text NOT NULL CHECK (state IN ('left_out', 'waiting', 'sent', 'answered',
                                                       'quarantined', 'cancelled')),
            reason      text,
            text        text,
            ledger_key  bytea,
            run_key     text REFERENCES emotions.batch_jobs,
            raw_line    text,
            is_open     boolean GENERATED ALWAYS AS (state IN ('waiting', 'sent')) STORED,
            is_made_up  boolean NOT NULL,
            PRIMARY KEY (batch_key, post_key),
            CHECK (state = 'left_out' OR (text IS NOT NULL AND ledger_key IS NOT NULL
                                          AND asked_as IS NOT NULL)),
            CHECK (state <> 'sent' OR run_key IS NOT NULL)
        );
        CREATE UNIQUE INDEX batch_requests_in_flight ON emotions.batch_requests (post_key, model)
            WHERE is_open;
        CREATE INDEX ON emotions.batch_requests (batch_key, asked_as);
        CREATE INDEX ON emotions.batch_requests (run_key) WHERE run_key IS NOT NULL;
        COMMENT ON TABLE emotions.batch_requests IS
            'One row per post of a batch: chosen, or left out for a reason';
        COMMENT ON COLUMN emotions.batch_requests.custom_id IS
            'Names the post at the provider; never a row number';
        COMMENT ON COLUMN emotions.batch_requests.asked_as IS
            'custom_id of the post with the same text that is sent for all that share it';
        COMMENT ON COLUMN emotions.batch_requests.text IS 'As it is sent: personal data masked';
        COMMENT ON COLUMN emotions.batch_requests.ledger_key IS 'Where its answer is in llm.calls';
        COMMENT ON COLUMN emotions.batch_requests.raw_line IS
            'What the provider answered, for what is quarantined';
        COMMENT ON INDEX emotions.batch_requests_in_flight IS
            'No post is in flight twice for one model, whoever submits it';

        CREATE TABLE emotions.analyses (
            batch_key        text NOT NULL,
            post_key         text NOT NULL,
            post_id          text NOT NULL,
            comment_id       text,
            post_date        date NOT NULL,
            kind             text NOT NULL,
            text             text NOT NULL,
            dominant_emotion text NOT NULL,
            complex_emotion  text NOT NULL,
            joy              double precision NOT NULL,
            trust            double precision NOT NULL,
            fear             double precision NOT NULL,
            surprise         double precision NOT NULL,
            sadness          double precision NOT NULL,
            disgust          double precision NOT NULL,
            anger            double precision NOT NULL,
            anticipation     double precision NOT NULL,
            pleasure         double precision NOT NULL,
            arousal          double precision NOT NULL,
            dominance        double precision NOT NULL,
            emotion_scores_reason  text NOT NULL,
            pad_reason             text NOT NULL,
            complex_emotion_reason text NOT NULL,
            model_used       text NOT NULL,
            prompt_version   text NOT NULL,
            analysed_at      timestamptz NOT NULL,
            is_made_up       boolean NOT NULL,
            PRIMARY KEY (batch_key, post_key)
        );
        COMMENT ON TABLE emotions.analyses IS
            'One row per analysed post of a batch: eight emotions 0 to 1, PAD -1 to 1';

        CREATE TABLE emotions.history (
            batch_key        text NOT NULL,
            id               text NOT NULL,
            post_id          text NOT NULL,
            comment_id       text,
            analysis_date    timestamptz NOT NULL,
            analysis_type    text NOT NULL,
            model_used       text NOT NULL,
            dominant_emotion text NOT NULL,
            analysis_file    text NOT NULL,
            is_made_up       boolean NOT NULL,
            PRIMARY KEY (batch_key, id)
        );
        CREATE INDEX ON emotions.history (id, model_used, analysis_date);
        COMMENT ON TABLE emotions.history IS
            'One row per analysis of a post: by it a post is left out that was analysed lately';
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA emotions CASCADE")

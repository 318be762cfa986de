"""Tables of the chats domain, in the schema `chats`.

A day is replaced whole, so every primary key begins with the day.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA chats;

        CREATE TABLE chats.raw_chats (
            chat_date   date NOT NULL,
            chatting_pk text COLLATE "C" NOT NULL,
            input_text  text NOT NULL,
            created_at  timestamptz NOT NULL,
            PRIMARY KEY (chat_date, chatting_pk)
        );
        COMMENT ON TABLE chats.raw_chats IS 'One row per chat of the source, as it was written';

        CREATE TABLE chats.extractions (
            chat_date    date PRIMARY KEY,
            source_rows  bigint NOT NULL,
            landed_rows  bigint NOT NULL,
            blank_rows   bigint NOT NULL,
            mended_rows  bigint NOT NULL,
            undated_rows bigint NOT NULL,
            warnings     text[] NOT NULL DEFAULT '{}',
            is_made_up   boolean NOT NULL,
            extracted_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE chats.extractions IS
            'One row per day: what the source held and what landed';

        CREATE TABLE chats.questions (
            chat_date         date NOT NULL,
            question_id       text COLLATE "C" NOT NULL,
            question          text NOT NULL,
            query_count       bigint NOT NULL CHECK (query_count > 0),
            asked_at          timestamptz NOT NULL,
            state             text NOT NULL CHECK (state IN ('classified', 'quarantined')),
            final_category_id integer,
            final_category    text,
            reason            text,
            is_made_up        boolean NOT NULL,
            PRIMARY KEY (chat_date, question_id),
            CHECK ((state = 'classified') = (final_category_id IS NOT NULL)),
            CHECK ((state = 'quarantined') = (reason IS NOT NULL))
        );
        COMMENT ON TABLE chats.questions IS
            'One row per distinct question of a day, classified or set aside with its reason';

        CREATE TABLE chats.classifications (
            chat_date     date NOT NULL,
            question_id   text COLLATE "C" NOT NULL,
            keyword       text NOT NULL,
            category_id   integer NOT NULL,
            category_name text NOT NULL,
            question      text NOT NULL,
            query_count   bigint NOT NULL,
            asked_at      timestamptz NOT NULL,
            model         text NOT NULL,
            is_made_up    boolean NOT NULL,
            PRIMARY KEY (chat_date, question_id, keyword, category_id)
        );
        COMMENT ON TABLE chats.classifications IS
            'One row per distinct question of a day, keyword and category the model chose';
    """)


def downgrade() -> None:
    op.execute("DROP SCHEMA chats CASCADE")

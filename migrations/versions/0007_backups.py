"""What is known of backups, restores and snapshots; which partitions were overwritten."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("""
        CREATE SCHEMA backups;

        CREATE TABLE backups.backups (
            backup_id       text PRIMARY KEY,
            kind            text NOT NULL,
            day             date NOT NULL,
            parent_id       text,
            started_at      timestamptz NOT NULL,
            seconds         double precision NOT NULL,
            size_bytes      bigint NOT NULL,
            database_bytes  bigint NOT NULL,
            table_count     integer NOT NULL,
            row_count       bigint NOT NULL,
            manifest_sha256 text NOT NULL,
            is_made_up      boolean NOT NULL,
            removed_at      timestamptz
        );
        COMMENT ON TABLE backups.backups IS
            'One row per backup ever made. History and figures only: a restore needs no row here,'
            ' the manifest in the backup''s folder says everything';
        COMMENT ON COLUMN backups.backups.day IS 'The last day that is whole in it';
        COMMENT ON COLUMN backups.backups.removed_at IS 'When its files were removed';
        CREATE INDEX ON backups.backups (day);

        CREATE TABLE backups.verifications (
            backup_id    text NOT NULL REFERENCES backups.backups ON DELETE CASCADE,
            verified_at  timestamptz NOT NULL,
            method       text NOT NULL CHECK (method IN ('restore', 'read')),
            is_good      boolean NOT NULL,
            problems     text[] NOT NULL,
            seconds      double precision NOT NULL,
            PRIMARY KEY (backup_id, verified_at)
        );
        COMMENT ON TABLE backups.verifications IS 'One row per check of a backup';

        CREATE TABLE backups.table_snapshots (
            snapshot_name text PRIMARY KEY,
            week          date NOT NULL,
            source_schema text NOT NULL,
            source_table  text NOT NULL,
            taken_at      timestamptz NOT NULL,
            row_count     bigint NOT NULL,
            checksum      text NOT NULL,
            method        text NOT NULL CHECK (method IN ('record', 'text')),
            size_bytes    bigint NOT NULL,
            seconds       double precision NOT NULL,
            is_made_up    boolean NOT NULL
        );
        COMMENT ON TABLE backups.table_snapshots IS
            'One row per copy of a table in the schema snapshots';
        COMMENT ON COLUMN backups.table_snapshots.checksum IS
            'Sum of the rows'' 64-bit hashes; method says of what';
        CREATE INDEX ON backups.table_snapshots (week);

        CREATE SCHEMA IF NOT EXISTS snapshots;
        COMMENT ON SCHEMA snapshots IS
            'Copies of tables, {table}_snapshot_{YYYYMMDD_HHMMSS}; not part of dumps';

        CREATE TABLE operations.overwritten_partitions (
            table_name     text NOT NULL,
            partition      jsonb NOT NULL,
            written_by     xid8 NOT NULL,
            overwritten_at timestamptz NOT NULL,
            PRIMARY KEY (table_name, partition)
        );
        COMMENT ON TABLE operations.overwritten_partitions IS
            'One row per partition of a table that was ever overwritten, in the same transaction:'
            ' what changed since a backup';
        COMMENT ON COLUMN operations.overwritten_partitions.partition IS
            'Column → its value''s text; all rows with these values are the partition';
        COMMENT ON COLUMN operations.overwritten_partitions.written_by IS
            'The transaction, to compare with a backup''s pg_snapshot: times cannot tell what a'
            ' snapshot has seen';
    """)


def downgrade() -> None:
    op.execute("""
        DROP TABLE operations.overwritten_partitions;
        DROP SCHEMA backups CASCADE;
    """)
    # Copies that somebody may still need are not dropped with what is known of them.
    op.execute("""
        DO $$ BEGIN
            IF NOT EXISTS (
                SELECT FROM pg_class WHERE relnamespace = 'snapshots'::regnamespace
            ) THEN DROP SCHEMA snapshots; END IF;
        END $$
    """)

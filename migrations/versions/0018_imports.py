"""What was imported from the old systems: imports, their partitions, and whose row is whose.

A row that an import brought carries its number in `import_id`; one that the platform made has none.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

_TABLES = (
    "chats.questions",
    "chats.classifications",
    "fortunes.daily_fortunes",
    "interventions.recommendations",
    "emotions.analyses",
    "emotions.history",
    "stocks.price_days",
    "operations.sent_mails",
)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE operations.imports (
            import_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            system       text NOT NULL,
            sources      text[] NOT NULL,
            imported_by  text NOT NULL,
            refused_rows bigint NOT NULL,
            is_made_up   boolean NOT NULL,
            started_at   timestamptz NOT NULL,
            finished_at  timestamptz,
            undone_at    timestamptz,
            run_id       text
        );
        COMMENT ON TABLE operations.imports IS
            'One row per import of what an old system had done';
        COMMENT ON COLUMN operations.imports.sources IS
            'Files without their folder, or the table that was read';
        COMMENT ON COLUMN operations.imports.finished_at IS
            'NULL: it was ended in between; whole partitions of it stand';
        COMMENT ON COLUMN operations.imports.run_id IS
            'Dagster''s run that holds its materializations: deleted when it is undone';

        CREATE TABLE operations.imported_partitions (
            import_id   bigint NOT NULL REFERENCES operations.imports,
            asset       text NOT NULL,
            partition   text NOT NULL,
            rows        bigint NOT NULL,
            is_complete boolean NOT NULL,
            PRIMARY KEY (import_id, asset, partition)
        );
        COMMENT ON TABLE operations.imported_partitions IS
            'One row per partition that an import wrote, in the transaction that wrote it';
        COMMENT ON COLUMN operations.imported_partitions.is_complete IS
            'Nothing of the partition is left to do: Dagster shows it as made';
    """)
    op.execute("""
        ALTER TABLE interventions.recommendations
            DROP CONSTRAINT recommendations_written_by_check,
            ADD CONSTRAINT recommendations_written_by_check
                CHECK (written_by IN ('model', 'rule', 'import'));
        COMMENT ON COLUMN interventions.recommendations.written_by IS
            'model or rule: made here; import: an old system''s, by whichever of them';
    """)
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN import_id bigint")
        op.execute(
            f"COMMENT ON COLUMN {table}.import_id IS"
            " 'The import in operations.imports that brought the row; NULL: made here'"
        )


def downgrade() -> None:
    op.execute("""
        DELETE FROM interventions.recommendations WHERE written_by = 'import';
        ALTER TABLE interventions.recommendations
            DROP CONSTRAINT recommendations_written_by_check,
            ADD CONSTRAINT recommendations_written_by_check
                CHECK (written_by IN ('model', 'rule'));
    """)
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN import_id")
    op.execute("DROP TABLE operations.imported_partitions, operations.imports")

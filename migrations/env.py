"""Alembic's entry point; run by `gateways.platform_db.migrations`, never by the alembic command."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from batch_platform.gateways.platform_db.migrations import VERSION_TABLE

url = context.config.attributes["url"].replace("postgresql://", "postgresql+psycopg://", 1)
engine = create_engine(url, poolclass=NullPool)
with engine.connect() as connection:
    # No metadata on purpose: SQL is written by hand, autogenerate is never used.
    context.configure(connection=connection, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()

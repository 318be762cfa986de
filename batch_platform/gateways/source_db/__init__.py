"""The organisations' own databases: the one way to read them and to give rows back.

Knows MariaDB/MySQL, PostgreSQL and SQLite, and no domain: tables and columns are handed in. How the
reading was chosen is in `docs/adr/0003-reading-the-sources.md`.
"""

from batch_platform.gateways.source_db.database import SourceDatabase, SourceRows

__all__ = ["SourceDatabase", "SourceRows"]

"""Dagster's own storage, where the platform's settings say. Named in `dagster.yaml`."""

from typing import Any, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from batch_platform.core.settings import load_settings
from batch_platform.gateways.platform_services import dagster_database_url


class PlatformDagsterStorage(DagsterPostgresStorage):
    """dagster-postgres in a database beside the platform's, embedded or yours.

    With it every Dagster process (webserver, daemon, code server, run) finds and if need be starts
    the database by itself: plain `dagster dev` needs no variable.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No settings here: all come from the platform's."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: object
    ) -> Self:
        """Build it for Dagster; called when an instance is opened, never at import."""
        url = dagster_database_url(load_settings())
        # SQLAlchemy 2.1 reads a bare postgresql:// as psycopg 3, which dagster-postgres lacks.
        return cls(
            postgres_url=url.replace("postgresql://", "postgresql+psycopg2://", 1),
            inst_data=inst_data,
        )

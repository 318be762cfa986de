"""Where the steps of runs are executed, and how work is divided among machines."""

from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from batch_platform.core.settings.secret_files import secret_files
from batch_platform.core.settings.section import Section, variable


class ClusterSettings(Section):
    """Where the steps of runs are executed, and how work is divided among machines."""

    execution: Literal["in_process", "celery"] = variable(
        "EXECUTION",
        "in_process",
        "Who executes the steps of scheduled runs: the run's own process, or Celery workers",
    )
    broker_url: SecretStr | None = variable(
        "CELERY_BROKER_URL",
        None,
        "Redis through which steps reach the workers, redis://host:6379/0",
    )
    result_backend: SecretStr | None = variable(
        "CELERY_RESULT_BACKEND", None, "Where workers leave results; the broker when not set"
    )
    worker_concurrency: int = variable(
        "CELERY_WORKER_CONCURRENCY", 2, "Steps that one worker executes at once", ge=1, le=64
    )
    chunk_items: int = variable(
        "CHUNK_ITEMS",
        2000,
        "Items of one day from which on asking is cut into steps of so many, under celery",
        ge=1,
    )

    @property
    def is_on_workers(self) -> bool:
        """Whether steps are executed by workers, and not by their run's process."""
        return self.execution == "celery"

    def chunks_of(self, items: int) -> int:
        """Into how many steps the asking about so many items is cut; 0 when it is not.

        At most 64: each reads the whole day to find its share.
        """
        if not self.is_on_workers or items <= self.chunk_items:
            return 0
        return min(-(-items // self.chunk_items), 64)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The demo sees the environment too: this says where it works, not on what."""
        del settings_cls
        return init_settings, env_settings, dotenv_settings, secret_files(file_secret_settings)

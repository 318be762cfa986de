"""The interventions service and what its old `.env` holds."""

from pydantic import SecretStr

from batch_platform.core.settings.section import Section, variable


class InterventionsSettings(Section):
    """The interventions service and what its old `.env` holds."""

    database_url: SecretStr | None = variable(
        "INTERVENTIONS_DATABASE_URL", None, "The service's own database"
    )
    celery_broker_url: SecretStr | None = variable("CELERY_BROKER_URL", None, "Redis, for Celery")
    celery_result_backend: SecretStr | None = variable(
        "CELERY_RESULT_BACKEND", None, "Redis, for Celery's results"
    )

"""Where the platform keeps its own things, and its zone."""

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import SecretStr, field_validator

from batch_platform.core.days import named_zone
from batch_platform.core.settings.section import Section, variable


class PlatformSettings(Section):
    """Where the platform keeps its own things."""

    database_url: SecretStr | None = variable(
        "PLATFORM_DATABASE_URL",
        None,
        "PostgreSQL of the platform; an embedded server when it is not set",
    )
    home: Path | None = variable(
        "BATCH_PLATFORM_HOME",
        None,
        "Folder of the embedded database, reports and logs; var/<profile> by default",
    )
    org_name: str = variable("ORG_NAME", "", "The organisation's name in reports and mails")
    timezone: str = variable("ORG_TIMEZONE", "Asia/Seoul", "Zone of days, schedules and reports")
    webserver_url: str = variable(
        "DAGSTER_WEBSERVER_URL", "http://127.0.0.1:3000", "Address in mails' links to runs"
    )
    webserver_port: int = variable(
        "DAGSTER_WEBSERVER_PORT", 3000, "Port of the webserver that `up` starts", ge=1, le=65535
    )
    catch_up_at_once: int = variable(
        "BATCH_PLATFORM_CATCH_UP_AT_ONCE",
        3,
        "Missed times of one schedule that run at the same time after downtime",
        ge=1,
        le=20,
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = variable(
        "LOG_LEVEL", "INFO", "Least severe message that is logged"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return named_zone(value).key

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which a partition is a calendar day."""
        return ZoneInfo(self.timezone)

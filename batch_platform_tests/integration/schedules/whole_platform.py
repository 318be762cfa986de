"""The whole platform's definitions as a code location, over the database and clock of a test."""

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from batch_platform.build import build_definitions
from batch_platform.core.settings import PROJECT_ROOT, Settings
from batch_platform_tests.given_settings import settings_of
from batch_platform_tests.integration.schedules.small_platform import Given, GivenClock, GivenDb

SOURCES: dict[str, object] = {
    "ENGINE_FOR_SQLALCHEMY": "sqlite://",
    "DATABASE_URL": "sqlite://",
    "KRX_AUTH_KEY": "key",
}
"""Chats, fortunes and stocks are switched on."""


class GivenSettings(dg.ConfigurableResource[Settings]):
    def create_resource(self, context: dg.InitResourceContext) -> Settings:
        return Given.settings


defs = build_definitions(
    settings_of(**SOURCES),  # type: ignore[arg-type]
    {"settings": GivenSettings(), "platform_db": GivenDb(), "clock": GivenClock()},
)

WHOLE_WORKSPACE = InProcessWorkspaceLoadTarget(
    InProcessCodeLocationOrigin(
        LoadableTargetOrigin(
            module_name="batch_platform_tests.integration.schedules.whole_platform",
            working_directory=str(PROJECT_ROOT),
            attribute="defs",
        ),
        location_name="whole",
    )
)

"""Puts domains, resources and operations together. Tests and commands swap resources here."""

from collections.abc import Mapping, Sequence

import dagster as dg

from batch_platform.core.deadlines import AnyDeadline
from batch_platform.core.settings import Settings, load_settings
from batch_platform.domains.backups import automation as backups_automation
from batch_platform.domains.backups.definitions import backups_definitions
from batch_platform.domains.chats import automation as chats_automation
from batch_platform.domains.chats.definitions import chats_definitions
from batch_platform.domains.emotions.definitions import emotions_definitions
from batch_platform.domains.fortunes import automation as fortunes_automation
from batch_platform.domains.fortunes.definitions import fortunes_definitions
from batch_platform.domains.interventions import automation as interventions_automation
from batch_platform.domains.interventions.definitions import interventions_definitions
from batch_platform.domains.stocks.definitions import stocks_definitions
from batch_platform.domains.stocks.market import automation as market_automation
from batch_platform.operations.definitions import operations_definitions
from batch_platform.operations.retention_assets import retention_definitions
from batch_platform.orchestration.execution import chosen_executor
from batch_platform.resources.roles import all_resources

DEADLINES: Sequence[AnyDeadline] = (
    *chats_automation.DEADLINES,
    *fortunes_automation.DEADLINES,
    *market_automation.DEADLINES,
    *backups_automation.DEADLINES,
    *interventions_automation.DEADLINES,
)
"""Of every domain: by when each night's work must be there."""


def build_definitions(
    settings: Settings | None = None, resource_overrides: Mapping[str, object] | None = None
) -> dg.Definitions:
    """All of the platform as Dagster sees it.

    Args:
        settings: When schedules fire and what resources are made from. By default the
            schedules' are read now and the resources' when a run starts.
        resource_overrides: Role → object to use instead of the real one.

    Raises:
        ConfigurationError: A setting cannot be read.
    """
    schedule_settings = settings or load_settings()
    domains = _domains(schedule_settings)
    return dg.Definitions.merge(
        dg.Definitions(
            assets=domains.assets,
            asset_checks=domains.asset_checks,
            jobs=domains.jobs,
            sensors=domains.sensors,
        ),
        operations_definitions(
            list(domains.jobs or []), _schedules_of(domains), DEADLINES, schedule_settings
        ),
        dg.Definitions(
            resources=all_resources(settings, resource_overrides),
            executor=chosen_executor(schedule_settings),
        ),
    )


def declared_schedules(settings: Settings) -> Mapping[str, dg.ScheduleDefinition]:
    """Name → schedule as its domain declares it: asked for a time, it says what is to run."""
    return {schedule.name: schedule for schedule in _schedules_of(_domains(settings))}


def _domains(settings: Settings) -> dg.Definitions:
    return dg.Definitions.merge(
        chats_definitions(settings),
        fortunes_definitions(settings),
        interventions_definitions(settings),
        stocks_definitions(settings),
        backups_definitions(settings),
        emotions_definitions(),
        retention_definitions(settings),
    )


def _schedules_of(domains: dg.Definitions) -> list[dg.ScheduleDefinition]:
    return [each for each in domains.schedules or [] if isinstance(each, dg.ScheduleDefinition)]

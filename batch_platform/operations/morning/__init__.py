"""The morning: what became of the night, what is wrong, what a person can do about it.

`read_morning` gathers it from the platform's tables and from what Dagster's storage holds. Knows no
Dagster, so that it answers while Dagster's servers are away.
"""

from batch_platform.operations.morning.models import (
    DomainNight,
    Morning,
    NightState,
    OpenIncident,
    OtherDomain,
    Retry,
    RunningWork,
    StripRow,
)
from batch_platform.operations.morning.reading import read_morning, retry_of_incident

__all__ = [
    "DomainNight",
    "Morning",
    "NightState",
    "OpenIncident",
    "OtherDomain",
    "Retry",
    "RunningWork",
    "StripRow",
    "read_morning",
    "retry_of_incident",
]

"""What requests may say about alert routes, mutes and tests, and what answers say."""

from dataclasses import replace
from datetime import datetime, time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from batch_platform.api.preconditions import LARGEST_ID
from batch_platform.api.schedule_models import WholeNumber
from batch_platform.operations.incidents.models import Channel, Incident, IncidentKind, Severity
from batch_platform.operations.incidents.outbox import Trial
from batch_platform.operations.incidents.routes import AlertRoute

EXAMPLE = {
    "domain": "backups",
    "least_severity": "error",
    "channel": "mail",
    "recipients": ["dba@example.org"],
}

TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["09:00"])]
"""A time of day in the platform's zone, as requests say it."""

TimeShown = Annotated[time, PlainSerializer(lambda at: f"{at:%H:%M}", return_type=str)]
"""A time of day as answers say it."""

Domain = Annotated[
    str,
    Field(
        pattern=r"^[a-z]{0,30}$",
        description="Whose incidents; empty for every domain's",
        examples=["chats"],
    ),
]
Least = Annotated[Severity, Field(description="Less severe ones do not go this way")]
Recipients = Annotated[
    list[
        Annotated[
            str,
            Field(
                min_length=3,
                max_length=254,
                pattern=r"^[!#-+\--:=?A-Z^-~]+@[A-Za-z0-9.-]+$",
                examples=["dba@example.org"],
            ),
        ]
    ],
    Field(max_length=50, description="Of mail only; empty: those of the settings"),
]
Hours = Annotated[
    TimeOfDay | None,
    Field(description="Earlier or later messages wait; null in both: they go at any hour"),
]


class RouteContent(BaseModel):
    """A whole route. What is left out has its default."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    domain: Domain = ""
    least_severity: Least = Severity.INFO
    channel: Channel
    recipients: Recipients = Field(default_factory=list)
    from_time: Hours = None
    to_time: Hours = None

    def route(self, route_id: int = 0) -> AlertRoute:
        """The route that it means."""
        said = {name: _meant(getattr(self, name)) for name in RouteContent.model_fields}
        return AlertRoute(route_id=route_id, **said)


def _without_defaults(schema: dict[str, Any]) -> None:
    for part in schema["properties"].values():
        part.pop("default", None)
    schema["minProperties"] = 1
    schema["examples"] = [{"least_severity": "warning"}]


_NOT_SENT: Any = None
"""Default of what may be left out; sent, null is refused but where it means something."""


class RouteChanges(BaseModel):
    """The parts of a route to change; at least one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_defaults)

    domain: Domain = _NOT_SENT
    least_severity: Least = _NOT_SENT
    channel: Channel = _NOT_SENT
    recipients: Recipients = _NOT_SENT
    from_time: Hours = None
    to_time: Hours = None

    @model_validator(mode="after")
    def _say_something(self) -> "RouteChanges":
        if not self.model_fields_set:
            raise ValueError("Say what to change")
        return self

    def applied_to(self, route: AlertRoute) -> AlertRoute:
        """A route with these parts changed."""
        said = {name: _meant(getattr(self, name)) for name in self.model_fields_set}
        return replace(route, **said)


def _meant(value: Any) -> Any:
    match value:
        case list():
            return tuple(value)
        case str() if not isinstance(value, Channel | Severity) and ":" in value:
            return time.fromisoformat(value)
        case _:
            return value


class RouteView(BaseModel):
    """A route."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": 3, "version": 2} | EXAMPLE]})

    id: int
    version: int = Field(description="Grows with each change; the ETag has it too")
    domain: str
    least_severity: Severity
    channel: Channel
    recipients: list[str]
    from_time: TimeShown | None
    to_time: TimeShown | None

    @classmethod
    def of(cls, route: AlertRoute) -> "RouteView":
        """A route as it is shown."""
        return cls(
            id=route.route_id,
            version=route.version,
            domain=route.domain,
            least_severity=route.least_severity,
            channel=route.channel,
            recipients=list(route.recipients),
            from_time=route.from_time,
            to_time=route.to_time,
        )


class IncidentView(BaseModel):
    """An incident that is open."""

    id: int
    kind: IncidentKind
    severity: Severity
    domain: str = Field(description="Empty: the platform's own")
    asset: str
    check: str = Field(description="Of the asset, when a check failed")
    partition: str
    job: str
    causes: list[str] = Field(description="In sentences, the first cause first")
    run_id: str | None
    is_made_up: bool
    opened_at: datetime
    last_seen_at: datetime
    times_seen: int
    muted_until: datetime | None

    @classmethod
    def of(cls, incident: Incident) -> "IncidentView":
        """An incident as it is shown."""
        trouble = incident.trouble
        return cls(
            id=incident.incident_id,
            kind=trouble.kind,
            severity=incident.severity,
            domain=trouble.domain,
            asset=trouble.asset,
            check=trouble.check,
            partition=trouble.partition,
            job=trouble.job,
            causes=list(trouble.causes),
            run_id=trouble.run_id,
            is_made_up=trouble.is_made_up,
            opened_at=incident.opened_at,
            last_seen_at=incident.last_seen_at,
            times_seen=incident.times_seen,
            muted_until=incident.muted_until,
        )


class MuteContent(BaseModel):
    """Which incident nobody is told of for how long."""

    model_config = ConfigDict(extra="forbid")

    incident_id: Annotated[WholeNumber, Field(ge=1, le=LARGEST_ID, examples=[12])]
    hours: Annotated[float, Field(gt=0, le=24 * 31, allow_inf_nan=False)] = 8.0


class MuteView(BaseModel):
    """An incident that nobody is told of for now."""

    incident_id: int
    muted_until: datetime
    muted_by: str

    @classmethod
    def of(cls, incident: Incident) -> "MuteView":
        """A mute as it is shown; the incident has one."""
        assert incident.muted_until is not None  # noqa: S101 - of a muted one alone
        return cls(
            incident_id=incident.incident_id,
            muted_until=incident.muted_until,
            muted_by=incident.muted_by,
        )


class TrialContent(BaseModel):
    """An incident as if of which to tell."""

    model_config = ConfigDict(extra="forbid")

    domain: Domain = ""
    severity: Severity = Severity.ERROR


class TrialView(BaseModel):
    """What became of a test message."""

    channel: Channel
    is_sent: bool
    said: str = Field(description="To whom it went, or why it did not")

    @classmethod
    def of(cls, trial: Trial) -> "TrialView":
        """What became of one as it is shown."""
        return cls(channel=trial.channel, is_sent=trial.is_sent, said=trial.said)

"""Where people are told of incidents beside mail, and when they are told again."""

from pydantic import SecretStr

from batch_platform.core.settings.section import Section, variable


class AlertSettings(Section):
    """Where people are told of incidents beside mail, and when they are told again."""

    discord_webhook_url: SecretStr | None = variable(
        "DISCORD_WEBHOOK_URL", None, "Discord webhook of alerts"
    )
    heartbeat_url: SecretStr | None = variable(
        "HEARTBEAT_URL",
        None,
        "Address outside (healthchecks.io or the like) that is called once a day, when all that was"
        " due is there: it tells you when the call does not come",
    )
    escalate_after_hours: float = variable(
        "ALERT_ESCALATE_AFTER_HOURS",
        4.0,
        "Hours after which an open incident is told once more, as critical; 0: never",
        ge=0,
    )
    runbooks_url: str = variable(
        "RUNBOOKS_URL", "", "Address of docs/runbooks for links in messages; its path by default"
    )

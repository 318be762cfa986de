"""The mail server, who mails come from and who gets them."""

from typing import Annotated, Literal

from pydantic import SecretStr, field_validator
from pydantic_settings import NoDecode

from batch_platform.core.settings.section import Section, split_commas, variable


class MailSettings(Section):
    """The mail server, who mails come from and who gets them."""

    server: str | None = variable("SMTP_SERVER", None, "SMTP server; no mail when not set")
    port: int = variable("SMTP_PORT", 587, "Its port", ge=1, le=65535)
    security: Literal["auto", "starttls", "tls", "none"] = variable(
        "SMTP_SECURITY",
        "auto",
        "auto: tls on 465, starttls when offered (always before a password)",
    )
    sender: str | None = variable("SENDER_EMAIL", None, "Address that mails come from")
    password: SecretStr | None = variable("SENDER_PASSWORD", None, "Its password")
    recipients: Annotated[list[str], NoDecode] = variable(
        "RECIPIENT_EMAILS", [], "Addresses (commas) of reports"
    )
    alert_recipients: Annotated[list[str], NoDecode] = variable(
        "MAILTO", [], "Addresses (commas) of failures; the reports' when not set"
    )
    webhook_url: SecretStr | None = variable("WEBHOOK_URL", None, "Slack webhook of alerts")

    _commas = field_validator("recipients", "alert_recipients", mode="before")(split_commas)

    @field_validator("recipients", "alert_recipients")
    @classmethod
    def _addresses(cls, value: list[str]) -> list[str]:
        for address in value:
            if "@" not in address.strip("@"):
                raise ValueError(f"{address!r} is not a mail address")
        return value

"""Sending what the outbox holds: each message once, for a day while a channel is down."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_platform.core.days import Clock
from batch_platform.core.errors import ConfigurationError, PlatformError
from batch_platform.core.settings import PROJECT_ROOT, Settings
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.webhook import post_to_webhook
from batch_platform.operations.incidents.messages import compose_incident_mail, compose_short_text
from batch_platform.operations.incidents.models import Channel
from batch_platform.operations.incidents.store import DueMessage, IncidentBook

GIVEN_UP_AFTER = timedelta(days=1)
_LONGEST_WAIT = timedelta(minutes=15)
_MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """What a round through the outbox did."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0


def send_due(book: IncidentBook, mailer: Mailer, settings: Settings, clock: Clock) -> Sent:
    """Send every message that is due; what cannot be sent now is tried again later.

    A crash between the server's answer and our note can send a mail twice; its Message-ID is then
    the same, which mail programs show as one.
    """
    counts = {"sent": 0, "failed": 0, "given_up": 0}
    for _ in range(_MOST_AT_ONCE):
        with book.due_message(clock()) as message:
            if message is None:
                break
            counts[_send(message, mailer, settings, clock())] += 1
    return Sent(**counts)


def configured_channels(settings: Settings) -> tuple[Channel, ...]:
    """Where people can be told; mail when nothing is set, so that what is unsent can be seen."""
    channels = [
        *([Channel.MAIL] if settings.mail.server else []),
        *([Channel.WEBHOOK] if settings.mail.webhook_url else []),
    ]
    return tuple(channels) or (Channel.MAIL,)


def _send(message: DueMessage, mailer: Mailer, settings: Settings, now: datetime) -> str:
    try:
        if message.channel is Channel.MAIL:
            _mail(message, mailer, settings)
        else:
            _post(message, settings)
    except PlatformError as error:
        return _put_off(message, str(error), now)
    message.mark_sent(now)
    return "sent"


def _put_off(message: DueMessage, reason: str, now: datetime) -> str:
    if now - message.written_at >= GIVEN_UP_AFTER:
        message.give_up(now, reason)
        return "given_up"
    message.mark_failed(now + min(timedelta(minutes=2**message.attempts), _LONGEST_WAIT), reason)
    return "failed"


def _mail(message: DueMessage, mailer: Mailer, settings: Settings) -> None:
    recipients = settings.mail.alert_recipients or settings.mail.recipients
    if not mailer.is_configured or not recipients:
        raise ConfigurationError(
            "There is no mail server or nobody to tell", "Set SMTP_SERVER, SENDER_EMAIL and MAILTO"
        )
    incident = message.incident
    mail = compose_incident_mail(
        incident,
        message.change,
        recipients=recipients,
        zone=settings.platform.zone,
        run_url=_run_url(settings, incident.trouble.run_id),
        runbook=_runbook(incident.trouble.domain),
    )
    message_id = f"<incident-{incident.incident_id}-{message.change}@batch-platform>"
    mailer.send(mail, message_id=message_id)


def _post(message: DueMessage, settings: Settings) -> None:
    url = settings.mail.webhook_url
    if url is None:
        raise ConfigurationError("There is no webhook any more", "Set WEBHOOK_URL")
    run_url = _run_url(settings, message.incident.trouble.run_id)
    text = compose_short_text(message.incident, message.change, run_url=run_url)
    post_to_webhook(url.get_secret_value(), text)


def _run_url(settings: Settings, run_id: str | None) -> str:
    base = settings.platform.webserver_url.rstrip("/")
    return f"{base}/runs/{run_id}" if run_id else f"{base}/runs"


def _runbook(domain: str) -> str:
    file = PROJECT_ROOT / "docs" / "runbooks" / f"{domain}.md"
    return file.relative_to(PROJECT_ROOT).as_posix() if domain and file.is_file() else ""

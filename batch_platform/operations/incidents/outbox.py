"""Sending what the outbox holds: each message once, for a day while a channel is down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_platform.core.days import Clock
from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.core.settings import PROJECT_ROOT, Settings
from batch_platform.gateways import mail_layout
from batch_platform.gateways.mail import Mailer, MailMessage
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.webhook import post_to_discord, post_to_slack
from batch_platform.operations.incidents.messages import compose_incident_mail, compose_short_text
from batch_platform.operations.incidents.models import (
    Change,
    Channel,
    IncidentKind,
    Severity,
    Trouble,
)
from batch_platform.operations.incidents.routes import AlertRoute, Way, ways
from batch_platform.operations.incidents.store import DueMessage, IncidentBook

GIVEN_UP_AFTER = timedelta(days=1)
_LONGEST_WAIT = timedelta(minutes=15)
_RUNBOOKS = {IncidentKind.STALLED: "schedules", IncidentKind.CAUGHT_UP: "schedules"}
_MOST_AT_ONCE = 50
_TEST = "야간 배치 플랫폼의 시험 알림입니다. 이 알림이 보이면 사건도 이곳으로 알려집니다."


@dataclass(frozen=True, slots=True)
class Sent:
    """What a round through the outbox did."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0


LogTail = Callable[[str], Sequence[str]]
"""Run id → the last lines of its log, without secrets and personal data."""


def _no_log(_run_id: str) -> Sequence[str]:
    return ()


def incident_book(db: PlatformDb, settings: Settings) -> IncidentBook:
    """The incidents, and where the settings can tell people of them."""
    return IncidentBook(db, configured_channels(settings), settings.platform.zone)


def send_due(
    book: IncidentBook,
    mailer: Mailer,
    settings: Settings,
    clock: Clock,
    log_tail: LogTail = _no_log,
) -> Sent:
    """Send every message that is due; what cannot be sent now is tried again later.

    A crash between the server's answer and our note can send a mail twice; its Message-ID is then
    the same, which mail programs show as one.
    """
    counts = {"sent": 0, "failed": 0, "given_up": 0}
    for _ in range(_MOST_AT_ONCE):
        with book.due_message(clock()) as message:
            if message is None:
                break
            counts[_send(message, mailer, settings, clock(), log_tail)] += 1
    return Sent(**counts)


def configured_channels(settings: Settings) -> tuple[Channel, ...]:
    """Where people can be told; mail when nothing is set, so that what is unsent can be seen."""
    channels = [
        *([Channel.MAIL] if settings.mail.server else []),
        *([Channel.SLACK] if settings.mail.webhook_url else []),
        *([Channel.DISCORD] if settings.alerts.discord_webhook_url else []),
    ]
    return tuple(channels) or (Channel.MAIL,)


def post_text(channel: Channel, text: str, settings: Settings) -> None:
    """Post a text to a chat of the settings.

    Raises:
        ConfigurationError: It has no address, the address is wrong, or the chat refuses it.
        RetryableError: The chat does not answer, or asks to come back later.
    """
    url, post, variable = (
        (settings.mail.webhook_url, post_to_slack, "WEBHOOK_URL")
        if channel is Channel.SLACK
        else (settings.alerts.discord_webhook_url, post_to_discord, "DISCORD_WEBHOOK_URL")
    )
    if url is None:
        raise ConfigurationError(f"{channel} has no address", f"Set {variable}")
    post(url.get_secret_value(), text)


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a test message.

    Attributes:
        channel: Where it was to go.
        is_sent: Whether it went.
        said: To whom it went, or in a sentence why it did not.
    """

    channel: Channel
    is_sent: bool
    said: str


def send_test_messages(
    routes: Sequence[AlertRoute],
    mailer: Mailer,
    settings: Settings,
    now: datetime,
    *,
    domain: str,
    severity: Severity,
) -> list[Trial]:
    """Send a message that says it is a test wherever such an incident would be told, at any hour.

    Returns:
        One of each way; none when no route fits.
    """
    zone, configured = settings.platform.zone, configured_channels(settings)
    found = ways(routes, configured, domain=domain, severity=severity, now=now, zone=zone)
    return [_test(way, mailer, settings, now) for way in found]


def _test(way: Way, mailer: Mailer, settings: Settings, now: datetime) -> Trial:
    try:
        said = _send_test(way, mailer, settings, now)
    except PlatformError as error:
        return Trial(way.channel, False, str(error))
    return Trial(way.channel, True, said)


def _send_test(way: Way, mailer: Mailer, settings: Settings, now: datetime) -> str:
    if way.channel is not Channel.MAIL:
        post_text(way.channel, _TEST, settings)
        return str(way.channel)
    recipients = tuple(way.recipients) or tuple(_usual_recipients(settings))
    if not mailer.is_configured or not recipients:
        raise _nobody_to_tell()
    html = mail_layout.page(
        title="시험 알림", subtitle="", preview=_TEST, banner="",
        blocks=[mail_layout.sentence("확인", _TEST)], footer="자동으로 보낸 메일입니다",
    )  # fmt: skip
    mail = MailMessage(f"[시험] {_TEST}", _TEST, html, recipients)
    sent = mailer.send(mail, message_id=f"<test-{now.timestamp():.0f}@batch-platform>")
    if sent.refused:
        raise PermanentError(
            f"The mail server takes nothing for {', '.join(sent.refused)}", "Correct the address"
        )
    return ", ".join(sent.accepted)


def _nobody_to_tell() -> ConfigurationError:
    return ConfigurationError(
        "There is no mail server or nobody to tell", "Set SMTP_SERVER, SENDER_EMAIL and MAILTO"
    )


def _usual_recipients(settings: Settings) -> Sequence[str]:
    return settings.mail.alert_recipients or settings.mail.recipients


def _send(
    message: DueMessage, mailer: Mailer, settings: Settings, now: datetime, log_tail: LogTail
) -> str:
    incident = message.incident
    run_url = _run_url(settings, incident.trouble.run_id)
    try:
        if message.channel is Channel.MAIL:
            _mail(message, mailer, settings, run_url, log_tail)
        else:
            text = compose_short_text(incident, message.change, run_url=run_url)
            post_text(message.channel, text, settings)
    except PlatformError as error:
        return _put_off(message, error, now)
    message.mark_sent(now)
    return "sent"


def _put_off(message: DueMessage, error: PlatformError, now: datetime) -> str:
    if now - message.send_from >= GIVEN_UP_AFTER:
        message.give_up(now, str(error))
        return "given_up"
    wait = min(timedelta(minutes=2**message.attempts), _LONGEST_WAIT)
    if isinstance(error, RetryableError) and error.retry_after_seconds:
        wait = max(wait, timedelta(seconds=error.retry_after_seconds))
    message.mark_failed(now + min(wait, _LONGEST_WAIT), str(error))
    return "failed"


def _mail(
    message: DueMessage, mailer: Mailer, settings: Settings, run_url: str, log_tail: LogTail
) -> None:
    recipients = message.recipients or _usual_recipients(settings)
    if not mailer.is_configured or not recipients:
        raise _nobody_to_tell()
    incident, run_id = message.incident, message.incident.trouble.run_id
    # Of a doubtful result the run went well: its log tells nothing.
    is_doubt = incident.trouble.kind is IncidentKind.CHECK_FAILED
    has_failed = message.change is not Change.RECOVERED and not is_doubt
    mail = compose_incident_mail(
        incident,
        message.change,
        recipients=recipients,
        zone=settings.platform.zone,
        run_url=run_url,
        runbook=_runbook(incident.trouble, settings),
        log_tail=log_tail(run_id) if run_id and has_failed else (),
    )
    message_id = f"<incident-{incident.incident_id}-{message.change}@batch-platform>"
    mailer.send(mail, message_id=message_id)


def _run_url(settings: Settings, run_id: str | None) -> str:
    base = settings.platform.webserver_url.rstrip("/")
    return f"{base}/runs/{run_id}" if run_id else f"{base}/runs"


def _runbook(trouble: Trouble, settings: Settings) -> str:
    """Where it is said what to do: an address, or the file's path when none is configured."""
    name = trouble.domain or _RUNBOOKS.get(trouble.kind, "platform")
    file = PROJECT_ROOT / "docs" / "runbooks" / f"{name}.md"
    if not file.is_file():
        return ""
    if settings.alerts.runbooks_url:
        return f"{settings.alerts.runbooks_url.rstrip('/')}/{file.name}"
    return file.relative_to(PROJECT_ROOT).as_posix()

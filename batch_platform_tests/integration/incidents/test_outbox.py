"""One message a change of an incident: none doubled, none lost while the mail server is down."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import dagster as dg
import pytest
from aiohttp import web

from batch_platform.core.settings import Settings
from batch_platform.gateways.mail import Mailer
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.incidents.log_tail import log_tail_of
from batch_platform.operations.incidents.models import Channel, IncidentKind, Severity, Trouble
from batch_platform.operations.incidents.outbox import (
    Sent,
    configured_channels,
    incident_book,
    send_due,
)
from batch_platform.operations.incidents.routes import AlertRoute
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.sandbox.loopback import loopback_socket, serving_in_a_thread
from batch_platform.sandbox.smtp_sink import RunningSmtpSink, SmtpFault, running_smtp_sink
from batch_platform_tests.given_settings import settings_of

START = datetime(2026, 11, 19, 16, 12, tzinfo=UTC)
FAILED = Trouble(
    kind=IncidentKind.FAILED,
    domain="chats",
    asset="chats/classifications",
    partition="2026-11-19",
    job="chats_night_job",
    causes=["The key is refused"],
    advice=["설정을 고치세요."],
    run_id="run-1",
    is_made_up=False,
)

SMTP = {
    "SMTP_SERVER": "127.0.0.1",
    "SMTP_SECURITY": "none",
    "SENDER_EMAIL": "batch@example.org",
    "MAILTO": "operator@example.org",
}


class World:
    """A book, a mail server and a clock of the test's own."""

    def __init__(self, db: PlatformDb, port: int) -> None:
        self.book = IncidentBook(db)
        self.now = START
        self.settings = self.mailing_to(port)

    @staticmethod
    def mailing_to(port: int) -> Settings:
        return settings_of(SMTP_PORT=port, **SMTP)

    def send(self, after: timedelta = timedelta(0)) -> Sent:
        self.now += after
        mailer = Mailer(self.settings.mail, clock=lambda: self.now, timeout_seconds=5)
        return send_due(self.book, mailer, self.settings, lambda: self.now)


@pytest.fixture
def with_sink(platform_db: PlatformDb) -> Callable[[RunningSmtpSink], World]:
    return lambda sink: World(platform_db, sink.port)


def test_a_trouble_seen_again_is_told_once_and_its_recovery_once(
    with_sink: Callable[[RunningSmtpSink], World],
) -> None:
    with running_smtp_sink() as sink:
        world = with_sink(sink)
        assert world.book.report(FAILED, world.now)
        assert not world.book.report(FAILED, world.now)
        assert not world.book.report(replace(FAILED, run_id="run-2"), world.now)
        assert world.send() == Sent(sent=1)
        assert world.send() == Sent()
        (incident,) = world.book.open_incidents()
        assert (incident.times_seen, incident.trouble.run_id) == (2, "run-2")

        assert world.book.recover(incident.incident_id, START + timedelta(minutes=30))
        assert not world.book.recover(incident.incident_id, START + timedelta(minutes=31))
        assert world.send(timedelta(hours=1)) == Sent(sent=1)
        assert world.book.open_incidents() == []

        # The same trouble on another day of its life is a new incident.
        assert world.book.report(replace(FAILED, run_id="run-3"), world.now)
        assert world.send() == Sent(sent=1)
        marks = [str(mail.message["Subject"]).partition("]")[0] for mail in sink.mails()]
    assert marks == ["[배치 실패", "[배치 복구", "[배치 실패"]


def test_a_mail_server_that_is_down_for_an_hour_loses_and_doubles_nothing(
    with_sink: Callable[[RunningSmtpSink], World],
) -> None:
    with running_smtp_sink() as gone:
        world = with_sink(gone)
    world.book.report(FAILED, world.now)
    world.book.report(replace(FAILED, partition="2026-11-18"), world.now)
    assert world.send() == Sent(failed=2)
    assert world.send() == Sent(), "the next attempt waits"
    for _ in range(4):
        world.send(timedelta(minutes=15))
    assert world.book.unsent_count() == 2
    with running_smtp_sink() as back:
        world.settings = world.mailing_to(back.port)
        assert world.send(timedelta(minutes=15)) == Sent(sent=2)
        assert world.send(timedelta(minutes=15)) == Sent()
        assert len({mail.message["Message-ID"] for mail in back.mails()}) == 2
    assert world.book.unsent_count() == 0


def test_after_a_day_a_message_is_given_up_and_stays_visible(
    with_sink: Callable[[RunningSmtpSink], World], platform_db: PlatformDb
) -> None:
    with running_smtp_sink() as gone:
        world = with_sink(gone)
    world.book.report(FAILED, world.now)
    assert world.send() == Sent(failed=1)
    assert world.send(timedelta(days=1)) == Sent(given_up=1)
    assert world.send(timedelta(hours=1)) == Sent()
    assert world.book.unsent_count() == 1
    ((reason,),) = platform_db.fetch_all("SELECT last_error FROM operations.incident_messages")
    assert "127.0.0.1" in reason


def test_a_message_that_the_server_cuts_off_is_sent_again(
    with_sink: Callable[[RunningSmtpSink], World],
) -> None:
    with running_smtp_sink() as sink:
        world = with_sink(sink)
        world.book.report(FAILED, world.now)
        sink.configure(fault=SmtpFault.BUSY, fault_times=1)
        assert world.send() == Sent(failed=1)
        assert world.send(timedelta(minutes=1)) == Sent(sent=1)
        assert len(sink.mails()) == 1


@dataclass
class Chat:
    """A chat's incoming webhook, Slack-shaped: what it was posted, and how it answers."""

    url: str
    posted: list[str] = field(default_factory=list)
    told_in_discord: list[str] = field(default_factory=list)
    status: int = 200

    @property
    def discord_url(self) -> str:
        return self.url.replace("/services/", "/api/webhooks/1/")


@pytest.fixture
def chat() -> Iterator[Chat]:
    bound = loopback_socket()
    running = Chat(f"http://127.0.0.1:{bound.getsockname()[1]}/services/canary-secret")

    async def take(request: web.Request) -> web.Response:
        if running.status == 200:
            running.posted.append((await request.json())["text"])
        return web.Response(status=running.status, text="ok")

    async def take_in_discord(request: web.Request) -> web.Response:
        if running.status != 200:
            headers = {"Retry-After": "300"}
            return web.json_response({"retry_after": 300}, status=running.status, headers=headers)
        said = await request.json()
        assert said["allowed_mentions"] == {"parse": []}
        running.told_in_discord.append(said["content"])
        return web.Response(status=204)

    def application() -> web.Application:
        made = web.Application()
        made.router.add_post("/services/canary-secret", take)
        made.router.add_post("/api/webhooks/1/canary-secret", take_in_discord)
        return made

    with serving_in_a_thread(application, bound):
        yield running


def test_a_chat_is_told_too_and_neither_channel_waits_for_the_other(
    platform_db: PlatformDb, chat: Chat
) -> None:
    with running_smtp_sink() as gone:
        world = World(platform_db, gone.port)
    world.settings = settings_of(WEBHOOK_URL=chat.url, **SMTP, SMTP_PORT=gone.port)
    world.book = IncidentBook(platform_db, configured_channels(world.settings))
    world.book.report(replace(FAILED, causes=["<b> & no"]), world.now)
    assert world.send() == Sent(sent=1, failed=1)
    (text,) = chat.posted
    assert text.startswith("[배치 실패] chats/classifications 2026-11-19\n&lt;b&gt; &amp; no\n")
    assert "/runs/run-1" in text


@pytest.mark.parametrize("status", [404, 429, 500])
def test_a_chat_that_refuses_is_tried_again_and_its_address_told_to_nobody(
    platform_db: PlatformDb, chat: Chat, status: int
) -> None:
    world = World(platform_db, 1)
    world.settings = settings_of(WEBHOOK_URL=chat.url)
    world.book = IncidentBook(platform_db, configured_channels(world.settings))
    world.book.report(FAILED, world.now)
    chat.status = status
    assert world.send() == Sent(failed=1)
    ((reason,),) = platform_db.fetch_all("SELECT last_error FROM operations.incident_messages")
    assert str(status) in reason
    assert "canary" not in reason
    chat.status = 200
    assert world.send(timedelta(minutes=1)) == Sent(sent=1)


def marks(texts: list[str]) -> list[str]:
    return [text.partition("]")[0].lstrip("[") for text in texts]


def test_each_change_is_told_once_in_every_channel_though_all_are_down_for_an_hour(
    platform_db: PlatformDb, chat: Chat
) -> None:
    with running_smtp_sink() as sink:
        world = World(platform_db, sink.port)
        world.settings = settings_of(
            WEBHOOK_URL=chat.url, DISCORD_WEBHOOK_URL=chat.discord_url, SMTP_PORT=sink.port, **SMTP
        )
        world.book = incident_book(platform_db, world.settings)
        # It fails, is seen failing again by a retry, and recovers, while nothing answers.
        chat.status = 503
        sink.configure(fault=SmtpFault.BUSY)
        world.book.report(FAILED, world.now)
        world.book.report(replace(FAILED, run_id="run-2"), world.now + timedelta(minutes=5))
        for _ in range(6):
            world.send(timedelta(minutes=10))
        (incident,) = world.book.open_incidents()
        world.book.recover(incident.incident_id, world.now)
        world.send()
        assert [(channel, count) for channel, count, _ in world.book.unsent()] == [
            ("discord", 2), ("mail", 2), ("slack", 2),
        ]  # fmt: skip
        assert all("canary" not in reason for _, _, reason in world.book.unsent())

        chat.status = 200
        sink.configure(fault=None)
        for _ in range(4):
            world.send(timedelta(minutes=15))
        subjects = [str(mail.message["Subject"]) for mail in sink.mails()]
    told = ["배치 실패", "배치 복구"]
    assert (marks(subjects), marks(chat.posted), marks(chat.told_in_discord)) == (told, told, told)
    assert world.book.unsent() == []


@dg.asset
def answers(context: dg.AssetExecutionContext) -> None:
    """Fails, and says too much."""
    context.log.warning("key canary-key refused for 010-1234-5678")
    context.log.warning(f"{'x' * 376} 010-9876-5432")
    raise ValueError("canary-key of 010-1234-5678")


def test_a_mail_ends_with_the_log_without_secrets_or_personal_data(
    with_sink: Callable[[RunningSmtpSink], World],
) -> None:
    with running_smtp_sink() as sink:
        world = with_sink(sink)
        world.settings = settings_of(OPENAI_API_KEY="canary-key", SMTP_PORT=sink.port, **SMTP)
        mailer = Mailer(world.settings.mail, clock=lambda: world.now)
        with dg.DagsterInstance.ephemeral() as instance:
            run_id = dg.materialize([answers], instance=instance, raise_on_error=False).run_id
            world.book.report(replace(FAILED, run_id=run_id), world.now)
            tail = log_tail_of(instance, world.settings)
            send_due(world.book, mailer, world.settings, lambda: world.now, tail)
        (mail,) = sink.mails()
        body = mail.message.get_body(("plain",))
        assert body is not None
        text = body.get_content()
    assert "WARNING answers: key ******** refused for [전화번호_1]" in text
    assert "ValueError: ******** of [전화번호_1]" in text
    assert "canary" not in text
    # What is cut off a long line leaves no half of a number.
    assert "010-98" not in text


def test_routes_decide_who_hears_of_what_and_when(platform_db: PlatformDb, chat: Chat) -> None:
    with running_smtp_sink() as sink:
        world = World(platform_db, sink.port)
        world.settings = settings_of(WEBHOOK_URL=chat.url, SMTP_PORT=sink.port, **SMTP)
        world.book = incident_book(platform_db, world.settings)
        for route in (
            AlertRoute(domain="backups", recipients=("dba@example.org",)),
            AlertRoute(least_severity=Severity.CRITICAL, channel=Channel.SLACK),
            AlertRoute(domain="chats", from_time=time(9), to_time=time(18)),
        ):
            world.book.add_route(route, world.now, changed_by="t")
        world.book.report(FAILED, world.now)  # 01:12 in Seoul
        world.book.report(replace(FAILED, domain="backups", asset="backups/copy"), world.now)
        assert world.send() == Sent(sent=1)
        assert world.send(timedelta(hours=7, minutes=47)) == Sent()
        assert world.send(timedelta(minutes=2)) == Sent(sent=1)  # 09:01
        assert [mail.recipients for mail in sink.mails()] == [
            ["dba@example.org"], ["operator@example.org"],
        ]  # fmt: skip
        assert chat.posted == []

        # Open for hours: it is critical now, and told of once more, and only once.
        assert world.book.escalate(world.now, timedelta(hours=4)) == 2
        assert world.book.escalate(world.now, timedelta(hours=4)) == 0
        world.send()
        assert marks(chat.posted) == ["배치 실패 계속"] * 2


def test_what_is_muted_is_told_to_nobody_until_then(
    with_sink: Callable[[RunningSmtpSink], World],
) -> None:
    with running_smtp_sink() as sink:
        world = with_sink(sink)
        world.book.report(FAILED, world.now)
        world.book.report(replace(FAILED, partition="2026-11-18"), world.now)
        for_an_hour, until_noon = world.book.open_incidents()
        world.book.mute(for_an_hour.incident_id, world.now + timedelta(hours=1), muted_by="t")
        world.book.mute(until_noon.incident_id, world.now + timedelta(hours=9), muted_by="t")
        assert world.book.escalate(world.now, timedelta(0)) == 0
        assert world.send() == Sent()
        world.book.recover(until_noon.incident_id, world.now)
        assert world.send(timedelta(hours=2)) == Sent(sent=1)
        assert world.send(timedelta(hours=12)) == Sent()
        assert world.book.unsent() == []

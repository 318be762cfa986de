"""A mail reaches a real SMTP server as it was meant; what goes wrong is said in one sentence."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.core.settings import MailSettings
from batch_platform.gateways import mail
from batch_platform.gateways.mail import Mailer, MailMessage
from batch_platform.sandbox.smtp_sink import RunningSmtpSink, SmtpFault, running_smtp_sink

SENT_AT = datetime(2026, 11, 19, 16, tzinfo=UTC)
MESSAGE_ID = "<0123@batch-platform>"
SECRET = "correct horse battery"


@pytest.fixture
def sink() -> Iterator[RunningSmtpSink]:
    with running_smtp_sink() as running:
        yield running


@pytest.fixture
def tls_sink() -> Iterator[RunningSmtpSink]:
    with running_smtp_sink(starttls=True, username="batch@example.org", password=SECRET) as running:
        yield running


def mailer(
    port: int, *, host: str = "127.0.0.1", trusted: Path | None = None, **variables: str
) -> Mailer:
    settings = MailSettings.model_validate(
        {
            "SMTP_SERVER": host,
            "SMTP_PORT": port,
            "SENDER_EMAIL": "batch@example.org",
            **variables,
        }
    )
    context = ssl.create_default_context(cafile=trusted) if trusted else None
    return Mailer(settings, clock=lambda: SENT_AT, tls_context=context, timeout_seconds=5)


def message(
    subject: str = "보고서",
    recipients: tuple[str, ...] = ("a@example.org",),
    attachments: tuple[Path, ...] = (),
) -> MailMessage:
    return MailMessage(
        subject=subject,
        text="본문 글\n",
        html="<html><body><p>본문 <b>글</b></p></body></html>",
        recipients=recipients,
        attachments=attachments,
    )


def only_mail(sink: RunningSmtpSink) -> EmailMessage:
    (stored,) = sink.mails()
    return stored.message


def body(received: EmailMessage, kind: str) -> str:
    part = received.get_body((kind,))
    assert part is not None
    return part.get_content().replace("\r\n", "\n")


def test_a_mail_arrives_with_both_bodies_and_its_headers(sink: RunningSmtpSink) -> None:
    sent = mailer(sink.port).send(
        message("[채팅 분류] 질문 312건", ("홍길동 <a@example.org>", "b@example.org")),
        message_id=MESSAGE_ID,
    )
    received = only_mail(sink)
    assert received["Subject"] == "[채팅 분류] 질문 312건"
    assert received["Message-ID"] == MESSAGE_ID
    assert received["Date"].datetime == SENT_AT
    assert received["From"] == "batch@example.org"
    assert [a.display_name for a in received["To"].addresses] == ["홍길동", ""]
    assert body(received, "plain") == "본문 글\n"
    assert "<b>글</b>" in body(received, "html")
    assert sent.accepted == ("a@example.org", "b@example.org")
    assert (sent.refused, sent.left_out) == ({}, ())


def test_a_korean_file_name_arrives_whole_and_in_ascii_only_headers(
    sink: RunningSmtpSink, tmp_path: Path
) -> None:
    workbook = tmp_path / "채팅키워드분류보고서_2026-11-01_2026-11-19.xlsx"
    workbook.write_bytes(b"\x00\xff" * 500)
    mailer(sink.port).send(message(attachments=(workbook,)), message_id=MESSAGE_ID)
    received = only_mail(sink)
    (attachment,) = received.iter_attachments()
    assert attachment.get_filename() == workbook.name
    assert attachment.get_content() == workbook.read_bytes()
    assert attachment.get_content_type().endswith("spreadsheetml.sheet")
    received.as_bytes().decode("ascii")
    assert max(len(line) for line in received.as_bytes().splitlines()) <= 998


def test_line_breaks_in_a_subject_make_no_header(sink: RunningSmtpSink) -> None:
    mailer(sink.port).send(
        message("제목\r\nBcc: evil@example.org\x00\ud83d"), message_id=MESSAGE_ID
    )
    received = only_mail(sink)
    assert received["Bcc"] is None
    assert received["Subject"] == "제목 Bcc: evil@example.org"
    assert sink.mails()[0].recipients == ["a@example.org"]


@pytest.mark.parametrize("address", ["a@b.org\r\nBcc: c@d.org", "nobody", "a b@c.org", "@", "a@"])
def test_what_is_no_address_is_refused_before_anything_is_sent(
    sink: RunningSmtpSink, address: str
) -> None:
    with pytest.raises(ConfigurationError, match="RECIPIENT_EMAILS"):
        mailer(sink.port).send(message(recipients=(address,)), message_id=MESSAGE_ID)
    assert sink.mails() == []


def test_the_password_goes_over_tls(tls_sink: RunningSmtpSink) -> None:
    secured = mailer(tls_sink.port, trusted=tls_sink.certificate, SENDER_PASSWORD=SECRET)
    assert secured.check_reachable() == f"127.0.0.1:{tls_sink.port} (TLS)"
    secured.send(message(), message_id=MESSAGE_ID)
    assert tls_sink.last_came_over_tls()


def test_a_wrong_password_is_a_configuration_error_without_the_password(
    tls_sink: RunningSmtpSink,
) -> None:
    wrong = mailer(tls_sink.port, trusted=tls_sink.certificate, SENDER_PASSWORD="hunter2-hunter2")
    with pytest.raises(ConfigurationError, match="SENDER_PASSWORD") as caught:
        wrong.check_reachable()
    assert "hunter2" not in str(caught.value)
    assert tls_sink.connections() == 1  # a retry could lock the account


def test_a_certificate_that_nobody_trusts_is_refused(tls_sink: RunningSmtpSink) -> None:
    with pytest.raises(ConfigurationError, match="certificate"):
        mailer(tls_sink.port, SENDER_PASSWORD=SECRET).check_reachable()


def test_a_password_is_never_sent_in_the_clear_unless_asked(sink: RunningSmtpSink) -> None:
    with pytest.raises(ConfigurationError, match="STARTTLS"):
        mailer(sink.port, SENDER_PASSWORD=SECRET).check_reachable()
    with pytest.raises(ConfigurationError, match="STARTTLS"):
        mailer(sink.port, SMTP_SECURITY="starttls").check_reachable()


def test_a_server_without_log_in_says_to_remove_the_password(sink: RunningSmtpSink) -> None:
    with pytest.raises(ConfigurationError, match="Remove SENDER_PASSWORD"):
        mailer(sink.port, SENDER_PASSWORD=SECRET, SMTP_SECURITY="none").check_reachable()


def test_tls_to_a_port_that_speaks_none_names_the_settings(sink: RunningSmtpSink) -> None:
    with pytest.raises(ConfigurationError, match="SMTP_SECURITY"):
        mailer(sink.port, SMTP_SECURITY="tls").check_reachable()


def test_some_refused_recipients_do_not_keep_the_mail_from_the_others() -> None:
    with running_smtp_sink(refused_recipients=frozenset({"gone@example.org"})) as sink:
        sent = mailer(sink.port).send(
            message(recipients=("gone@example.org", "here@example.org")), message_id=MESSAGE_ID
        )
        assert sink.mails()[0].recipients == ["here@example.org"]
    assert sent.accepted == ("here@example.org",)
    assert sent.refused["gone@example.org"].startswith("550")


def test_nobody_left_to_deliver_to_is_a_configuration_error() -> None:
    with running_smtp_sink(refused_recipients=frozenset({"gone@example.org"})) as sink:
        with pytest.raises(ConfigurationError, match=r"gone@example\.org: 550"):
            mailer(sink.port).send(message(recipients=("gone@example.org",)), message_id=MESSAGE_ID)
        assert sink.mails() == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (SmtpFault.BUSY, RetryableError),
        (SmtpFault.TEMPORARY, RetryableError),
        (SmtpFault.DROP_CONNECTION, RetryableError),
        (SmtpFault.LOST_ANSWER, RetryableError),
        (SmtpFault.PERMANENT, PermanentError),
    ],
)
def test_a_servers_no_is_told_from_its_not_now(
    fault: SmtpFault, error: type[PlatformError]
) -> None:
    with running_smtp_sink(fault=fault) as sink:
        with pytest.raises(error):
            mailer(sink.port).send(message(), message_id=MESSAGE_ID)
        assert sink.connections() == 1  # it is not for the mailer to try again


def test_a_server_that_is_down_may_come_back() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(RetryableError, match="SMTP_SERVER and SMTP_PORT"):
            mailer(unused.getsockname()[1]).check_reachable()


def test_a_server_that_is_silent_may_come_back() -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = MailSettings.model_validate(
            {
                "SMTP_SERVER": "127.0.0.1",
                "SMTP_PORT": silent.getsockname()[1],
                "SENDER_EMAIL": "batch@example.org",
            }
        )
        with pytest.raises(RetryableError, match="does not answer"):
            Mailer(settings, timeout_seconds=0.2).check_reachable()


@pytest.mark.parametrize(
    ("number", "error"),
    [(socket.EAI_NONAME, ConfigurationError), (socket.EAI_AGAIN, RetryableError)],
)
def test_an_unknown_server_is_told_from_a_name_service_that_is_down(
    monkeypatch: pytest.MonkeyPatch, number: int, error: type[PlatformError]
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise socket.gaierror(number, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(error, match=r"mail\.example\.invalid"):
        mailer(25, host="mail.example.invalid").check_reachable()


def test_files_over_the_limit_are_named_in_the_mail_instead(
    sink: RunningSmtpSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "ATTACHMENT_LIMIT_BYTES", 1_000)
    small, large = tmp_path / "small.xlsx", tmp_path / "<large>.xlsx"
    small.write_bytes(bytes(600))
    large.write_bytes(bytes(401))
    sent = mailer(sink.port).send(message(attachments=(small, large)), message_id=MESSAGE_ID)
    received = only_mail(sink)
    assert [part.get_filename() for part in received.iter_attachments()] == ["small.xlsx"]
    assert sent.left_out == (large,)
    assert str(large) in body(received, "plain")
    assert "&lt;large&gt;.xlsx" in body(received, "html")
    assert body(received, "html").rstrip().endswith("</body></html>")


def test_the_servers_own_limit_is_kept(tmp_path: Path) -> None:
    large = tmp_path / "large.xlsx"
    large.write_bytes(bytes(900_000))
    with running_smtp_sink(largest_bytes=1_000_000) as sink:
        sent = mailer(sink.port).send(message(attachments=(large,)), message_id=MESSAGE_ID)
        assert len(sink.mails()) == 1
    assert sent.left_out == (large,)


def test_a_file_that_is_gone_is_said_by_name(sink: RunningSmtpSink, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"gone\.xlsx cannot be attached"):
        mailer(sink.port).send(
            message(attachments=(tmp_path / "gone.xlsx",)), message_id=MESSAGE_ID
        )
    assert sink.mails() == []


def test_without_a_server_it_is_not_configured_and_says_what_to_set() -> None:
    unset = Mailer(MailSettings.model_validate({"SENDER_EMAIL": "batch@example.org"}))
    assert not unset.is_configured
    with pytest.raises(ConfigurationError, match="SMTP_SERVER"):
        unset.send(message(), message_id=MESSAGE_ID)


def test_a_mail_to_nobody_says_what_to_set(sink: RunningSmtpSink) -> None:
    with pytest.raises(ConfigurationError, match="RECIPIENT_EMAILS"):
        mailer(sink.port).send(message(recipients=()), message_id=MESSAGE_ID)

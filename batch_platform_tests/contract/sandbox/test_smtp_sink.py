"""The SMTP sink keeps what a mail client sends, and goes wrong when asked to."""

import smtplib
import ssl
from email.message import EmailMessage

import httpx
import pytest

from batch_platform.sandbox import loopback
from batch_platform.sandbox.mail_folder import MailFolder
from batch_platform.sandbox.mail_page import mail_page
from batch_platform.sandbox.smtp_sink import running_smtp_sink

HOSTILE = '<script>alert("제목")</script>'


def mail(subject: str = "보고서", to: str = "reader@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "batch@example.com"
    message["To"] = to
    message["Subject"] = subject
    message.set_content("본문입니다.\n.점으로 시작하는 줄")
    message.add_alternative("<p>본문 <b>HTML</b></p><script>1</script>", subtype="html")
    message.add_attachment(
        b"PK\x03\x04", maintype="application", subtype="zip", filename="채팅키워드분류보고서.xlsx"
    )
    return message


def send(sink, message: EmailMessage, *blind: str) -> dict:
    with smtplib.SMTP(sink.host, sink.port, timeout=5) as client:
        everyone = [*str(message["To"]).split(", "), *blind]
        return client.send_message(message, to_addrs=everyone)


@pytest.fixture
def sink():
    with running_smtp_sink() as running:
        yield running


def test_a_mail_is_kept_as_it_was_sent_with_its_envelope(sink):
    send(sink, mail(), "blind@example.com")
    (kept,) = sink.mails()
    assert kept.recipients == ["reader@example.com", "blind@example.com"]
    assert kept.message["Subject"] == "보고서"
    assert kept.message["X-Sandbox"] == "made-up"
    plain = kept.message.get_body(("plain",))
    assert plain is not None
    assert ".점으로 시작하는 줄" in plain.get_content()
    (attachment,) = kept.message.iter_attachments()
    assert attachment.get_filename() == "채팅키워드분류보고서.xlsx"
    assert attachment.get_payload(decode=True) == b"PK\x03\x04"


def test_mails_come_in_the_order_in_which_they_were_sent(sink):
    for number in range(5):
        send(sink, mail(f"{number}번째"))
    assert [str(kept.message["Subject"])[0] for kept in sink.mails()] == list("01234")


@pytest.mark.parametrize(
    ("fault", "error", "kept"),
    [
        ("drop-connection", smtplib.SMTPServerDisconnected, 0),
        ("busy", smtplib.SMTPConnectError, 0),
        ("temporary", smtplib.SMTPDataError, 0),
        ("permanent", smtplib.SMTPDataError, 0),
        ("lost-answer", smtplib.SMTPServerDisconnected, 1),
    ],
)
def test_a_fault_happens_as_often_as_asked_for(sink, fault, error, kept):
    sink.configure(fault=fault, fault_times=2)
    for _ in range(2):
        with pytest.raises(error):
            send(sink, mail())
    assert send(sink, mail()) == {}
    assert len(sink.mails()) == 2 * kept + 1


def test_a_refused_recipient_does_not_keep_the_mail_from_the_others(sink):
    sink.configure(refused_recipients={"gone@example.com"})
    refused = send(sink, mail(), "gone@example.com")
    assert refused["gone@example.com"][0] == 550
    assert sink.mails()[0].recipients == ["reader@example.com"]


def test_a_slow_server_is_slow(sink):
    sink.configure(delay=30)
    with (
        pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)),
        smtplib.SMTP(sink.host, sink.port, timeout=0.2) as client,
    ):
        client.send_message(mail())


def test_a_mail_that_is_too_large_is_refused(sink):
    sink.configure(largest_bytes=500)
    with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPDataError)):
        send(sink, mail())


def test_logging_in_needs_tls_and_the_right_password():
    with running_smtp_sink(starttls=True, username="batch", password="secret") as sink:
        with pytest.raises(smtplib.SMTPSenderRefused):
            send(sink, mail())
        for password, is_right in (("wrong", False), ("secret", True)):
            with smtplib.SMTP("localhost", sink.port, timeout=5) as client:
                client.starttls(context=ssl.create_default_context(cafile=sink.certificate))
                if is_right:
                    client.login("batch", password)
                    client.send_message(mail())
                else:
                    with pytest.raises(smtplib.SMTPAuthenticationError):
                        client.login("batch", password)
        assert len(sink.mails()) == 1
        assert sink.last_came_over_tls()


@pytest.fixture
def page(tmp_path):
    folder = MailFolder(tmp_path)
    bound = loopback.loopback_socket()
    with (
        loopback.serving_in_a_thread(lambda: mail_page(folder), bound),
        httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}") as client,
    ):
        yield folder, client


def stored(folder: MailFolder, message: EmailMessage) -> str:
    return folder.store(message.as_bytes(), "batch@example.com", ["reader@example.com"])


def test_the_page_says_in_both_languages_that_nothing_was_delivered(page):
    _, client = page
    for text in ("지어낸 메일", "Made up", "No mail yet"):
        assert text in client.get("/").text


def test_the_page_lists_mails_and_opens_their_text_and_attachments(page):
    folder, client = page
    name = stored(folder, mail())
    listed = client.get("/").text
    assert "보고서" in listed
    assert f"/mails/{name}" in listed
    assert "본문입니다." in client.get(f"/mails/{name}").text
    attachment = client.get(f"/mails/{name}/attachments/0")
    assert attachment.content == b"PK\x03\x04"
    assert attachment.headers["content-disposition"].startswith("attachment;")
    assert client.get(f"/mails/{name}/raw").content.startswith(b"X-Sandbox: made-up")


def test_nothing_of_a_mail_can_run_in_the_page(page):
    folder, client = page
    name = stored(folder, mail(HOSTILE))
    for path in ("/", f"/mails/{name}"):
        shown = client.get(path)
        assert "<script" not in shown.text
        assert "&lt;script&gt;" in shown.text
        assert "default-src 'none'" in shown.headers["content-security-policy"]
    framed = client.get(f"/mails/{name}/html")
    assert framed.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "script-src" not in framed.headers["content-security-policy"]


def test_an_image_of_the_mail_is_shown_within_its_html(page):
    folder, client = page
    message = EmailMessage()
    message["Subject"] = "차트"
    message.set_content("차트")
    message.add_alternative('<img src="cid:chart">', subtype="html")
    html_part = message.get_payload()[1]  # type: ignore[index]
    html_part.add_related(b"\x89PNG", "image", "png", cid="<chart>")  # type: ignore[union-attr]
    name = stored(folder, message)
    assert 'src="data:image/png;base64,' in client.get(f"/mails/{name}/html").text


@pytest.mark.parametrize(
    "path",
    [
        "/mails/nothing.eml",
        "/mails/..%2F..%2Fetc%2Fpasswd",
        "/mails/{name}/attachments/7",
        "/mails/{name}/attachments/x",
    ],
)
def test_what_is_not_there_is_not_found(page, path):
    folder, client = page
    name = stored(folder, mail())
    assert client.get(path.format(name=name)).status_code == 404


def test_half_a_mail_is_never_listed(tmp_path):
    folder = MailFolder(tmp_path)
    (tmp_path / ".20261120T000000.000000-000001.eml.unfinished").write_bytes(b"X-")
    assert folder.names() == []

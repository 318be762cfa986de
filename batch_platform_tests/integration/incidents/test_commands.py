"""`batch-platform alerts` and `deadlines` as a person types them, on a real database."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from batch_platform.cli.main import app
from batch_platform.core.errors import NotFoundError, PermanentError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.operations.incidents.models import IncidentKind, Trouble
from batch_platform.operations.incidents.store import IncidentBook
from batch_platform.sandbox.smtp_sink import running_smtp_sink

Say = Callable[..., str]
FAILED = Trouble(
    kind=IncidentKind.FAILED,
    domain="chats",
    asset="chats/report",
    partition="2026-11-19",
    job="chats_night_job",
    causes=["The disk is full"],
    advice=[],
    run_id="run-1",
    is_made_up=False,
)


@pytest.fixture
def say(platform_db: PlatformDb, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Type a command; what it printed. An error of ours comes out as it is."""
    monkeypatch.setenv("PLATFORM_DATABASE_URL", platform_db.url)
    monkeypatch.setenv("ENGINE_FOR_SQLALCHEMY", "sqlite:////nowhere")
    monkeypatch.setenv("COLUMNS", "200")

    def say(*arguments: str, code: int = 0) -> str:
        ended = CliRunner().invoke(app, arguments)
        if isinstance(ended.exception, PermanentError):
            raise ended.exception
        assert ended.exit_code == code, ended.output
        return ended.stdout

    return say


def test_an_incident_is_listed_muted_and_told_again(platform_db: PlatformDb, say: Say) -> None:
    assert "열린 사건이 없습니다" in say("alerts", "list")
    book = IncidentBook(platform_db)
    book.report(FAILED, datetime.now(UTC))
    (incident,) = book.open_incidents()
    number = str(incident.incident_id)
    listed = say("alerts", "list")
    assert "chats/report" in listed
    assert "The disk is full" in listed
    assert f"사건 {number}번을" in say("alerts", "mute", number, "--hours", "2")
    assert "까지 끔" in say("alerts", "list")
    assert "다시 알립니다" in say("alerts", "unmute", number)
    assert "까지 끔" not in say("alerts", "list")
    with pytest.raises(NotFoundError):
        say("alerts", "mute", "99")


def test_routes_are_made_changed_tried_and_removed(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "모든 알림이 곧바로 mail" in say("alerts", "routes", "list")
    added = say(
        "alerts", "routes", "add", "--channel", "mail", "--to", "dba@example.org",
        "--domain", "backups", "--hours", "09:00-18:00",
    )  # fmt: skip
    assert "길 1번을 더했습니다" in added
    assert "dba@example.org" in added
    assert "주의 이상" in say("alerts", "routes", "edit", "1", "--severity", "warning")
    with pytest.raises(PermanentError, match="no hours"):
        say("alerts", "routes", "edit", "1", "--hours", "morning")
    with pytest.raises(PermanentError, match="no domain 'backup'"):
        say("alerts", "routes", "edit", "1", "--domain", "backup")

    assert "아무 데도 가지 않습니다" in say("alerts", "test", "--domain", "chats", code=1)
    assert "실패 mail" in say("alerts", "test", "--domain", "backups", code=1)
    with running_smtp_sink() as sink:
        for name, value in (
            ("SMTP_SERVER", "127.0.0.1"),
            ("SMTP_PORT", str(sink.port)),
            ("SMTP_SECURITY", "none"),
            ("SENDER_EMAIL", "batch@example.org"),
        ):
            monkeypatch.setenv(name, value)
        assert "보냄 mail: dba@example.org" in say("alerts", "test", "--domain", "backups")
        assert [mail.recipients for mail in sink.mails()] == [["dba@example.org"]]
    assert "길이 없습니다" in say("alerts", "routes", "delete", "1")
    with pytest.raises(NotFoundError):
        say("alerts", "routes", "delete", "1")


def test_deadlines_are_moved_taken_away_and_put_back(say: Say) -> None:
    assert "07:00" in say("deadlines", "list")
    moved = say("deadlines", "set", "chats/report", "06:30", "--days-after", "2")
    assert "chats/report의 마감을 바꾸었습니다" in moved
    assert "06:30" in moved
    assert "2일 뒤" in moved
    assert "마감 없음" in say("deadlines", "off", "chats/report")
    assert "07:00" in say("deadlines", "reset", "chats/report")
    with pytest.raises(PermanentError, match="no time of day"):
        say("deadlines", "set", "chats/report", "25:00")
    with pytest.raises(NotFoundError, match="chats/report"):
        say("deadlines", "set", "chats/reports", "06:30")

"""Every command as a person types it: what it does, what it prints, how it ends."""

import re
import signal
import time

import dagster as dg
import openpyxl
import pytest
from typer.testing import CliRunner

from batch_platform.cli.main import app
from batch_platform.orchestration.steps import COMMAND_TAG
from batch_platform_tests.integration.cli.conftest import DAY, Installation, ended

DAY_BEFORE = "2025-06-11"
RANGE = ("-s", DAY_BEFORE, "-e", str(DAY))
HELPS = [
    (),
    ("chats",),
    ("chats", "batch"),
    ("chats", "report"),
    ("chats", "complete"),
    ("chats", "missing"),
    ("chats", "missing", "check"),
    ("chats", "missing", "process"),
    ("chats", "missing", "auto"),
    ("config",),
    ("config", "show"),
    ("config", "validate"),
    ("config", "example"),
    ("db", "migrate"),
    ("status",),
    ("demo",),
    ("up",),
    ("down",),
    ("api",),
    ("tokens", "create"),
    ("tokens", "list"),
    ("tokens", "revoke"),
]

pytestmark = pytest.mark.xdist_group("cli commands")


@pytest.fixture
def filled(installation: Installation) -> Installation:
    """Both days are classified."""
    if not all(installation.counts()):
        assert installation.run("chats", "batch", *RANGE).code == 0
    return installation


def test_the_command_is_installed(installation: Installation) -> None:
    shown = installation.run("--help")
    assert shown.code == 0, shown
    for word in ("chats", "config", "demo", "up", "down", "status", "db", "tokens", "api"):
        assert word in shown.out


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_help_teaches_with_an_example(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0, shown.output
    assert re.search("[가-힣]", shown.output)
    if command not in {("chats",), ("chats", "missing"), ("config",)}:
        assert "batch-platform " in shown.output.partition("Usage:")[2].partition("\n")[2]


def test_a_dry_run_counts_asks_nothing_and_writes_nothing(installation: Installation) -> None:
    installation.forget()
    asked = len(installation.model.received)
    shown = installation.run("chats", "batch", *RANGE, "--dry-run")
    assert shown.code == 0, shown.err
    figures = [
        [int(cell.replace(",", "")) for cell in re.findall(r"│ +([\d,]+) (?=│)", line)]
        for line in shown.out.splitlines()
        if line.startswith("│ 2025")
    ]
    assert len(figures) == 2
    for chats, questions, in_ledger, to_ask, calls, input_tokens, output_tokens in figures:
        assert chats > questions == to_ask > 0
        assert in_ledger == 0
        assert calls == -(-to_ask // 10)
        assert input_tokens > output_tokens > 0
    assert len(installation.model.received) == asked
    assert installation.counts() == (0, 0, 0)
    assert installation.db.fetch_all("SELECT count(*) FROM llm.calls") == [(0,)]


def test_missing_days_are_found_filled_and_found_no_more(installation: Installation) -> None:
    installation.forget()
    found = installation.run("chats", "missing", "check", *RANGE)
    assert found.code == 1
    assert DAY_BEFORE in found.out
    assert str(DAY) in found.out

    filled = installation.run("chats", "missing", "auto", *RANGE)
    assert filled.code == 0, filled
    assert "빠진 것이 없습니다" in filled.out
    assert all(installation.counts(DAY))

    # A chat that came late makes its day one that is not whole.
    installation.in_source(
        "INSERT INTO chattings VALUES (1, '늦게 온 전학 질문', ?)", f"{DAY} 10:00:00.000000"
    )
    processed = installation.run("chats", "missing", "process", *RANGE)
    assert processed.code == 0, processed
    assert "1일을 채웠습니다" in processed.out
    installation.in_source("DELETE FROM chattings WHERE chatting_pk = 1")


def test_a_batch_asks_only_what_is_new_and_is_in_the_history(filled: Installation) -> None:
    asked = len(filled.model.received)
    done = filled.run("chats", "batch", *RANGE, "--workers", "4", "--chunk-size", "500")
    assert done.code == 0, done
    assert "chats/classifications" in done.out
    assert "--chunk-size" in done.err
    # Two days, but a warning that concerns both is told once, and as a warning.
    (warning,) = [line for line in done.err.splitlines() if "No price of the model" in line]
    assert warning.startswith("주의 ")
    assert len(filled.model.received) == asked
    runs = filled.runs()[:2]
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert {run.tags["dagster/partition"] for run in runs} == {DAY_BEFORE, str(DAY)}
    for run in runs:
        assert run.tags[COMMAND_TAG].startswith(f"batch-platform chats batch -s {DAY_BEFORE}")


def test_complete_classifies_reports_and_mails_once(filled: Installation) -> None:
    mails = len(filled.mails.mails())
    assert filled.run("chats", "complete", str(DAY)).code == 0
    assert len(filled.mails.mails()) == mails + 1
    again = filled.run("chats", "batch", "-d", str(DAY), "--email")
    assert again.code == 0
    assert "sent before" in again.out
    assert len(filled.mails.mails()) == mails + 1


def test_reports_go_where_they_are_wanted(filled: Installation) -> None:
    of_a_day = filled.run("chats", "report", "-d", str(DAY))
    assert of_a_day.code == 0, of_a_day
    (path,) = filled.reports.glob(f"*{DAY}.xlsx")
    assert str(path) in of_a_day.out

    mails = len(filled.mails.mails())
    target = filled.folder / "주간 [보고].xlsx"
    of_a_range = filled.run("chats", "report", *RANGE, "-o", str(target), "--email")
    assert of_a_range.code == 0, of_a_range
    assert str(target) in of_a_range.out
    book = openpyxl.load_workbook(target, read_only=True)
    assert len(book.sheetnames) == 6
    book.close()
    (mail,) = filled.mails.mails()[mails:]
    assert DAY_BEFORE in mail.message["Subject"]
    assert [part.get_filename() for part in mail.message.iter_attachments()] == [target.name]


def test_debug_shows_where_it_failed(installation: Installation) -> None:
    shown = installation.run("chats", "report", "--debug", "-d", "2025-06-03")
    assert shown.code == 1
    assert "Stack Trace" in shown.out + shown.err


def test_ctrl_c_ends_a_range_at_once_and_the_history_says_so(installation: Installation) -> None:
    installation.forget()
    history = len(installation.runs())
    installation.model.server.configure(delay=1.0)
    process = installation.start("chats", "batch", *RANGE, "--workers", "2")
    deadline = time.monotonic() + 30
    while not installation.model.server.stats()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    interrupted = ended(process)
    installation.model.server.configure(delay=0)

    assert interrupted.code == 130, interrupted
    assert "중단" in interrupted.err
    assert "Traceback" not in interrupted.err
    runs = installation.runs()
    assert len(runs) == history + 1
    assert runs[0].status is dg.DagsterRunStatus.FAILURE
    assert installation.counts() == (0, 0, 0)


def test_status_tells_what_is_reached(installation: Installation) -> None:
    shown = installation.run("status")
    assert shown.code == 0, shown
    for word in ("PostgreSQL", "SQLite", "sandbox-1", "127.0.0.1"):
        assert word in shown.out


def test_migrate_says_from_what_to_what(installation: Installation) -> None:
    url = installation.variables["PLATFORM_DATABASE_URL"]
    with installation.db.connect("test") as connection:
        connection.execute("CREATE DATABASE empty_one")
    fresh = {"PLATFORM_DATABASE_URL": f"{url.rsplit('/', 1)[0]}/empty_one"}
    refused = installation.run("chats", "missing", "check", *RANGE, changes=fresh)
    assert "batch-platform db migrate" in refused.one_clear_line(2)
    assert "→" in installation.run("db", "migrate", changes=fresh).out
    with installation.db.connect("test") as connection:
        connection.execute("DROP DATABASE empty_one WITH (FORCE)")

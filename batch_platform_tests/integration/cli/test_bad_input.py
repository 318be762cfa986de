"""Whatever is wrong: one clear line, the right exit code, and nothing half written."""

import os
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from batch_platform_tests.integration.cli.conftest import DAY, Installation

pytestmark = pytest.mark.xdist_group("cli bad input")

ASK_DAY = ("chats", "batch", "-d", "2025-06-11")
REPORT_DAY = ("chats", "report", "-d", str(DAY))
Snapshot = list[tuple[object, ...]]


@pytest.fixture(scope="module")
def classified(installation: Installation) -> Installation:
    done = installation.run("chats", "batch", "-d", str(DAY))
    assert done.code == 0, done
    return installation


@pytest.fixture
def unchanged(classified: Installation) -> Iterator[Installation]:
    """Whatever a test's command does, classifications and files stay as they were."""

    def content() -> Snapshot:
        return [
            *classified.db.fetch_all(
                "SELECT chat_date, count(*), sum(hash_record_extended(row_, 0))"
                " FROM chats.classifications AS row_ GROUP BY 1"
            ),
            *classified.in_source("SELECT count(*) FROM admin_chat_keywords"),
            *((str(path), path.stat().st_mtime_ns) for path in classified.folder.rglob("*.xlsx")),
            *((str(path),) for path in classified.folder.rglob("*.partial")),
        ]

    before = content()
    yield classified
    assert content() == before


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"PLATFORM_DATABASE_URL": "postgresql://me:canary@127.0.0.1:1/platform"},
            None,
            ("127.0.0.1:1", "PLATFORM_DATABASE_URL"),
        ),
        (
            {"ENGINE_FOR_SQLALCHEMY": "sqlite:////nowhere/chats.sqlite"},
            2,
            ("/nowhere/chats.sqlite", "ENGINE_FOR_SQLALCHEMY"),
        ),
        (
            {"ENGINE_FOR_SQLALCHEMY": "mysql+pymysql://me:canary@127.0.0.1:1/chat"},
            None,
            ("127.0.0.1:1", "ENGINE_FOR_SQLALCHEMY"),
        ),
        ({"ENGINE_FOR_SQLALCHEMY": None}, 2, ("ENGINE_FOR_SQLALCHEMY is not set",)),
        ({"DB_TABLE_CHATTINGS": "chat"}, 2, ("chat", "chattings", "DB_TABLE_CHATTINGS")),
        ({"DB_COLUMN_INPUT_TEXT": "text"}, 2, ("'text'", "input_text", "DB_COLUMN_INPUT_TEXT")),
        ({"CRON_SCHEDULE": "every night"}, 2, ("CRON_SCHEDULE", "0 1 * * *")),
        ({"PARALLEL_WORKERS": "many"}, 2, ("PARALLEL_WORKERS", "settings.env")),
        (
            {"LLM_PROVIDER": None, "LLM_BASE_URL": None, "LLM_API_KEY": None},
            2,
            ("HCX_CHAT_API_KEY",),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_setting_that_is_wrong(
    unchanged: Installation,
    changes: dict[str, str | None],
    code: int | None,
    words: tuple[str, ...],
) -> None:
    shown = unchanged.run(*ASK_DAY, changes=changes)
    line = shown.one_clear_line(shown.code if code is None else code)
    assert shown.code in {1, 2}
    assert all(word in line for word in words), line
    assert "canary" not in shown.out + shown.err


def test_a_wrong_key_is_tried_once(unchanged: Installation) -> None:
    before = len(unchanged.model.received)
    wrong = {"LLM_API_KEY": "wrong-canary"}
    shown = unchanged.run(*ASK_DAY, "--workers", "1", changes=wrong)
    line = shown.one_clear_line(2)
    assert "LLM_API_KEY" in line
    assert "wrong-canary" not in shown.out + shown.err
    assert len(unchanged.model.received) == before + 1


def test_an_empty_category_list(unchanged: Installation) -> None:
    rows = unchanged.in_source("SELECT * FROM admin_categories")
    unchanged.in_source("DELETE FROM admin_categories")
    line = unchanged.run(*ASK_DAY).one_clear_line(2)
    for row in rows:
        unchanged.in_source("INSERT INTO admin_categories VALUES (?, ?)", *row)
    assert "admin_categories is empty" in line


@pytest.mark.parametrize("text", [str(date.today() + timedelta(days=3)), "11월 19일"])  # noqa: DTZ011
def test_a_date_that_is_not_over_or_none(unchanged: Installation, text: str) -> None:
    line = unchanged.run("chats", "batch", "-d", text).one_clear_line(1)
    assert text in line


def test_options_that_contradict(unchanged: Installation) -> None:
    shown = unchanged.run("chats", "batch", "-d", str(DAY), "-s", str(DAY), "-e", str(DAY))
    assert shown.code == 2
    assert "Traceback" not in shown.err


def test_a_worker_of_a_queue_that_is_none(unchanged: Installation) -> None:
    line = unchanged.run("worker", "--queue", "nope").one_clear_line(2)
    assert "'nope'" in line
    assert "llm, data, backup" in line


def test_a_report_of_a_day_without_data(unchanged: Installation) -> None:
    assert "2025-06-03" in unchanged.run("chats", "report", "-d", "2025-06-03").one_clear_line(1)
    target = unchanged.folder / "none.xlsx"
    arguments = ("-s", "2025-06-01", "-e", "2025-06-03", "-o", str(target))
    assert "2025-06-01" in unchanged.run("chats", "report", *arguments).one_clear_line(1)
    assert not target.exists()


def test_a_report_folder_that_is_none(unchanged: Installation) -> None:
    file = unchanged.folder / "a file"
    file.write_text("in the way")
    changes = {"CHATS_REPORT_FOLDER": "/proc/reports"}
    line = unchanged.run(*REPORT_DAY, changes=changes).one_clear_line(2)
    assert "CHATS_REPORT_FOLDER" in line
    assert "/proc/reports" in line
    assert "--output" in unchanged.run(*REPORT_DAY, "-o", f"{file}/x.xlsx").one_clear_line(2)
    assert file.read_text() == "in the way"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a few kilobytes."""
    if os.geteuid() != 0:
        pytest.skip("Only root may mount the small disk that this test fills")
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"This machine lets nobody mount a small disk: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_that_is_full(unchanged: Installation, full_disk: Path) -> None:
    shown = unchanged.run(*REPORT_DAY, changes={"CHATS_REPORT_FOLDER": str(full_disk)})
    assert "The disk is full" in shown.one_clear_line(1)
    assert list(full_disk.rglob("*")) == []

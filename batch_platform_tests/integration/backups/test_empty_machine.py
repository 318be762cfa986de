"""A backup's folder and the runbook are all that a new machine needs."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_platform.core.settings import ENV_FILE_VARIABLE, PROFILE_VARIABLE, PROJECT_ROOT
from batch_platform.gateways.embedded_postgres import (
    lease_embedded_server,
    remove_embedded_server,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform_tests.backup_world import World

_HEADING = "## Restore everything onto an empty machine"


@pytest.fixture
def new_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="batch-platform-new-"))
    home.chmod(0o755)
    yield home
    remove_embedded_server(home)
    shutil.rmtree(home, ignore_errors=True)


def test_the_runbook_restores_onto_an_empty_machine(world: World, new_home: Path) -> None:
    world.dump(sources=world.sources())
    # Only the folder comes along: no database, no record of it, no verification.
    stick = new_home / "stick"
    shutil.copytree(world.backups.path, stick)
    (backup,) = stick.iterdir()

    runbook = (PROJECT_ROOT / "docs" / "runbooks" / "backups.md").read_text(encoding="utf-8")
    section = runbook.split(_HEADING)[1].split("\n## ")[0]
    (script,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    done = subprocess.run(
        ["sh", "-e", "-c", script.replace("batch-platform status", "")],
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BATCH_PLATFORM_HOME": str(new_home),
            ENV_FILE_VARIABLE: os.devnull,
            PROFILE_VARIABLE: "live",
            "BACKUP": str(backup),
        },
        cwd=new_home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("복원됨") == 2
    lease, url = lease_embedded_server(new_home)
    try:
        notes = "SELECT note_id, written, body, figures, price, at FROM notes ORDER BY note_id"
        names = ["batch_platform", "batch_platform_dagster"]
        assert PlatformDb(f"{url}{names[0]}").fetch_all(notes) == world.rows(notes)
        there = PlatformDb(f"{url}postgres").fetch_all(
            "SELECT datname FROM pg_database WHERE starts_with(datname, 'batch') ORDER BY 1"
        )
        assert [name for (name,) in there] == names
    finally:
        lease.release()

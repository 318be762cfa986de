"""The units of a plain host and the Procfile."""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main
import yaml

from batch_platform.cli.main import app
from batch_platform.core.settings import PROJECT_ROOT, SECRETS_VARIABLE, variable_names

SYSTEMD = PROJECT_ROOT / "deploy" / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
COMMON = SYSTEMD / "batch-platform-.service.d" / "common.conf"
PROGRAMS = "/opt/batch-platform/.venv/bin/"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: the units are only read here")
    said = _verified(tmp_path / "right")
    assert said == ""
    # It says so when there is something to say, of what all units share too.
    said = _verified(tmp_path / "wrong", ("PrivateTmp=yes", "PrivateTemp=yes"))
    assert "PrivateTemp" in said


def _verified(folder: Path, *changes: tuple[str, str]) -> str:
    shutil.copytree(SYSTEMD, folder)
    for file in folder.rglob("*.*"):
        if file.is_file():
            # The programs are not installed here; whether they exist is tested below.
            text = re.sub(rf"{PROGRAMS}\S+", "/bin/true", file.read_text())
            for old, new in changes:
                text = text.replace(old, new)
            file.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "batch-platform.target",
         *(unit.name for unit in UNITS)],
        cwd=folder,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:/lib/systemd/system"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_every_part_has_its_unit() -> None:
    assert {unit.name.removeprefix("batch-platform-") for unit in UNITS} == {
        "api.service",
        "code-server.service",
        "daemon.service",
        "migrate.service",
        "viewer.service",
        "webserver.service",
        "worker@.service",
    }


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_program_that_there_is(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    assert line.startswith(PROGRAMS)
    program, *arguments = line.removeprefix(PROGRAMS).split()
    if program == "batch-platform":
        _require_command(arguments)
    elif program == "python":
        assert arguments[:3] == ["-P", "-m", "batch_platform.code_server"]
        assert find_spec(arguments[2])
    else:
        assert program in {"dagster-webserver", "dagster-daemon"}
    for argument in arguments:
        if argument.startswith("--workspace="):
            file = argument.removeprefix("--workspace=/opt/batch-platform/")
            (location,) = yaml.safe_load((PROJECT_ROOT / file).read_text())["load_from"]
            assert location["grpc_server"]["port"] == 4000


def test_the_settings_of_the_units_exist() -> None:
    names = re.findall(r"^Environment=(\w+)=", COMMON.read_text(), re.MULTILINE)
    known = {*variable_names(), SECRETS_VARIABLE, "TZ", "DAGSTER_HOME", "BATCH_PLATFORM_PROFILE"}
    assert names
    assert set(names) <= known


def test_the_procfile_names_commands_that_there_are() -> None:
    processes = dict(
        line.split(": ", 1) for line in (PROJECT_ROOT / "Procfile").read_text().splitlines()
    )
    assert set(processes) == {"release", "web", "worker"}
    assert "--port $PORT" in processes["web"]
    for command in processes.values():
        words = [word for word in command.split() if not re.match(r"[A-Z_]+=", word)]
        if words[0] == "batch-platform":
            _require_command(words[1:])
        else:
            assert words[:2] == ["dagster-daemon", "run"]
            assert (PROJECT_ROOT / words[3]).exists()


def _require_command(words: list[str]) -> None:
    command = typer.main.get_command(app)
    for word in words:
        if word.startswith(("-", "$")):
            break
        command = command.commands[word]  # type: ignore[attr-defined]

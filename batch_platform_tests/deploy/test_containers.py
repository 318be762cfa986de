"""The image's file and the Compose file, looked at by the tools made for them; no engine runs."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import check_jsonschema.builtin_schemas
import jsonschema
import pytest
import yaml

from batch_platform.core.settings import PROJECT_ROOT, SECRETS_VARIABLE, variable_names
from batch_platform.gateways.embedded_postgres import bundled_binaries

DOCKER = PROJECT_ROOT / "deploy" / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {
    name for name, service in SERVICES.items() if service["image"].startswith("batch-platform:")
}
DOCKERFILE = (DOCKER / "Dockerfile").read_text()


def test_the_images_file_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", DOCKER / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_have_seen_it() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", "-"],
        input="FROM python:latest\nRUN cd /tmp && pip install x\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert {"DL3007", "DL3013"} <= set(re.findall(r"DL\d+", done.stdout))


def test_the_image_has_what_it_copies_and_runs_as_nobody_special() -> None:
    ignored = [
        line
        for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert ignored[0] == "*"
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    stages = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = [name for names in stages for name in names.split()]
    assert copied
    for name in copied:
        assert (PROJECT_ROOT / name).exists(), name
        assert name in let_in, f"{name} is not sent to the builder"
    assert set(let_in) == set(copied), "sent to the builder for nothing"
    for secret in (".env", "deploy/docker/secrets/OPENAI_API_KEY", "var/live/x", ".git/config"):
        assert not any(fnmatch.fnmatch(secret, f"{name}*") for name in let_in), secret
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {
        "python:${PYTHON_VERSION}-slim-trixie"
    }
    assert re.search(r"^ARG PYTHON_VERSION=3\.\d+\.\d+$", DOCKERFILE, re.MULTILINE)


def test_the_compose_file_is_one() -> None:
    folder = Path(check_jsonschema.builtin_schemas.__file__).parent / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"x": {"imag": "y"}}}, schema)


def test_compose_itself_takes_it_where_it_is_installed(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    has_compose = (
        docker
        and not subprocess.run(
            [docker, "compose", "version"], capture_output=True, check=False
        ).returncode
    )
    if not has_compose:
        pytest.skip("The Compose plugin is not installed: the file is held to its schema alone")
    folder = tmp_path / "docker"
    shutil.copytree(DOCKER, folder)
    (folder / "secrets" / "postgres").mkdir(parents=True)
    (folder / "secrets" / "postgres" / "password").write_text("x")
    done = subprocess.run(
        [str(docker), "compose", "--file", folder / "compose.yaml", "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_bounded_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == {"migrate": "on-failure:5", "cli": "no"}.get(
        name, "unless-stopped"
    )
    assert service["logging"] == {
        "driver": "json-file",
        "options": {"max-size": "10m", "max-file": "3"},
    }
    assert service["environment"]["TZ"] == "Asia/Seoul"
    assert "healthcheck" in service
    if name not in {"migrate", "cli"}:
        assert service["deploy"]["resources"]["limits"]["memory"]
    repository, _, tag = service["image"].rpartition(":")
    assert repository
    assert re.search(r"\d+\.\d+", tag), f"{name} is not pinned to a version"
    for needed in service.get("depends_on", {}).values():
        assert needed["condition"] in {"service_healthy", "service_completed_successfully"}
    if name in OURS:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_a_worker_may_take_two_gigabytes_and_has_half_of_one() -> None:
    assert SERVICES["worker"]["deploy"] == {
        "replicas": 2,
        "resources": {"limits": {"memory": "2g"}, "reservations": {"memory": "512m"}},
    }
    # Scalable: nothing of it can exist only once.
    assert not {"container_name", "ports"} & SERVICES["worker"].keys()


def test_only_the_proxy_can_be_reached_and_reaches_nothing_else() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert SERVICES["proxy"]["networks"] == ["front"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["back"]
    on_front = {name for name, service in SERVICES.items() if "front" in service["networks"]}
    asked = {SERVICES["proxy"]["environment"][f"PROXY_{part}"].partition(":")[0]
             for part in ("API", "WEBSERVER", "VIEWER")}  # fmt: skip
    assert on_front - {"proxy"} == asked
    command = SERVICES["webserver-read-only"]["command"]
    assert "--read-only" in command
    assert "--path-prefix=/view" in command
    assert "--read-only" not in SERVICES["webserver"]["command"]
    assert "--path-prefix=/dagster" in SERVICES["webserver"]["command"]


def test_no_secret_stands_in_the_file_and_every_setting_exists() -> None:
    known = {*variable_names(), SECRETS_VARIABLE, "TZ", "TMPDIR"}
    for name in OURS:
        environment = SERVICES[name]["environment"]
        assert set(environment) <= known
        assert not [each for each in environment if re.search("PASSWORD|SECRET_|KEY|TOKEN", each)]
        assert "./secrets:/run/batch-platform-secrets:ro" in SERVICES[name]["volumes"]
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"]


def test_the_proxy_is_told_everything_that_its_template_wants() -> None:
    template = (PROJECT_ROOT / "deploy/proxy/batch-platform.conf.template").read_text()
    wanted = set(re.findall(r"\$\{(PROXY_\w+)\}", template))
    given = {each for each in SERVICES["proxy"]["environment"] if each.startswith("PROXY_")}
    assert given == wanted
    source = SERVICES["proxy"]["volumes"][0].partition(":")[0]
    assert (DOCKER / source).resolve() == PROJECT_ROOT / "deploy/proxy/batch-platform.conf.template"


def test_the_backup_tools_are_of_the_databases_major() -> None:
    major = re.search(r"postgres:(\d+)\.", SERVICES["postgres"]["image"])
    said = subprocess.run(
        [bundled_binaries() / "pg_dump", "--version"], capture_output=True, text=True, check=True
    )
    assert major is not None
    assert f" {major[1]}." in said.stdout

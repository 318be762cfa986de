"""The API keeps what its OpenAPI document promises, whatever is sent: schemathesis tries."""

import os
import subprocess
import sys
from pathlib import Path

from batch_platform.gateways.tokens import Scope
from batch_platform_tests.running_api import RunningApi

_TRIES_AN_OPERATION = 10


def test_no_answer_is_off_the_document(api: RunningApi, tmp_path: Path) -> None:
    api.know_jobs()
    token = api.tokens.create("tester", Scope.ADMIN)
    with api.client(token=token) as client:
        # So that the document's example, schedule 3, is there.
        for name in ("1", "2", "3"):
            client.post("/api/batch/schedule/", json={"name": name}).raise_for_status()
    command = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{api.url}/openapi.json",
        f"--header=Authorization: Bearer {token}",
        f"--max-examples={_TRIES_AN_OPERATION}",
        "--phases=examples,coverage,fuzzing",
        # Its schema cannot say that a zone must exist or a name be free.
        "--exclude-checks=positive_data_acceptance",
        "--generation-deterministic",
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
    ]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
    tried = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr

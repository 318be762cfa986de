"""The clients that ours is measured against, each in an environment of its own at pinned versions.

An environment is made once, in the project's ignored `var/benchmarks/peers`, and again when its
requirements change. What each peer does is in its script in `benchmarks/peers`.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_platform.core.settings import PROJECT_ROOT
from batch_platform.gateways.llm.structured import AnswerForm, Way
from benchmarks.llm_job import MODEL, question, task
from benchmarks.peers.job import Spent

_SCRIPTS = Path(__file__).parent / "peers"
_ENVIRONMENTS = PROJECT_ROOT / "var" / "benchmarks" / "peers"
_LONGEST_INSTALL_SECONDS = 900
_LONGEST_RUN_SECONDS = 300


class PeerMissingError(Exception):
    """A peer could not be installed or did not run: its comparison is missing."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A client of somebody else.

    Attributes:
        key: Names its script `ask_with_<key>.py`.
        package: What it is called where packages are found.
        manner: How it is used, for the table.
        environment: Names its requirements `<environment>.txt`; the key when empty.
    """

    key: str
    package: str
    manner: str
    environment: str = ""

    @property
    def requirements(self) -> Path:
        """Every package it needs, pinned."""
        return _SCRIPTS / f"{self.environment or self.key}.txt"

    @property
    def version(self) -> str:
        """The pinned version of the package."""
        found = re.search(rf"^{self.package}==([^\s;]+)", self.requirements.read_text(), re.M)
        return found.group(1) if found else "unknown"


BARE = Peer("openai", "openai", "AsyncOpenAI on aiohttp, semaphore")
PEERS = (
    BARE,
    Peer("langchain", "langchain-openai", "batch, threads"),
    Peer("litellm", "litellm", "acompletion, semaphore"),
    Peer("curator", "bespokelabs-curator", "its own requests and cache"),
    Peer("instructor", "instructor", "AsyncOpenAI on aiohttp, semaphore"),
)
FLOOR = Peer("aiohttp", "aiohttp", "no client: what the machine allows", environment="openai")
"""Not a peer: a share of the ideal that it misses as well is the machine's and the server's."""


def install(peer: Peer) -> Path:
    """The Python of a peer's environment, which is made when it is not there yet.

    Raises:
        PeerMissingError: It cannot be installed.
    """
    told = f"{sys.version} {peer.requirements.read_text()}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    folder = _ENVIRONMENTS / f"{peer.requirements.stem}-{digest}"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists():
        return python
    print(f"Installing {peer.package} {peer.version} into {folder.relative_to(PROJECT_ROOT)} …")
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "--requirement", str(peer.requirements)],
    ):
        _run(command, peer, "cannot be installed", _LONGEST_INSTALL_SECONDS)
    done.touch()
    return python


def write_job(path: Path, model_url: str, items: int, in_flight: int) -> None:
    """Write a peers' job: the same requests, to the letter, that ours sends for the same items."""
    form = AnswerForm(task(), Way.JSON_SCHEMA)
    job = {
        "base_url": model_url,
        "model": MODEL,
        "in_flight": in_flight,
        "instructions": form.instructions,
        "response_format": form.request_fields()["response_format"],
        "messages": [form.message(form.questions([question(n)])) for n in range(items)],
    }
    path.write_text(json.dumps(job, ensure_ascii=False), "utf-8")


def run(peer: Peer, python: Path, job: Path, items: int) -> Spent:
    """Let a peer do a job.

    Raises:
        PeerMissingError: It failed, or did not answer every item validly.
    """
    script = _SCRIPTS / f"ask_with_{peer.key}.py"
    output = _run([str(python), str(script), str(job)], peer, "failed", _LONGEST_RUN_SECONDS)
    lines = [line for line in output.splitlines() if line.startswith('{"seconds"')]
    told = json.loads(lines[-1])
    if told["items"] != items:
        raise PeerMissingError(f"{peer.package} answered {told['items']} of {items} items")
    return Spent(told["seconds"], told["cpu_seconds"])


def _run(command: Sequence[str], peer: Peer, trouble: str, patience_seconds: float) -> str:
    # Nothing of this process's environment finds its way into the peer's imports.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=clean,
            timeout=patience_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PeerMissingError(
            f"{peer.package} {trouble}: not done after {patience_seconds} s"
        ) from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason said"]
        raise PeerMissingError(f"{peer.package} {trouble}: {said[-1][:200]}")
    return done.stdout

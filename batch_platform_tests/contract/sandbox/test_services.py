"""The sandbox as one process: its ports stay, it says what it is, it ends when told."""

import json
import signal
import smtplib
import subprocess
import sys
from contextlib import contextmanager
from email.message import EmailMessage

import httpx
import pytest

from batch_platform.core.errors import ConfigurationError
from batch_platform.sandbox import loopback
from batch_platform.sandbox.services import sandbox_addresses


@contextmanager
def running(home, *, ends_with: signal.Signals = signal.SIGTERM):
    command = [sys.executable, "-m", "batch_platform.sandbox", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(ends_with)
        assert process.wait(10) == 0


def test_one_process_serves_everything_and_says_where(tmp_path):
    with running(tmp_path) as ready:
        addresses = sandbox_addresses(tmp_path)
        assert ready == {"made_up": True, "ports": dict(addresses.ports)}
        assert httpx.get(f"{addresses.model_url}/models").status_code == 200
        assert httpx.get(f"{addresses.model_url}/batches").json()["data"] == []
        gemini = addresses.gemini_url.removesuffix("openai/")
        assert httpx.get(f"{gemini}batches").json()["operations"] == []
        message = EmailMessage()
        message["Subject"] = "보고서"
        message.set_content("본문")
        with smtplib.SMTP(addresses.smtp_host, addresses.smtp_port) as client:
            client.send_message(message, "batch@example.com", ["reader@example.com"])
        assert "보고서" in httpx.get(addresses.mail_page_url).text


def test_ports_and_mails_are_the_same_after_a_restart_and_a_taken_port_is_replaced(tmp_path):
    with running(tmp_path, ends_with=signal.SIGINT) as first:
        pass
    with running(tmp_path) as second:
        assert second == first
    taken = loopback.loopback_socket(first["ports"]["smtp"])
    with taken:
        taken.listen()
        with running(tmp_path) as third:
            assert third["ports"]["model"] == first["ports"]["model"]
            assert third["ports"]["smtp"] != first["ports"]["smtp"]
            assert sandbox_addresses(tmp_path).smtp_port == third["ports"]["smtp"]


def test_a_second_process_on_the_same_home_ends_with_a_word(tmp_path):
    with running(tmp_path):
        command = [sys.executable, "-m", "batch_platform.sandbox", "--home", str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 2
    assert "already runs" in second.stderr


def test_a_sandbox_that_never_ran_says_how_to_start_it(tmp_path):
    with pytest.raises(ConfigurationError, match=r"python -m batch_platform\.sandbox"):
        sandbox_addresses(tmp_path)


def test_it_does_not_outlive_a_starter_that_was_killed(tmp_path):
    """A starter's `kill -9` must not leave ports and the folder's lock taken."""
    code = (
        "import subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'batch_platform.sandbox', '--end-with-parent']\n"
        "subprocess.Popen([*command, '--home', sys.argv[1]])\n"
        "time.sleep(60)\n"
    )
    starter = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(starter, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())["ports"]
        process.kill()
    with running(tmp_path) as ready:
        assert ready["ports"] == ports


def test_starting_does_not_load_dagster():
    code = "import sys, batch_platform.sandbox.__main__; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

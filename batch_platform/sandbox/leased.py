"""The sandbox as a leased background process, and the demo's settings that point at it.

Run as `python -m batch_platform.sandbox.leased FOLDER HOME` by a lease, not by hand.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from dotenv import dotenv_values

from batch_platform.core.days import today, utc_now
from batch_platform.core.errors import ConfigurationError, PlatformError
from batch_platform.gateways.leased_process import ServiceFolder, serve
from batch_platform.sandbox.sample_chats import sample_days
from batch_platform.sandbox.services import SandboxAddresses

MODEL = "sandbox-model"
MODEL_DELAY_SECONDS = 0.05
_ZONE = "Asia/Seoul"
_STOP_SECONDS = 10


class LeasedSandbox:
    """All services of the sandbox in a child process. Implements `leased_process.Service`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> Mapping[str, object]:
        """Start the services and write the demo's settings with their addresses."""
        self._child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "batch_platform.sandbox",
                "--home",
                str(self._home),
                "--model-delay",
                str(MODEL_DELAY_SECONDS),
                "--end-with-parent",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._child.stdout is not None  # noqa: S101 - a pipe was asked for above
        line = self._child.stdout.readline()
        if not line:
            raise ConfigurationError("The sandbox ended before it was ready")
        addresses = SandboxAddresses(json.loads(line)["ports"])
        write_demo_settings(self._home, addresses)
        return {"ports": addresses.ports, "mail_page_url": addresses.mail_page_url}

    def keep_alive(self) -> Mapping[str, object] | None:
        """Start the services again if they ended."""
        if self._child is None or self._child.poll() is None:
            return None
        return self.start()

    def stop(self) -> None:
        """End the services."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()


def sample_source(home: Path) -> Path:
    """The SQLite file of the demo's chats."""
    return home / "sources" / "chats.sqlite"


def sample_users_source(home: Path) -> Path:
    """The SQLite file of the demo's fortunes app."""
    return home / "sources" / "fortunes.sqlite"


def sample_patients_source(home: Path) -> Path:
    """The SQLite file of the demo's patients."""
    return home / "sources" / "patients.sqlite"


def sample_posts_source(home: Path) -> Path:
    """The CSV of the demo's posts."""
    return home / "sources" / "posts.csv"


def _first_day(home: Path) -> date:
    """The first day of the sample when the demo was first made; it stays as the sample grows.

    Without it, the demo's partitions would begin years before its data.
    """
    remembered = dotenv_values(home / "demo.env").get("CHATS_FIRST_DAY")
    if remembered:
        return date.fromisoformat(remembered)
    return sample_days(today(utc_now, ZoneInfo(_ZONE)) - timedelta(days=1))[0]


def _stocks_first_day(home: Path) -> date:
    """The first of January of the year before the demo was first made; it stays."""
    remembered = dotenv_values(home / "demo.env").get("STOCKS_FIRST_DAY")
    if remembered:
        return date.fromisoformat(remembered)
    return date(today(utc_now, ZoneInfo(_ZONE)).year - 1, 1, 1)


def write_demo_settings(home: Path, addresses: SandboxAddresses) -> None:
    """Write `demo.env`, the only settings that the demo profile reads."""
    values = {
        "BATCH_PLATFORM_HOME": home,
        "ORG_NAME": "가상교육청 (데모)",
        "CHATS_FIRST_DAY": _first_day(home),
        "ENGINE_FOR_SQLALCHEMY": f"sqlite:///{sample_source(home)}",
        "FORTUNES_FIRST_DAY": _first_day(home),
        "DATABASE_URL": f"sqlite:///{sample_users_source(home)}",
        "INTERVENTIONS_DATABASE_URL": f"sqlite:///{sample_patients_source(home)}",
        "INTERVENTIONS_TABLE_SLEEP_RECORDS": "interventions_usersleeprecord",
        "INTERVENTIONS_FIRST_DAY": _first_day(home),
        "STOCKS_FIRST_DAY": _stocks_first_day(home),
        "KRX_AUTH_KEY": "sandbox",
        "KRX_BASE_URL": addresses.krx_url,
        "PUBLIC_DATA_SERVICE_KEY": "sandbox",
        "PUBLIC_DATA_BASE_URL": addresses.public_data_url,
        "OPENDART_API_KEY": "sandbox",
        "OPENDART_BASE_URL": addresses.opendart_url,
        "OPENDART_SECONDS_BETWEEN_CALLS": 0,
        "LLM_PROVIDER": "compatible",
        "LLM_BASE_URL": addresses.model_url,
        "LLM_API_KEY": "sandbox",
        "LLM_MODEL": MODEL,
        # Batches: through a provider's own form, of which a compatible server has none to choose.
        "GEMINI_API_KEY": "sandbox",
        "GEMINI_BASE_URL": addresses.gemini_url,
        "OPENAI_API_KEY": "sandbox",
        "OPENAI_BASE_URL": addresses.model_url,
        "EMOTIONS_SOURCE": sample_posts_source(home),
        "EMOTIONS_COLUMN_DATE": "date",
        "EMOTIONS_FIRST_DAY": _first_day(home),
        "EMOTIONS_PROVIDER": "openai",
        "EMOTIONS_MODEL": MODEL,
        "EMOTIONS_POLL_INTERVAL_SECONDS": 2,
        "LLM_PRICES_FILE": _write_prices(home),
        "SMTP_SERVER": addresses.smtp_host,
        "SMTP_PORT": addresses.smtp_port,
        "SMTP_SECURITY": "none",
        "SENDER_EMAIL": "batch@sandbox.invalid",
        "RECIPIENT_EMAILS": "manager@sandbox.invalid",
        "MAILTO": "operator@sandbox.invalid",
        # A laptop with little room may try it too: what the demo backs up is small.
        "BACKUP_MIN_FREE_GB": 1,
    }
    lines = ["# Written by the demo. Everything behind these addresses is made up."]
    lines += [f"{name}='{value}'" for name, value in values.items()]
    file = home / "demo.env"
    temporary = file.with_suffix(".new")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(file)


def _write_prices(home: Path) -> Path:
    """Give the made-up model a made-up price, so that the demo shows what nights cost."""
    prices = {
        "version": "made-up",
        "models": {
            MODEL: {"currency": "KRW", "input_per_million": 500, "output_per_million": 2000}
        },
    }
    file = home / "made-up-prices.json"
    file.write_text(json.dumps(prices, indent=2) + "\n")
    return file


def main() -> None:
    """Serve the sandbox of the home given as the second argument."""
    folder, home = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        serve(ServiceFolder(folder), LeasedSandbox(home))
    except PlatformError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""What `config` shows: everything that is set, nothing that is secret, each problem by itself."""

import datetime
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batch_platform.cli.config import env_example
from batch_platform.core.settings import load_settings
from batch_platform_tests.integration.cli.conftest import Installation

pytestmark = pytest.mark.xdist_group("cli config")

CANARY = "canary-5f2b"
SECRETS = {
    "PLATFORM_DATABASE_URL": f"postgresql://user:{CANARY}@127.0.0.1:1/none",
    "ENGINE_FOR_SQLALCHEMY": f"mysql+pymysql://user:{CANARY}@127.0.0.1:1/none",
    "HCX_CHAT_API_KEY": CANARY,
    "OPENAI_API_KEY": CANARY,
    "GEMINI_API_KEY": CANARY,
    "LLM_API_KEY": CANARY,
    "SENDER_PASSWORD": CANARY,
    "WEBHOOK_URL": f"https://hooks.example.com/{CANARY}",
    "DISCORD_WEBHOOK_URL": f"https://discord.example.com/api/webhooks/1/{CANARY}",
    "HEARTBEAT_URL": f"https://pings.example.com/{CANARY}",
    "DATABASE_URL": f"postgresql://user:{CANARY}@127.0.0.1:1/app",
    "SECRET_KEY": CANARY,
    "AWS_ACCESS_KEY_ID": CANARY,
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "INTERVENTIONS_DATABASE_URL": f"postgresql://user:{CANARY}@127.0.0.1:1/ibs",
    "CELERY_BROKER_URL": f"redis://:{CANARY}@127.0.0.1:1/0",
    "CELERY_RESULT_BACKEND": f"redis://:{CANARY}@127.0.0.1:1/0",
    "BACKUP_DATABASE_URLS": f"postgresql://user:{CANARY}@127.0.0.1:1/other",
    "BACKUP_SCRATCH_URL": f"postgresql://user:{CANARY}@127.0.0.1:1/postgres",
    "KRX_AUTH_KEY": CANARY,
    "PUBLIC_DATA_SERVICE_KEY": CANARY,
    "OPENDART_API_KEY": CANARY,
    "EMOTIONS_SOURCE": f"postgresql://user:{CANARY}@127.0.0.1:1/board",
}


def test_every_secret_is_among_those_tried() -> None:
    from pydantic import SecretStr

    secret = {
        variable
        for section, variable, attribute, *_ in load_settings().variables()
        if SecretStr
        in getattr(
            type(getattr(load_settings(), section)).model_fields[attribute].annotation,
            "__args__",
            (),
        )
    }
    assert secret == set(SECRETS)


@pytest.mark.parametrize("command", [("config", "show"), ("config", "validate")])
def test_no_command_shows_a_secret(installation: Installation, command: tuple[str, ...]) -> None:
    shown = installation.run(*command, changes=SECRETS)
    assert CANARY not in shown.out + shown.err
    if command == ("config", "show"):
        assert shown.out.count("********") == len(SECRETS)


def test_validate_tells_each_setting_that_cannot_be_read(installation: Installation) -> None:
    bad = {"PARALLEL_WORKERS": "many", "ORG_TIMEZONE": "Mars/Base", "RECIPIENT_EMAILS": "nobody"}
    shown = installation.run("config", "validate", changes=bad)
    assert shown.code == 2
    assert "Traceback" not in shown.err
    for variable in bad:
        assert sum(variable in line for line in shown.out.splitlines()) == 1


def test_validate_tries_everything_and_tells_each_problem(installation: Installation) -> None:
    good = installation.run("config", "validate")
    assert good.code == 0, good
    bad = installation.run(
        "config",
        "validate",
        changes={"LLM_API_KEY": "wrong", "DB_TABLE_CATEGORIES": "nothing", "SMTP_PORT": "1"},
    )
    assert bad.code == 2
    assert sum("문제" in line for line in bad.out.splitlines()) == 3
    assert "DB_TABLE_CATEGORIES" in bad.out


def test_validate_tells_names_that_no_setting_has(installation: Installation) -> None:
    shown = installation.run("config", "validate", changes={"SMTP_SEVER": "mail.example.com"})
    assert shown.code == 0, shown
    (line,) = (line for line in shown.out.splitlines() if "SMTP_SEVER" in line)
    assert "SMTP_SERVER" in line


def test_a_domain_without_an_address_is_off_not_broken(installation: Installation) -> None:
    shown = installation.run("config", "validate", changes={"ENGINE_FOR_SQLALCHEMY": None})
    assert shown.code == 0, shown
    (line,) = (line for line in shown.out.splitlines() if "ENGINE_FOR_SQLALCHEMY" in line)
    assert "꺼짐" in line


def test_down_works_while_a_setting_is_broken(installation: Installation) -> None:
    home = str(installation.folder / "home of nobody")
    broken = {"PARALLEL_WORKERS": "many", "BATCH_PLATFORM_HOME": home}
    assert installation.run("down", changes=broken).code == 0


def test_show_takes_one_section(installation: Installation) -> None:
    shown = installation.run("config", "show", "--section", "mail")
    assert "SMTP_SERVER" in shown.out
    assert "DB_TABLE_CHATTINGS" not in shown.out
    wrong = installation.run("config", "show", "--section", "nothing")
    assert wrong.code == 2
    assert "mail" in wrong.err


def test_the_example_is_what_the_settings_know(installation: Installation) -> None:
    assert installation.run("config", "example").out == env_example()


def test_every_line_of_the_example_may_be_uncommented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line[1:] for line in env_example().splitlines() if re.match(r"#[A-Z_]+=.", line)]
    (tmp_path / "all.env").write_text("\n".join(lines))
    monkeypatch.setenv("BATCH_PLATFORM_ENV_FILE", str(tmp_path / "all.env"))
    given = {variable: value for _, variable, _, value, _ in load_settings().variables()}
    assert given["STOCKS_PRICE_TIMES"] == tuple(
        datetime.time.fromisoformat(text) for text in ("08:30", "09:30", "13:10", "18:00")
    )


def test_help_needs_nothing_heavy() -> None:
    heavy = ("dagster", "sqlalchemy", "pyarrow", "psycopg", "openpyxl", "openai", "httpx")
    program = (
        "import sys\n"
        "import batch_platform.cli.main\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    started = time.process_time(), time.perf_counter()
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
    assert time.perf_counter() - started[1] < 10

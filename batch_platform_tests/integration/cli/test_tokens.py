"""`batch-platform tokens` as an administrator uses it."""

import pytest
from typer.testing import CliRunner

from batch_platform.cli.main import app
from batch_platform.core.errors import PermanentError
from batch_platform.gateways.platform_db import PlatformDb


@pytest.fixture
def commands(platform_db: PlatformDb, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PLATFORM_DATABASE_URL", platform_db.url)
    return CliRunner()


def test_a_token_is_shown_once_and_listed_without_its_secret(commands: CliRunner) -> None:
    assert "tokens create" in commands.invoke(app, ["tokens", "list"]).stdout

    made = commands.invoke(
        app, ["tokens", "create", "--name", "django", "--scope", "operator", "--expires", "30"]
    )
    assert made.exit_code == 0, made.output
    # Alone in the output, for scripts.
    token = made.stdout.strip()
    assert token.startswith("bpt_")
    assert "\n" not in token

    listed = commands.invoke(app, ["tokens", "list"]).stdout
    for word in ("django", "operator", "유효", token.split("_")[1]):
        assert word in listed
    assert token.split("_", 2)[2] not in listed

    assert "django" in commands.invoke(app, ["tokens", "revoke", "django"]).stdout
    assert "폐기됨" in commands.invoke(app, ["tokens", "list"]).stdout


def test_what_cannot_be_is_told(commands: CliRunner) -> None:
    twice = ["tokens", "create", "--name", "a"]
    assert commands.invoke(app, twice).exit_code == 0
    assert isinstance(commands.invoke(app, twice).exception, PermanentError)
    assert isinstance(commands.invoke(app, ["tokens", "revoke", "b"]).exception, PermanentError)
    wrong = commands.invoke(app, ["tokens", "create", "--name", "c", "--scope", "root"])
    assert wrong.exit_code == 2

"""Secrets can be files of a folder, as containers, pods and units are given them."""

from pathlib import Path

import pytest

from batch_platform.core import settings
from batch_platform.core.settings import (
    SECRETS_VARIABLE,
    Profile,
    UnreadableSettingsError,
    active_profile,
    load_settings,
    unknown_variables,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / ".env"
    file.write_text("HCX_MODEL=HCX-005\n")
    monkeypatch.setattr(settings, "env_file", lambda: file)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    monkeypatch.setenv(SECRETS_VARIABLE, str(secrets))
    return secrets


def test_a_file_is_the_value_of_the_variable_it_is_called_by(folder: Path) -> None:
    (folder / "OPENAI_API_KEY").write_text("sk-file\n")
    (folder / "sender_password").write_text("비밀 #1")
    (folder / "HCX_MODEL").write_text("HCX-007")
    read = load_settings()
    assert read.model.openai_api_key is not None
    assert read.model.openai_api_key.get_secret_value() == "sk-file"
    assert read.mail.password is not None
    assert read.mail.password.get_secret_value() == "비밀 #1"
    # What is said by hand counts more.
    assert read.model.hcx_model == "HCX-005"


def test_files_as_kubernetes_lays_them_out_are_read(folder: Path) -> None:
    (folder / "..2026_11_21").mkdir()
    (folder / "..2026_11_21" / "OPENAI_API_KEY").write_text("sk-file")
    (folder / "..data").symlink_to("..2026_11_21")
    (folder / "OPENAI_API_KEY").symlink_to("..data/OPENAI_API_KEY")
    read = load_settings().model.openai_api_key
    assert read is not None
    assert read.get_secret_value() == "sk-file"
    assert unknown_variables() == {}


def test_an_empty_file_says_nothing(folder: Path) -> None:
    (folder / "PLATFORM_DATABASE_URL").write_text("\n")
    assert load_settings().platform.database_url is None


def test_a_misspelt_file_is_found(folder: Path) -> None:
    (folder / "OPENAI_API_KY").write_text("sk-file")
    assert unknown_variables() == {"OPENAI_API_KY": "OPENAI_API_KEY"}


def test_a_folder_that_is_not_there_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder / "none"))
    with pytest.raises(UnreadableSettingsError, match=f"There is no folder .*{SECRETS_VARIABLE}"):
        load_settings()


def test_who_hands_in_secrets_wants_no_demo(tmp_path: Path) -> None:
    (tmp_path / "var" / "demo").mkdir(parents=True)
    (tmp_path / "var" / "demo" / "demo.env").touch()
    assert active_profile({}, tmp_path) is Profile.DEMO
    assert active_profile({SECRETS_VARIABLE: "/run/secrets"}, tmp_path) is Profile.LIVE

"""The old `.env` keeps working, and what is wrong in it is said in one line."""

from pathlib import Path

import pytest

from batch_platform.core import settings
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import Profile, active_profile, demo_env_file, load_settings

OLD_CHATS_ENV = """
ENGINE_FOR_SQLALCHEMY=mysql+pymysql://chat:p%40ss@db.example/chat
DB_TABLE_CHATTINGS=my_chats
DB_COLUMN_QUERY_COUNT=n
HCX_CHAT_API_KEY=nv-secret
HCX_MODEL=HCX-005
HCX_MAX_TOKENS=2048
HCX_MAX_REQUESTS_PER_MINUTE=30
SMTP_SERVER=smtp.example
SMTP_PORT=465
SENDER_EMAIL=batch@example.kr
RECIPIENT_EMAILS=a@example.kr, b@example.kr
CRON_SCHEDULE="0 1 * * *"
ORG_NAME=교육청
BATCH_EXCLUDE_CATEGORY_IDS=2, 3
"""


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / ".env"
    monkeypatch.setattr(settings, "env_file", lambda: file)
    return file


def test_an_old_env_file_means_what_it_meant(env: Path) -> None:
    env.write_text(OLD_CHATS_ENV, encoding="utf-8")
    read = load_settings()
    assert read.chats.engine is not None
    assert read.chats.engine.get_secret_value().endswith("@db.example/chat")
    assert read.chats.table_chattings == "my_chats"
    assert read.chats.column_query_count == "n"
    assert read.chats.exclude_category_ids == [2, 3]
    assert read.model.hcx_requests_per_minute == 30
    assert read.mail.port == 465
    assert read.mail.recipients == ["a@example.kr", "b@example.kr"]
    assert read.platform.org_name == "교육청"


def test_the_environment_wins_over_the_file(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env.write_text("HCX_MODEL=HCX-005")
    monkeypatch.setenv("HCX_MODEL", "HCX-007")
    assert load_settings().model.hcx_model == "HCX-007"


def test_an_empty_value_is_no_value(env: Path) -> None:
    env.write_text("SMTP_SERVER=\nHCX_MAX_TOKENS=\n")
    read = load_settings()
    assert read.mail.server is None
    assert read.model.hcx_max_tokens == 2048


def test_a_variable_called_home_or_port_is_not_taken_for_a_setting(
    env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "PORT", "SERVER", "ENGINE"):
        monkeypatch.setenv(name, "/somewhere")
    read = load_settings()
    assert read.mail.port == 587
    assert read.mail.server is None
    assert read.chats.engine is None


def test_every_problem_is_named_with_its_variable_at_once(env: Path) -> None:
    env.write_text("ORG_TIMEZONE=Mars\nPARALLEL_WORKERS=0\nRECIPIENT_EMAILS=nobody\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    for variable in ("ORG_TIMEZONE", "PARALLEL_WORKERS", "RECIPIENT_EMAILS"):
        assert variable in caught.value.problem
    assert "\n" not in str(caught.value)


def test_a_wrong_secret_is_not_in_the_message(env: Path) -> None:
    env.write_text("LLM_KRW_PER_USD=canary-91\nSENDER_PASSWORD=canary-92\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_a_line_that_is_no_setting_is_told_by_its_number_alone(env: Path) -> None:
    env.write_text("ORG_NAME=fine\n\nthis is 'canary\nSMTP_PORT=25\n")
    with pytest.raises(ConfigurationError, match="line 3 is not NAME=value") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_secrets_are_not_in_a_settings_repr(env: Path) -> None:
    env.write_text("HCX_CHAT_API_KEY=canary-1\nENGINE_FOR_SQLALCHEMY=mysql://u:canary-2@h/d\n")
    assert "canary" not in repr(load_settings())


@pytest.mark.parametrize(
    ("has_env_file", "has_demo", "environ", "expected"),
    [
        (False, False, {}, Profile.LIVE),
        (False, True, {}, Profile.DEMO),
        (True, True, {}, Profile.LIVE),
        (False, True, {"ENGINE_FOR_SQLALCHEMY": "sqlite://"}, Profile.LIVE),
        (True, True, {"BATCH_PLATFORM_PROFILE": "demo"}, Profile.DEMO),
        (False, True, {"BATCH_PLATFORM_PROFILE": "live"}, Profile.LIVE),
    ],
)
def test_the_demo_is_used_only_when_asked_for_and_nothing_live_is_configured(
    tmp_path: Path,
    has_env_file: bool,
    has_demo: bool,
    environ: dict[str, str],
    expected: Profile,
) -> None:
    if has_env_file:
        (tmp_path / ".env").touch()
    if has_demo:
        demo_env_file(tmp_path).parent.mkdir(parents=True)
        demo_env_file(tmp_path).touch()
    assert active_profile(environ, tmp_path) is expected


def test_the_demo_never_sees_a_real_key(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-key")
    monkeypatch.setenv("BATCH_PLATFORM_PROFILE", "demo")
    env.write_text("LLM_PROVIDER=compatible\n")
    assert load_settings().model.openai_api_key is None


def test_an_unknown_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Use live or demo"):
        active_profile({"BATCH_PLATFORM_PROFILE": "prod"}, tmp_path)

"""What a setting's URL may look like, and that its password is never shown."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.core.errors import ConfigurationError
from batch_platform.gateways.source_db import SourceDatabase
from batch_platform.gateways.source_db.address import source_engine


def source_of(url: str) -> SourceDatabase:
    return SourceDatabase(url, ZoneInfo("Asia/Seoul"), url_variable="CHAT_URL")


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("mysql://u:secret@db/chat", "mysql+pymysql"),
        ("mysql+mysqldb://u:secret@db/chat", "mysql+pymysql"),
        ("mariadb+mariadbconnector://u:secret@db/chat", "mysql+pymysql"),
        ("postgres://u:secret@db/chat", "postgresql+psycopg"),
        ("postgresql+psycopg2://u:secret@db/chat", "postgresql+psycopg"),
    ],
)
def test_whatever_driver_is_named_the_installed_one_is_used(url: str, driver: str) -> None:
    assert source_engine(url, "CHAT_URL").url.drivername == driver
    assert "secret" not in repr(source_of(url))
    assert source_of(url).address == "db/chat"


@pytest.mark.parametrize("url", ["oracle://u:secret@db/chat", "mssql+pyodbc://u:secret@db/chat"])
def test_a_database_that_is_not_known_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CHAT_URL names the database") as refused:
        source_of(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "chat.db", "mysql://u:sec:ret/1@host:x/db", "sqlite://"])
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CHAT_URL") as refused:
        source_of(url)
    assert "ret" not in str(refused.value).partition("Write it like")[0]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=3))
def test_a_percent_encoded_password_of_any_signs_is_kept_and_never_shown(password: str) -> None:
    from urllib.parse import quote

    secret = f"<{password}>"
    url = f"mysql+pymysql://user:{quote(secret, safe='')}@db.example:3307/chat"
    engine = source_engine(url, "CHAT_URL")
    assert engine.url.password == secret
    assert secret not in repr(source_of(url))

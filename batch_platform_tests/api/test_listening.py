"""Where the API listens: on loopback, elsewhere only for those who were given a token."""

import socket

import pytest

from batch_platform.api.listening import listener, require_tokens_or_loopback
from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import ApiSettings
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.gateways.tokens import Scope, TokenBook
from batch_platform_tests.given_settings import settings_of


def settings(**variables: object) -> ApiSettings:
    return settings_of(**variables).api


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_loopback_needs_no_token(platform_db: PlatformDb, host: str) -> None:
    require_tokens_or_loopback(settings(BATCH_PLATFORM_API_HOST=host), TokenBook(platform_db))


def test_elsewhere_needs_a_token_in_force(platform_db: PlatformDb) -> None:
    tokens = TokenBook(platform_db)
    for host in ("0.0.0.0", "::", "192.0.2.7", "batch.example.com"):
        elsewhere = settings(BATCH_PLATFORM_API_HOST=host)
        with pytest.raises(ConfigurationError, match="tokens create"):
            require_tokens_or_loopback(elsewhere, tokens)
    tokens.create("a", Scope.VIEWER)
    require_tokens_or_loopback(elsewhere, tokens)
    tokens.revoke("a")
    with pytest.raises(ConfigurationError, match="there is no token"):
        require_tokens_or_loopback(elsewhere, tokens)


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as told:
            listener(settings(BATCH_PLATFORM_API_PORT=port))
    assert str(told.value) == (
        f"The API cannot listen on 127.0.0.1 port {port}: Address already in use."
        " Stop what uses it, or set BATCH_PLATFORM_API_HOST and BATCH_PLATFORM_API_PORT"
    )


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:3001"),
        ("0.0.0.0", "http://127.0.0.1:3001"),
        ("::1", "http://[::1]:3001"),
    ],
)
def test_its_address_is_one_that_this_machine_reaches(host: str, address: str) -> None:
    assert settings(BATCH_PLATFORM_API_HOST=host).address == address

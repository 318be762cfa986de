"""Where the platform's own API listens."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import field_validator
from pydantic_settings import NoDecode

from batch_platform.core.settings.section import Section, split_commas, variable


class ApiSettings(Section):
    """The API that `up` serves beside the webserver."""

    host: str = variable(
        "BATCH_PLATFORM_API_HOST",
        "127.0.0.1",
        "Address that it listens on; another than loopback's needs a token to exist",
    )
    port: int = variable("BATCH_PLATFORM_API_PORT", 3001, "Its port", ge=1, le=65535)
    names: Annotated[list[str], NoDecode] = variable(
        "BATCH_PLATFORM_API_NAMES",
        [],
        "Host names (commas) that clients may call it by; addresses and localhost always may",
    )
    url: str = variable(
        "BATCH_PLATFORM_API_URL",
        "http://127.0.0.1:3001",
        "Address at which people open the pages; with https the cookie is sent over TLS only",
    )

    _split = field_validator("names", mode="before")(split_commas)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def address(self) -> str:
        """Where this machine reaches it."""
        host = self.host
        if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared with, not listened on
            host = "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

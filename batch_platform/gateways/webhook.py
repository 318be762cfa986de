"""Posting a short text to a chat's incoming webhook, or nothing but the fact that one posts.

Files cannot go there: chats drop them. Formats: Slack's incoming webhooks, `{"text": …}`, which
Mattermost, Rocket.Chat and others take too; Discord's, `{"content": …}`; a heartbeat's, nothing.
"""

from collections.abc import Mapping
from http import HTTPStatus

import httpx

from batch_platform.core.errors import ConfigurationError, RetryableError

_TIMEOUT_SECONDS = 15.0
_LONGEST_IN_DISCORD = 2_000


def post_to_slack(url: str, text: str) -> None:
    """Post one message. The address is a secret: no error quotes it.

    Raises:
        ConfigurationError: The address is wrong, or the chat refuses it.
        RetryableError: The chat does not answer, or asks to come back later.
    """
    # Slack reads <, > and & as its own marks.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    _post(url, {"text": escaped}, variable="WEBHOOK_URL")


def post_to_discord(url: str, text: str) -> None:
    """Post one message; as `post_to_slack`."""
    shown = text if len(text) <= _LONGEST_IN_DISCORD else text[: _LONGEST_IN_DISCORD - 1] + "…"
    # Whatever a cause says, nobody is called by it.
    content: dict[str, object] = {"content": shown, "allowed_mentions": {"parse": list[str]()}}
    _post(url, content, variable="DISCORD_WEBHOOK_URL")


def call_heartbeat(url: str) -> None:
    """Call a dead man's switch, which tells people when no call came; errors as above.

    What it takes is an empty POST, as healthchecks.io, Uptime Kuma and Cronitor do.
    """
    _post(url, None, variable="HEARTBEAT_URL")


def _post(url: str, content: Mapping[str, object] | None, *, variable: str) -> None:
    try:
        answer = httpx.post(url, json=content, timeout=_TIMEOUT_SECONDS)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise ConfigurationError(
            f"{variable} is not an address", "Copy it from where you got it, https:// and all"
        ) from None
    except httpx.TransportError as error:
        raise RetryableError(
            f"The service of {variable} does not answer: {type(error).__name__}",
            "Nothing to do if it passes; otherwise look at the network",
        ) from None
    status = answer.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RetryableError(
            f"The service of {variable} answers {status}", "It is tried again", _delay(answer)
        )
    if not answer.is_success:
        raise ConfigurationError(
            f"The service refuses {variable} with {status}", "Make a new address there"
        )


def _delay(answer: httpx.Response) -> float | None:
    """The seconds that the chat asks to wait (RFC 9110, 10.2.3), if it says a number."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "")))
    except ValueError:
        return None

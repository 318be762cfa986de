"""Posting a short text to a chat's incoming webhook. Files cannot go there: chats drop them.

Formats: Slack's incoming webhooks, `{"text": …}`, which Mattermost, Rocket.Chat and others take
too; Discord's, `{"content": …}`.
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


def _post(url: str, content: Mapping[str, object], *, variable: str) -> None:
    try:
        answer = httpx.post(url, json=content, timeout=_TIMEOUT_SECONDS)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise ConfigurationError(
            f"{variable} is not an address", "Copy it from the chat's settings, https:// and all"
        ) from None
    except httpx.TransportError as error:
        raise RetryableError(
            f"The chat of {variable} does not answer: {type(error).__name__}",
            "Nothing to do if it passes; otherwise look at the network",
        ) from None
    status = answer.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RetryableError(
            f"The chat of {variable} answers {status}", "It is tried again", _delay(answer)
        )
    if not answer.is_success:
        raise ConfigurationError(
            f"The chat refuses {variable} with {status}", "Make a new webhook in the chat"
        )


def _delay(answer: httpx.Response) -> float | None:
    """The seconds that the chat asks to wait (RFC 9110, 10.2.3), if it says a number."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "")))
    except ValueError:
        return None

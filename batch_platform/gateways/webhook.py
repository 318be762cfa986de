"""Posting a short text to a chat's incoming webhook. Files cannot go there: chats drop them.

Format: Slack's incoming webhooks, `{"text": …}`, which Mattermost, Rocket.Chat and others take too.
"""

from http import HTTPStatus

import httpx

from batch_platform.core.errors import ConfigurationError, RetryableError

_TIMEOUT_SECONDS = 15.0


def post_to_webhook(url: str, text: str) -> None:
    """Post one message. The address is a secret: no error quotes it.

    Raises:
        ConfigurationError: The address is wrong, or the chat refuses it.
        RetryableError: The chat does not answer, or asks to come back later.
    """
    # Slack reads <, > and & as its own marks.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    try:
        answer = httpx.post(url, json={"text": escaped}, timeout=_TIMEOUT_SECONDS)
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise ConfigurationError(
            "WEBHOOK_URL is not an address", "Copy it from the chat's settings, https:// and all"
        ) from None
    except httpx.TransportError as error:
        raise RetryableError(
            f"The chat of WEBHOOK_URL does not answer: {type(error).__name__}",
            "Nothing to do if it passes; otherwise look at the network",
        ) from None
    status = answer.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RetryableError(f"The chat of WEBHOOK_URL answers {status}", "It is tried again")
    if not answer.is_success:
        raise ConfigurationError(
            f"The chat refuses WEBHOOK_URL with {status}", "Make a new webhook in the chat"
        )

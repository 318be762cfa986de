"""A client that is signed in to the pages, as a browser is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from batch_platform.gateways.tokens import Scope
from batch_platform_tests.running_api import RunningApi

HTML = {"Accept": "text/html", "Accept-Language": "ko-KR"}


@contextmanager
def signed_in(api: RunningApi, scope: Scope, name: str = "") -> Iterator[httpx.Client]:
    """Sign in with a new token of a scope; the client holds the cookie."""
    token = api.tokens.create(name or f"{scope}-person", scope)
    with httpx.Client(base_url=api.url, headers=HTML, timeout=20, trust_env=False) as client:
        answer = client.post("/login", data={"token": token})
        assert answer.status_code == 303, answer.text
        yield client


def hidden(page: str, name: str) -> str:
    """The value of a page's first hidden field of that name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, f"no field {name}"
    return found[1]

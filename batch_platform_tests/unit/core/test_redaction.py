"""No secret setting's value is left in a text, however it is written there."""

import json
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from batch_platform.core.redaction import (
    HIDDEN,
    Redact,
    redacted_texts,
    redactor,
    without_credentials,
)
from batch_platform_tests.given_settings import settings_of

NOTHING_SET = settings_of()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4)
PASSWORDS = st.text(
    st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"], exclude_characters="*@,%"),
    min_size=4,
    max_size=40,
)
WRITTEN = {
    "as it is": str,
    "as JSON": lambda text: json.dumps(text)[1:-1],
    "as JSON of Unicode": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in an address": lambda text: quote(text, safe=""),
}


def knowing(secret: str) -> Redact:
    """The redactor of settings with one secret; reading all of them each time takes too long."""
    chats = NOTHING_SET.chats.model_copy(update={"engine": SecretStr(secret)})
    return redactor(NOTHING_SET.model_copy(update={"chats": chats}))


@pytest.mark.parametrize("way", WRITTEN)
@given(secret=SECRETS, before=TEXTS, after=TEXTS)
def test_no_secret_is_left(way: str, secret: str, before: str, after: str) -> None:
    redact = knowing(secret)
    assume(secret not in redact("010-1234-5678 kim@example.org 900101-1234567 4111111111111111"))
    write = WRITTEN[way]
    left = redact(write(before + secret + after))
    assert write(secret) not in left
    assert HIDDEN in left


@given(secret=SECRETS)
def test_no_secret_is_left_in_a_stack_trace(secret: str) -> None:
    redact = knowing(secret)
    assert (
        redact(f"ValueError: {secret!r}")
        == f"ValueError: {repr(secret)[0]}{HIDDEN}" + (repr(secret)[-1])
    )


@given(password=PASSWORDS, scheme=st.sampled_from(["postgresql", "mysql+pymysql", "redis"]))
def test_no_password_of_an_address_is_left(password: str, scheme: str) -> None:
    address = f"{scheme}://reader:{password}@db.example.org:5432/chats"
    redact = knowing(address)
    for said in (password, address, quote(password, safe=""), repr(password), f"x{password}y"):
        assert password not in redact(said)


def test_of_several_addresses_each_password_is_known() -> None:
    urls = "postgresql://a:first-one@h/x, postgresql://b:second%2Fone@h/y"
    redact = redactor(settings_of(BACKUP_DATABASE_URLS=urls))
    assert redact("first-one second/one second%2Fone") == " ".join([HIDDEN] * 3)


def test_what_names_a_webhook_is_secret_its_host_is_not() -> None:
    redact = redactor(settings_of(WEBHOOK_URL="https://hooks.slack.com/services/T0/B0/x1y2z3"))
    assert redact("POST https://hooks.slack.com/services/T0/B0/x1y2z3") == f"POST {HIDDEN}"
    assert redact("/services/T0/B0/x1y2z3 at hooks.slack.com") == f"{HIDDEN} at hooks.slack.com"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("mysql://root:pw@h/db refused", f"mysql://root:{HIDDEN}@h/db refused"),
        ("redis://:pw@h:6379/0", f"redis://:{HIDDEN}@h:6379/0"),
        ("Authorization: Bearer abcdefgh.ijkl", f"Authorization: Bearer {HIDDEN}"),
        ("authorization: basic dXNlcjpwYXNz", f"authorization: basic {HIDDEN}"),
        ("http://127.0.0.1:3000/runs/1", "http://127.0.0.1:3000/runs/1"),
    ],
)
def test_credentials_are_seen_without_knowing_them(said: str, left: str) -> None:
    assert without_credentials(said) == left


@given(st.text(st.characters(categories=["L", "Zs"])))
def test_other_words_stay_as_they_are(text: str) -> None:
    assert knowing("sk-1234")(text) == text


def test_a_secret_of_three_letters_is_no_secret() -> None:
    assert knowing("abc")("abcdefg") == "abcdefg"


def test_a_text_is_redacted_the_same_twice() -> None:
    redact = redactor(settings_of(OPENAI_API_KEY="sk-1234"))
    once = redact("sk-1234 of 010-1234-5678 at postgresql://u:p@h/d")
    assert redact(once) == once


def test_only_what_was_said_is_redacted_in_a_record() -> None:
    redact = redactor(settings_of(OPENAI_API_KEY="chats"))
    record = {
        "asset_key": {"path": ["chats"]},
        "pid": 7,
        "error": {"message": "chats", "stack": ["in chats", ["chats"]], "cls_name": "chats"},
        "data": {"a": {"b": "chats"}},
    }
    assert redacted_texts(record, redact, {"message", "stack", "data"}) == {
        "asset_key": {"path": ["chats"]},
        "pid": 7,
        "error": {"message": HIDDEN, "stack": [f"in {HIDDEN}", [HIDDEN]], "cls_name": "chats"},
        "data": {"a": {"b": HIDDEN}},
    }

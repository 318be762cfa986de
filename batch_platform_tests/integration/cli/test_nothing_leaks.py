"""A night with a canary in every secret setting and personal data in a chat: neither gets out."""

import json
import re
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from batch_platform.core.settings import load_settings
from batch_platform_tests.integration.cli.conftest import Installation
from batch_platform_tests.integration.cli.whole_night import (
    CANARY,
    EMAIL,
    FAILING,
    PHONE,
    RESIDENT_NUMBER,
    Night,
    canaries,
    whole_night,
)

pytestmark = pytest.mark.xdist_group("cli leaks")

MAY_HOLD_PERSONAL_DATA = {
    "chats.raw_chats": "what people wrote, as they wrote it",
    "chats.questions": "the distinct questions of those chats",
    "chats.classifications": "each of those questions with its category",
}
"""Tables of the people who own the chats; no other place may hold a number or an address."""


@pytest.fixture(scope="module")
def night(installation: Installation) -> Iterator[Night]:
    with whole_night(installation) as night:
        yield night


def holds_personal_data(text: str) -> bool:
    digits = re.sub(r"(?<=\d)[-. ](?=\d)", "", text)
    numbers = (number.replace("-", "") for number in (PHONE, RESIDENT_NUMBER))
    return EMAIL in text or any(number in digits for number in numbers)


def test_every_secret_setting_has_a_canary() -> None:
    """Also one that will be declared in another way than all are now."""
    settings = load_settings()
    secret = {
        variable
        for section, variable, attribute, *_ in settings.variables()
        if SecretStr.__name__
        in repr(type(getattr(settings, section)).model_fields[attribute].annotation)
    }
    given = canaries()
    assert secret <= set(given)
    assert all(CANARY in value for value in given.values())
    assert set(given) > secret  # addresses that could hold a password


def test_the_night_was_one(night: Night) -> None:
    """What is looked through below is there at all."""
    assert set(night.failed) == set(FAILING)
    for job in FAILING:
        told = f"[배치 실패] {job.partition('_')[0]}/"
        hearing = [place for place, text in night.sent.items() if told in text]
        assert {place.partition(" ")[0] == "chat" for place in hearing} == {True, False}, job
    assert holds_personal_data(night.found["chats.raw_chats"])
    assert "STEP_FAILURE" in night.found["public.event_logs"]
    for place in ("llm.calls", "operations.incidents", "public.runs", "public.run_tags"):
        assert night.found[place], place
    for ending in (".xlsx", ".err", ".out"):
        assert any(name.endswith(ending) for name in night.found), ending
    # A step that says all it knows was heard, and understood.
    kept = "".join(text for name, text in night.found.items() if name.endswith((".err", ".out")))
    for said in ("careless print", "careless warning", "careless log", "careless failure"):
        assert f"{said}: ********" in kept, said
    for said in ("careless log", "careless failure", "careless metadata"):
        assert f"{said}: ********" in night.found["public.event_logs"], said
    assert any("careless failure: ********" in text for text in night.sent.values())
    assert night.answers["/metrics"].startswith("# HELP")
    assert "chats" in night.answers["page /"]


def test_no_secret_is_anywhere(night: Night) -> None:
    holding = {
        place: re.findall(rf".{{0,60}}{CANARY}[\w-]*", text)[:2]
        for place, text in night.everything.items()
        if CANARY in text
    }
    assert holding == {}


def test_personal_data_stays_with_the_chats(night: Night) -> None:
    everything = {**night.everything, "the model": night.asked}
    holding = {place for place, text in everything.items() if holds_personal_data(text)}
    assert holding == set(MAY_HOLD_PERSONAL_DATA)


def test_the_bundle_tells_what_a_helper_needs(night: Night) -> None:
    held = {place: text for place, text in night.printed.items() if place.startswith("bundle ")}
    assert "RETENTION_RUN_DAYS=90" in held["bundle settings.txt"]
    assert "LLM_API_KEY=********" in held["bundle settings.txt"]
    assert "chats/classifications" in held["bundle database.json"]
    assert '"dagster"' in held["bundle versions.json"]
    states = {each["what"]: each["state"] for each in json.loads(held["bundle status.json"])}
    assert "bad" in states.values()
    assert "asked: 전학 서류를 [전화번호_1] [이메일_1]" in held["bundle logs/daemon.log"]

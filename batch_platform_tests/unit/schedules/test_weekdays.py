"""How a person writes a weekday on the command line."""

import pytest

from batch_platform.cli.schedule_work import changes_of
from batch_platform.core.errors import PermanentError


def weekday(text: str) -> object:
    given = dict.fromkeys(
        ("name", "job", "frequency", "at", "day", "cron", "timezone", "missed", "partition")
    )
    return changes_of(**given, weekday=text, config=None)["weekday"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("월", 1), ("화요일", 2), ("Wed", 3), ("thursday", 4), ("5", 5), (" 토 ", 6), ("SUN", 7)],
)
def test_a_weekday_is_known_by_its_names(text: str, number: int) -> None:
    assert weekday(text) == number


@pytest.mark.parametrize("text", ["monkey", "월급", "0", "8", "", "요일", "mo"])
def test_what_only_begins_like_one_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="no weekday"):
        weekday(text)

"""Numbers and ETags of what has versions, and what `If-Match` says of them (RFC 9110, 13.1.1)."""

import re
from typing import Annotated

from fastapi import Header

from batch_platform.api.problems import ProblemError

LARGEST_ID = 10**15
"""More than there will ever be, and exact in every JSON reader."""

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag of the version that was read, or `*` for whichever there is",
        pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
        max_length=1000,
        examples=['"3-2"'],
    ),
]


def etag(identifier: int, version: int) -> str:
    """The ETag of a version."""
    return f'"{identifier}-{version}"'


def expected_version(if_match: str | None, identifier: int, *, is_required: bool) -> int | None:
    """The version that a change is based on.

    Args:
        if_match: The header.
        identifier: Of what is to be changed.
        is_required: Whether it may be left out.

    Returns:
        The version; None when any will do. No version has the number 0.

    Raises:
        ProblemError: 428; the header is needed and not there.
    """
    if if_match is None:
        if is_required:
            raise ProblemError(
                428, "Send If-Match with the ETag that GET answered, so that no change is lost"
            )
        return None
    if if_match.strip() == "*":
        return None
    versions = re.findall(rf'(?<!W/)"{identifier}-(\d{{1,9}})"', if_match)
    return max(map(int, versions), default=0)

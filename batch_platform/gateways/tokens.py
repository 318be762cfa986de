"""The API's tokens: made, listed, revoked, checked. Only a hash of a token is ever stored.

A token is `bpt_<id>_<secret>`. The id finds the row; SHA-256 of the whole, compared in constant
time, decides. The secret has 256 random bits, so a slow password hash would add nothing.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import psycopg

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.gateways.platform_db import PlatformDb

_ID_BYTES = 6
_SECRET_BYTES = 32
_FORM = re.compile(r"bpt_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[\w.@-]{1,64}")
_SELECT = (
    "SELECT token_id, name, scope, created_at, expires_at, revoked_at, last_used_at,"
    " secret_hash, now(), last_used_at IS NULL OR last_used_at < now() - interval '1 minute'"
    " FROM api.tokens"
)


class Scope(StrEnum):
    """What a token allows; each includes the ones before it."""

    VIEWER = "viewer"
    """Reads."""
    OPERATOR = "operator"
    """Starts runs too."""
    ADMIN = "admin"
    """Changes schedules too."""

    def includes(self, other: "Scope") -> bool:
        """Whether this one allows all that `other` does."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Token:
    """A token as it is stored, without its secret.

    Attributes:
        token_id: The part that is no secret.
        name: Whose or what for; unique among those in force.
        scope: What it allows.
        created_at: When it was made.
        expires_at: When it ends by itself; None for never.
        revoked_at: When a person ended it.
        last_used_at: To within a minute; None if it never was.
    """

    token_id: str
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_in_force(self, now: datetime) -> bool:
        """Whether it opens anything at this time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class TokenBook:
    """All tokens, for who looks after them."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def create(self, name: str, scope: Scope, lifetime: timedelta | None = None) -> str:
        """Make a token.

        Args:
            name: Whose or what for: letters, digits and `. _ @ -`.
            scope: What it allows.
            lifetime: After which it ends by itself; never by default.

        Returns:
            The token. It cannot be had again.

        Raises:
            PermanentError: The name is not one, or is taken.
        """
        if not _NAME.fullmatch(name):
            raise PermanentError(
                f"{name!r} is no name for a token",
                "Use up to 64 letters, digits and . _ @ -, such as django-service",
            )
        token_id = secrets.token_hex(_ID_BYTES)
        token = f"bpt_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        try:
            with self._db.connect("tokens") as connection:
                connection.execute(
                    "INSERT INTO api.tokens (token_id, name, scope, secret_hash, expires_at)"
                    " VALUES (%s, %s, %s, %s, now() + %s)",
                    [token_id, name, scope.value, _hash(token), lifetime],
                )
        except psycopg.errors.UniqueViolation:
            raise PermanentError(
                f"There is a token named {name} already",
                f"Choose another name, or run batch-platform tokens revoke {name} first",
            ) from None
        return token

    def tokens(self) -> Sequence[Token]:
        """All that were ever made, the newest first."""
        rows = self._db.fetch_all(_SELECT + " ORDER BY created_at DESC")
        return [_token(row) for row in rows]

    def revoke(self, name: str) -> str:
        """End a token; the API notices within two seconds.

        Args:
            name: Its name, or its id.

        Returns:
            Its id.

        Raises:
            PermanentError: It is no name.
            NoDataError: None in force has that name.
        """
        if not _NAME.fullmatch(name):
            raise PermanentError(
                f"{name!r} is no name for a token", "See batch-platform tokens list"
            )
        with self._db.connect("tokens") as connection:
            row = connection.execute(
                "UPDATE api.tokens SET revoked_at = now()"
                " WHERE (name = %(name)s OR token_id = %(name)s) AND revoked_at IS NULL"
                " RETURNING token_id",
                {"name": name},
            ).fetchone()
        if row is None:
            raise NoDataError(
                f"No token named {name} is in force", "See batch-platform tokens list"
            )
        return row[0]

    def has_any(self) -> bool:
        """Whether any token is in force."""
        ((found,),) = self._db.fetch_all(
            "SELECT EXISTS (SELECT FROM api.tokens WHERE revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > now()))"
        )
        return bool(found)


async def find_token(connection: psycopg.AsyncConnection[Any], token: str) -> Token | None:
    """Look a token up and note that it was used.

    Args:
        connection: To the platform's database, in autocommit mode.
        token: What a client sent.

    Returns:
        Its row if it is known and in force.
    """
    match = _FORM.fullmatch(token)
    if match is None:
        return None
    cursor = await connection.execute(_SELECT + " WHERE token_id = %s", [match[1]])
    row = await cursor.fetchone()
    if row is None:
        return None
    stored, now, is_use_news = row[7:]
    found = _token(row)
    if not hmac.compare_digest(_hash(token), stored) or not found.is_in_force(now):
        return None
    if is_use_news:
        await connection.execute(
            "UPDATE api.tokens SET last_used_at = now() WHERE token_id = %s", [found.token_id]
        )
    return found


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _token(row: Sequence[Any]) -> Token:
    token_id, name, scope, created_at, expires_at, revoked_at, last_used_at = row[:7]
    return Token(token_id, name, Scope(scope), created_at, expires_at, revoked_at, last_used_at)

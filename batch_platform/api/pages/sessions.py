"""Sign-ins to the pages: a cookie for a token, so that nobody types a token twice. SQL included.

The cookie is 256 random bits, of which the database holds a hash. Whoever changes something must
also send a token that only our own pages know (CSRF): it comes out of the cookie, so that there is
nothing to store.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from batch_platform.api.access import Caller
from batch_platform.api.database import ApiDatabase
from batch_platform.gateways.tokens import Scope

COOKIE = "batch_platform_session"
LIFETIME = timedelta(days=30)
"""Long: a person woken at night has no token at hand. A session ends with its token anyway."""

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, and what the pages' forms carry."""

    caller: Caller
    csrf_token: str


async def begin_session(database: ApiDatabase, caller: Caller) -> str:
    """Sign in; return the cookie's value. Sessions that are over are swept away on the way."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM api.sessions WHERE expires_at < now()")
        await connection.execute(
            "INSERT INTO api.sessions (session_hash, token_id, expires_at)"
            " VALUES (%s, %s, now() + %s)",
            [_hash(secret), caller.token_id, LIFETIME],
        )
    return secret


async def find_session(database: ApiDatabase, secret: str) -> Session | None:
    """Who a cookie belongs to; None when it is not known, has ended, or its token has."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT token_id, name, scope FROM api.sessions JOIN api.tokens USING (token_id)"
            " WHERE session_hash = %s AND ended_at IS NULL AND sessions.expires_at > now()"
            " AND revoked_at IS NULL AND (tokens.expires_at IS NULL OR tokens.expires_at > now())",
            [_hash(secret)],
        )
        row = await cursor.fetchone()
    if row is None:
        return None
    token_id, name, scope = row
    return Session(Caller(token_id, name, Scope(scope)), csrf_token_of(secret))


async def end_session(database: ApiDatabase, secret: str) -> None:
    """Sign out."""
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE api.sessions SET ended_at = now() WHERE session_hash = %s AND ended_at IS NULL",
            [_hash(secret)],
        )


def csrf_token_of(secret: str) -> str:
    """What a session's forms must carry."""
    return hmac.new(secret.encode("utf-8", "surrogateescape"), b"csrf", "sha256").hexdigest()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()

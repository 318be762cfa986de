"""Stable hashes: the same on every machine, process and version of Python. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def text_id(text: str) -> str:
    """Name a text: the first 32 hexadecimal digits of its UTF-8 form's SHA-256.

    Lone surrogates (which UTF-8 cannot hold) are kept apart rather than refused.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def json_hash(value: Json) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys, no spaces), as 64 hexadecimal digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def lock_key(*names: str) -> int:
    """A PostgreSQL advisory lock's key (a signed 64-bit integer) for a sequence of names."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)

"""How a partition is divided into chunks that several machines work on. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Chunk:
    """A share of a day's items: those whose key hashes to it, wherever and whenever that is asked.

    Attributes:
        number: From 0 on.
        count: Into how many the day is cut.
    """

    day: date
    number: int
    count: int

    @property
    def key(self) -> str:
        """Its name among the chunks of all days: letters, digits and underscores."""
        return f"{self.day:%Y_%m_%d}__{self.number}_of_{self.count}"

    @classmethod
    def named(cls, key: str) -> "Chunk":
        """The chunk of a key."""
        day, _, rest = key.partition("__")
        number, _, count = rest.partition("_of_")
        return cls(date.fromisoformat(day.replace("_", "-")), int(number), int(count))

    def holds(self, item: str) -> bool:
        """Whether an item is in it, by the item's key."""
        digest = hashlib.blake2b(item.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number


def chunks_of(day: date, count: int) -> list[Chunk]:
    """All chunks of a day that is cut into so many."""
    return [Chunk(day, number, count) for number in range(count)]

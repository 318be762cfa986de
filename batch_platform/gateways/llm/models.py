"""The values that the engine takes and gives. No behaviour beyond what a value knows of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from pydantic import BaseModel

A = TypeVar("A", bound=BaseModel)

_RESERVED_FIELDS = ("id", "head")


@dataclass(frozen=True, slots=True)
class Item:
    """One text to ask about.

    Attributes:
        id: Unique within the ask; never sent to the model.
        text: What the model reads, after masking.
    """

    id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Task(Generic[A]):
    """What is asked about each item.

    Attributes:
        name: The domain, a dot and the question, `chats.classify`; part of the ledger's key. The
            daily budget is the domain's.
        instructions: System prompt.
        prompt_version: Part of the ledger's key. The instructions and the answer's schema are part
            of it as well, so a change of theirs asks again even when nobody raised the version.
        answer: pydantic model of one item's answer. `id` and `head` are the engine's field names.
        typical_output_tokens: Output tokens of one item's answer, for estimates and pacing.
        items_per_call: Items that share one model call. Not part of the ledger's key.
        check: Raises `ValueError(message)` when an answer breaks a rule of the domain; it is given
            the item with its text as the model saw it, that is masked. The item is asked again once
            with that message, then quarantined. The message must hold no personal data.
        restores_personal_data: Whether placeholders in an answer's texts are replaced by what was
            masked in the item, after the answer is in the ledger.
    """

    name: str
    instructions: str
    prompt_version: str
    answer: type[A]
    typical_output_tokens: int
    items_per_call: int = 1
    check: Callable[[Item, A], None] | None = None
    restores_personal_data: bool = False

    def __post_init__(self) -> None:
        domain, dot, rest = self.name.partition(".")
        if not (domain and dot and rest):
            raise ValueError(f"A task's name is <domain>.<question>, not {self.name!r}")
        if self.items_per_call < 1 or self.typical_output_tokens < 1:
            raise ValueError("items_per_call and typical_output_tokens are 1 or more")
        for name in _RESERVED_FIELDS:
            if name in self.answer.model_fields:
                raise ValueError(f"An answer's field cannot be called {name!r}")

    @property
    def domain(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Answered(Generic[A]):
    """An item and its answer, which is in the ledger.

    Attributes:
        cost_krw: Won paid now; 0 from the ledger and for a repeated text of the same ask.
    """

    item: Item
    answer: A
    from_ledger: bool
    cost_krw: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An item that could not be answered and was set aside.

    Attributes:
        reason: One sentence, without personal data.
    """

    item: Item
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ask has come.

    Attributes:
        total: Items in all; None while the caller's iterable has no length and has not ended.
        remaining: Items neither answered nor set aside; None when the total is not known.
        rate: Items a second since the start.
        seconds_left: At that rate; None when it cannot be told.
        cost_krw: Won paid so far by this ask.
    """

    done: int
    failed: int
    total: int | None
    remaining: int | None
    rate: float
    seconds_left: float | None
    cost_krw: float
    seconds: float


@dataclass(slots=True)
class AskSummary:
    """What an ask came to. `items == from_ledger + asked + quarantined` once it has ended.

    Attributes:
        items: Items taken from the caller.
        from_ledger: Answered without a call: found in the ledger, or the text was asked in this ask
            or by another process at the same time.
        asked: Answered by a call of this ask.
        calls: HTTP requests sent, every attempt counted.
        retries: Requests sent again after a failure or for items that were not answered rightly.
        refusals: Requests refused for pace (429).
        input_tokens: As the provider counted them, wasted calls included.
        masked: Kind of personal data → pieces masked.
    """

    items: int = 0
    from_ledger: int = 0
    asked: int = 0
    quarantined: int = 0
    calls: int = 0
    retries: int = 0
    refusals: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_krw: float = 0.0
    masked: dict[str, int] = field(default_factory=dict[str, int])
    seconds: float = 0.0

    def add_earlier(self, earlier: "AskSummary") -> None:
        """Add what asks before this one took whose answers this one found in the ledger."""
        self.from_ledger -= min(earlier.asked, self.from_ledger)
        self.asked += earlier.asked
        self.calls += earlier.calls
        self.retries += earlier.retries
        self.refusals += earlier.refusals
        self.input_tokens += earlier.input_tokens
        self.output_tokens += earlier.output_tokens
        self.cost_krw += earlier.cost_krw

    def count_masked(self, counts: Mapping[str, int]) -> None:
        """Add an item's masked pieces."""
        for kind, count in counts.items():
            self.masked[kind] = self.masked.get(kind, 0) + count


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an ask would cost. Nothing was asked.

    Attributes:
        to_ask: Distinct texts that the ledger does not hold.
        calls: Model calls they need, without failures.
    """

    items: int
    in_ledger: int
    to_ask: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_krw: float


Outcome: TypeAlias = Answered[A] | Quarantined

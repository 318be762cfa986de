"""The fortunes domain's rows and values. No behaviour beyond what a value knows of itself.

Tables are in `migrations/versions/0004_fortunes.py`; what the app reads is its own
`core_fortuneresult`, whose JSON keeps its Korean keys.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum

STEMS = "갑을병정무기경신임계"
BRANCHES = "자축인묘진사오미신유술해"


class Element(StrEnum):
    """The five elements (오행), in the order in which each generates the next."""

    WOOD = "목"
    FIRE = "화"
    EARTH = "토"
    METAL = "금"
    WATER = "수"


ELEMENTS = tuple(Element)


class TenGod(StrEnum):
    """What a stem is to the day master (십신)."""

    PEER = "비견"
    RIVAL = "겁재"
    OUTPUT = "식신"
    EXPRESSION = "상관"
    WINDFALL = "편재"
    WEALTH = "정재"
    PRESSURE = "편관"
    OFFICE = "정관"
    INSIGHT = "편인"
    RESOURCE = "정인"


class FortuneStatus(StrEnum):
    """What became of a user's fortune of a day."""

    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Pillar:
    """One of the sixty combinations of a stem and a branch (육십갑자).

    Attributes:
        index: 0 is 갑자, 59 is 계해.
    """

    index: int

    @property
    def stem(self) -> int:
        """Index of the stem (천간), 0 to 9."""
        return self.index % 10

    @property
    def branch(self) -> int:
        """Index of the branch (지지), 0 to 11."""
        return self.index % 12

    @property
    def name(self) -> str:
        """As it is called: `기해`."""
        return STEMS[self.stem] + BRANCHES[self.branch]


@dataclass(frozen=True, slots=True)
class Birth:
    """When a person was born.

    Attributes:
        day: Solar calendar, in Korea.
        clock: What the clock showed, summer time as it was; None when unknown.
        is_male: None when unknown.
    """

    day: date
    clock: time | None = None
    is_male: bool | None = None


@dataclass(frozen=True, slots=True)
class Luck:
    """How a person's ten-year pillars (대운) run.

    Attributes:
        direction: 1 from the month's pillar onwards, -1 backwards.
        start_years: Age at which the first begins.
    """

    direction: int
    start_years: float


@dataclass(frozen=True, slots=True)
class NatalChart:
    """A person's four pillars (사주), computed once.

    Attributes:
        hour: None when the hour of birth is unknown.
        is_term_day: Born on the day of a solar term that turns a pillar.
        luck: None when the gender is unknown.
        ruleset: Name of the rules that it was computed by.
    """

    year: Pillar
    month: Pillar
    day: Pillar
    hour: Pillar | None
    is_term_day: bool
    luck: Luck | None
    ruleset: str

    @property
    def pillars(self) -> tuple[Pillar, ...]:
        """The known ones: year, month, day and, when it is known, hour."""
        known = (self.year, self.month, self.day)
        return known if self.hour is None else (*known, self.hour)


@dataclass(frozen=True, slots=True)
class EligibleUser:
    """A user who gets a fortune.

    Attributes:
        user_id: The app's key, as text.
        time_zone: Name of the zone that the user lives in.
    """

    user_id: str
    birth: Birth
    time_zone: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The app's users as they were read for a day, counted by what became of them.

    Attributes:
        undated_rows: Active users without a birth date.
        unborn_rows: Active users whose birth date is not before the day.
        unreadable_rows: Active users whose birth date is no date, or before 1900.
        unknown_hour_rows: Eligible users without an hour of birth.
    """

    for_date: date
    source_rows: int
    eligible_rows: int
    inactive_rows: int
    undated_rows: int
    unborn_rows: int
    unreadable_rows: int
    unknown_hour_rows: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A user without a fortune, and from when a run asks again (None for never)."""

    reason: str
    attempts: int
    next_retry_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Whether a run may ask again by now."""
        return self.next_retry_at is not None and self.next_retry_at <= now


@dataclass(frozen=True, slots=True)
class StoredFortune:
    """A row of `fortunes.daily_fortunes` as the app or a person reads it.

    Attributes:
        data: The words and what is lucky; None unless completed.
        score: What was computed.
    """

    for_date: date
    user_id: str
    status: FortuneStatus
    gapja_code: int
    gapja_name: str
    gapja_element: str
    data: dict[str, object] | None
    score: dict[str, object]
    time_zone: str
    reason: str | None
    attempts: int
    next_retry_at: datetime | None
    is_made_up: bool
    generated_at: datetime

"""What the fortunes domain computes about a person and a day. Pure: no SQL, no Dagster, no model.

Scores, relations, elements and what is lucky are rules of this file, named `RULES`; the model only
writes words about them. Calendars are in `pillars`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from batch_platform.domains.fortunes.models import (
    ELEMENTS,
    Birth,
    Element,
    NatalChart,
    Pillar,
    TenGod,
)
from batch_platform.domains.fortunes.pillars import (
    FIRST_BIRTH,
    SEOUL,
    day_pillar,
    luck_pillar,
    month_pillar,
    year_pillar,
)

RULES = "five-elements/1"

_STEM_ELEMENTS = tuple(element for element in ELEMENTS for _ in range(2))
_BRANCH_ELEMENTS = tuple(Element(each) for each in "수토목목토화화토금금토수")
# The stem that rules each branch (지장간의 본기): 자 is 계, 축 is 기, …
_RULING_STEMS = (9, 5, 0, 1, 4, 2, 3, 5, 6, 7, 4, 8)
_TEN_GODS = tuple(TenGod)

_SHORTEST_NAME = 3
_FIRST_RETRY = timedelta(minutes=5)
_LONGEST_RETRY = timedelta(hours=1)
MAX_ATTEMPTS = 6
"""A user whose answers were useless so often is not paid for any more."""

_BASE_SCORE = 55
_SCORED_TOPICS = ("love", "money", "work", "health")
# What the day's stem (weighing twice its branch) does to each topic, by its kind of 십신.
_WEIGHTS: Mapping[str, tuple[int, int, int, int, int]] = {
    #         비견·겁재, 식신·상관, 편재·정재, 편관·정관, 편인·정인
    "love": (-4, 4, 7, 5, 1),
    "money": (-8, 6, 10, 0, -3),
    "work": (0, 3, 4, 8, 6),
    "health": (5, 2, -2, -7, 8),
}
_HARMONIES = {frozenset(pair) for pair in ((0, 1), (2, 11), (3, 10), (4, 9), (5, 8), (6, 7))}
_HARMONY_POINTS = {"love": 12, "money": 5, "work": 6, "health": 5}
_CLASH_POINTS = {"love": -10, "money": -5, "work": -6, "health": -8}
_NEEDED_POINTS = 8
_BALANCE_POINTS = 8
_USUAL_BALANCE = 93
"""The median of charts; what is far below it counts as much as the greatest possible."""

_COLORS: Mapping[Element, tuple[str, str]] = {
    Element.WOOD: ("초록", "청록"),
    Element.FIRE: ("빨강", "주황"),
    Element.EARTH: ("노랑", "갈색"),
    Element.METAL: ("흰색", "은색"),
    Element.WATER: ("검정", "남색"),
}
# 하도(河圖): each element's pair of numbers.
_NUMBERS: Mapping[Element, tuple[int, int]] = {
    Element.WOOD: (3, 8),
    Element.FIRE: (7, 2),
    Element.EARTH: (5, 10),
    Element.METAL: (9, 4),
    Element.WATER: (1, 6),
}
_DIRECTIONS: Mapping[Element, str] = {
    Element.WOOD: "동쪽",
    Element.FIRE: "남쪽",
    Element.EARTH: "중앙",
    Element.METAL: "서쪽",
    Element.WATER: "북쪽",
}
_TIMES: Mapping[Element, tuple[str, str]] = {
    Element.WOOD: ("03:00~05:00", "05:00~07:00"),
    Element.FIRE: ("11:00~13:00", "09:00~11:00"),
    Element.EARTH: ("07:00~09:00", "13:00~15:00"),
    Element.METAL: ("15:00~17:00", "17:00~19:00"),
    Element.WATER: ("23:00~01:00", "21:00~23:00"),
}


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a person's pillars is of one element.

    Attributes:
        percentage: To a tenth; those of all elements add up to 100 exactly.
    """

    count: int
    percentage: float


@dataclass(frozen=True, slots=True)
class Lucky:
    """What goes with the element that a person needs."""

    color: str
    number: int
    direction: str
    time: str


@dataclass(frozen=True, slots=True)
class DayReading:
    """All that is computed about a person and a day; what the model writes about.

    Attributes:
        pillars: Name in the app (대운, 세운, …) → pillar; None where it is not known.
        stem_god: What the day's stem is to the day master.
        branch_god: What the stem that rules the day's branch is to the day master.
        bond: How the day's branch meets that of the person's day: 합, 충 or neither.
        distribution: Of all known pillars, the person's own and the running ones.
        balance: 0 when all is of one element, 100 when all five are alike.
        needed: The element that the person's own chart lacks.
        scores: love, money, work, health, each 0 to 100.
        overall: Their mean.
    """

    day: Pillar
    pillars: Mapping[str, Pillar | None]
    day_master: int
    stem_god: TenGod
    branch_god: TenGod
    bond: str
    distribution: Mapping[Element, Share]
    balance: int
    needed: Element
    scores: Mapping[str, int]
    overall: int
    lucky: Lucky


class NameFinder:
    """Finds full names in texts. Names of one or two characters are words too often to tell.

    Args:
        names: As users typed them.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_start: dict[str, list[str]] = {}
        for name in {each.strip() for each in names}:
            if len(name) >= _SHORTEST_NAME:
                self._by_start.setdefault(name[:_SHORTEST_NAME], []).append(name)

    def is_in(self, text: str) -> bool:
        """Tell whether any of the names stands in the text."""
        return any(
            text.startswith(name, at)
            for at in range(len(text) - _SHORTEST_NAME + 1)
            for name in self._by_start.get(text[at : at + _SHORTEST_NAME], ())
        )


def stem_element(stem: int) -> Element:
    """The element of a stem."""
    return _STEM_ELEMENTS[stem]


def elements_of(pillar: Pillar) -> tuple[Element, Element]:
    """The elements of a pillar's stem and of its branch."""
    return _STEM_ELEMENTS[pillar.stem], _BRANCH_ELEMENTS[pillar.branch]


def ten_god(day_master: int, stem: int) -> TenGod:
    """What a stem is to the day master (십신).

    By how far the stem's element is from the day master's in the order of generation (0 the same,
    1 what it generates, 2 what it controls, 3 what controls it, 4 what generates it), and whether
    both are yang or yin. 편관 and 편인 are of the same kind, 정관 and 정인 of the other.
    """
    distance = (ELEMENTS.index(stem_element(stem)) - ELEMENTS.index(stem_element(day_master))) % 5
    is_other_polarity = (stem - day_master) % 2
    return _TEN_GODS[2 * distance + is_other_polarity]


def distribution_of(pillars: Sequence[Pillar]) -> dict[Element, Share]:
    """How the elements of some pillars are spread; one pillar or more."""
    counts = Counter(element for pillar in pillars for element in elements_of(pillar))
    total = 2 * len(pillars)
    tenths = {element: 1000 * counts[element] // total for element in ELEMENTS}
    # The largest remainders get what rounding down left over.
    remainders = sorted(ELEMENTS, key=lambda element: -(1000 * counts[element] % total))
    for element in remainders[: 1000 - sum(tenths.values())]:
        tenths[element] += 1
    return {element: Share(counts[element], tenths[element] / 10) for element in ELEMENTS}


def balance_of(distribution: Mapping[Element, Share]) -> int:
    """Shannon's entropy of a distribution, as a share of the greatest possible, in percent."""
    total = sum(share.count for share in distribution.values())
    parts = [share.count / total for share in distribution.values() if share.count]
    return round(100 * abs(sum(part * math.log(part) for part in parts)) / math.log(len(ELEMENTS)))


def needed_element(chart: NatalChart) -> Element:
    """The element that a chart needs, by strength of the day master (억부).

    A day master that less than half of the chart supports (its own element and the one that
    generates it) needs the rarer of these two; otherwise it needs the rarest of the other three.
    Among equally rare ones, the nearer in the order of generation comes first.
    """
    own = ELEMENTS.index(stem_element(chart.day.stem))
    counts = {element: share.count for element, share in distribution_of(chart.pillars).items()}
    supporting = [ELEMENTS[(own + 4) % 5], ELEMENTS[own]]
    is_weak = 2 * sum(counts[element] for element in supporting) < sum(counts.values())
    candidates = supporting if is_weak else [ELEMENTS[(own + step) % 5] for step in (1, 2, 3)]
    return min(candidates, key=lambda element: counts[element])


def read_day(chart: NatalChart, birth: Birth, day: date) -> DayReading:
    """Compute what a day is for a person.

    The running year's and month's pillars (세운, 월운) are those of the day's noon in Korea.
    """
    noon = datetime.combine(day, time(12), SEOUL).astimezone(UTC)
    of_day = day_pillar(day)
    pillars = {
        "대운": luck_pillar(chart, birth.day, day),
        "세운": year_pillar(noon),
        "월운": month_pillar(noon),
        "일운": of_day,
        "년주": chart.year,
        "월주": chart.month,
        "일주": chart.day,
        "시주": chart.hour,
    }
    distribution = distribution_of([pillar for pillar in pillars.values() if pillar is not None])
    needed = needed_element(chart)
    balance = balance_of(distribution)
    stem_god = ten_god(chart.day.stem, of_day.stem)
    branch_god = ten_god(chart.day.stem, _RULING_STEMS[of_day.branch])
    bond = _bond(chart.day.branch, of_day.branch)
    brings_needed = needed in elements_of(of_day)
    scores = {
        topic: _score(topic, stem_god, branch_god, bond, balance, brings_needed=brings_needed)
        for topic in _SCORED_TOPICS
    }
    return DayReading(
        day=of_day,
        pillars=pillars,
        day_master=chart.day.stem,
        stem_god=stem_god,
        branch_god=branch_god,
        bond=bond,
        distribution=distribution,
        balance=balance,
        needed=needed,
        scores=scores,
        overall=round(sum(scores.values()) / len(scores)),
        lucky=_lucky(needed, of_day),
    )


def too_many_failed(failed: int, total: int, allowed_share: float) -> bool:
    """Tell whether so many answers were useless that asking on is no use. One always may be."""
    return failed > max(1, int(total * allowed_share))


def next_retry(attempts: int, now: datetime) -> datetime | None:
    """When a user whose answers were useless is asked about again: after 5, 10, 20, 40, 60 minutes.

    Returns:
        None when nobody will be asked any more.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    return now + min(_FIRST_RETRY * 2 ** (attempts - 1), _LONGEST_RETRY)


def read_birth_date(text: str | None) -> date | None:
    """A birth date as a source wrote it, `1990-03-01` with or without a time behind it.

    Raises:
        ValueError: It is no date, or before `FIRST_BIRTH`.
    """
    if text is None or not text.strip():
        return None
    day = date.fromisoformat(text.strip()[:10])
    if day < FIRST_BIRTH:
        raise ValueError("before the first year that charts are computed for")
    return day


def read_birth_time(text: str | None) -> time | None:
    """A time of birth as a source wrote it; None when it is not known or no time."""
    if text is None:
        return None
    try:
        clock = time.fromisoformat(text.strip().partition(".")[0])
    except ValueError:
        return None
    return clock.replace(tzinfo=None)


def read_gender(text: str | None) -> bool | None:
    """Whether a user is male, of what sources write; None when it is not said."""
    said = (text or "").strip().lower()
    if said in {"m", "male", "man", "남", "남자", "남성"}:
        return True
    return False if said in {"f", "female", "woman", "여", "여자", "여성"} else None


def read_flag(text: str | None) -> bool:
    """Whether a truth value as a source wrote it is true."""
    return (text or "").strip().lower() in {"1", "t", "true", "y", "yes"}


def _bond(own_branch: int, branch: int) -> str:
    if frozenset((own_branch, branch)) in _HARMONIES:
        return "합"
    return "충" if (own_branch - branch) % 12 == 6 else "없음"


def _score(
    topic: str,
    stem_god: TenGod,
    branch_god: TenGod,
    bond: str,
    balance: int,
    *,
    brings_needed: bool,
) -> int:
    weights = _WEIGHTS[topic]
    score = _BASE_SCORE
    score += 2 * weights[_TEN_GODS.index(stem_god) // 2]
    score += weights[_TEN_GODS.index(branch_god) // 2]
    score += {"합": _HARMONY_POINTS, "충": _CLASH_POINTS}.get(bond, {}).get(topic, 0)
    score += _NEEDED_POINTS if brings_needed else 0
    evenness = (balance - _USUAL_BALANCE) / (100 - _USUAL_BALANCE)
    score += round(_BALANCE_POINTS * max(evenness, -1.0))
    return min(max(score, 0), 100)


def _lucky(needed: Element, day: Pillar) -> Lucky:
    """Each element has two colours, numbers and times: the first on yang days, else the other."""
    turn = day.stem % 2
    return Lucky(
        _COLORS[needed][turn], _NUMBERS[needed][turn], _DIRECTIONS[needed], _TIMES[needed][turn]
    )

"""The interventions domain's rules about users and answers. Pure: no SQL, no Dagster, no model.

What rules recommend is in `rules`, which words name a food in `naming`.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from batch_platform.core.errors import PermanentError
from batch_platform.domains.interventions.models import (
    Advice,
    Allergy,
    EatenFood,
    Gubun,
    Mode,
    State,
    UserRecords,
)
from batch_platform.domains.interventions.naming import drugs_named, foods_named, plain

_ALLERGY_NAMES = {
    "gluten": Allergy.GLUTEN,
    "글루텐": Allergy.GLUTEN,
    "밀": Allergy.GLUTEN,
    "wheat": Allergy.GLUTEN,
    "lactose": Allergy.LACTOSE,
    "유당": Allergy.LACTOSE,
    "우유": Allergy.LACTOSE,
    "milk": Allergy.LACTOSE,
    "dairy": Allergy.LACTOSE,
    "유제품": Allergy.LACTOSE,
    "nut": Allergy.NUT,
    "nuts": Allergy.NUT,
    "견과": Allergy.NUT,
    "견과류": Allergy.NUT,
    "땅콩": Allergy.NUT,
    "peanut": Allergy.NUT,
    "seafood": Allergy.SEAFOOD,
    "해산물": Allergy.SEAFOOD,
    "해물": Allergy.SEAFOOD,
    "갑각류": Allergy.SEAFOOD,
    "생선": Allergy.SEAFOOD,
    "fish": Allergy.SEAFOOD,
    "egg": Allergy.EGG,
    "eggs": Allergy.EGG,
    "계란": Allergy.EGG,
    "달걀": Allergy.EGG,
    "난류": Allergy.EGG,
    "알류": Allergy.EGG,
    "soy": Allergy.SOY,
    "대두": Allergy.SOY,
    "콩": Allergy.SOY,
    "soybean": Allergy.SOY,
}
_NOTHING = {"", "none", "null", "없음", "해당없음", "해당 없음", "[]", "-"}
_YES, _NO = {"1", "t", "true", "y", "yes"}, {"0", "f", "false", "n", "no", ""}
_NUMBER = re.compile(r"-?\d{1,9}(\.\d+)?")

# A sentence about what was eaten is in the past tense: a syllable ends in ㅆ, but for 있 and 겠.
_LAST_CONSONANT_OF_THE_PAST = 20
_NOT_PAST = "있겠"
_PAST_IN_ENGLISH = re.compile(r"\b(?:ate|had|was|were|drank|contained)\b")
_ADVISES = re.compile(
    r"세요|십시오|시길|시기 ?바|바랍니다|권장|권합|권해|추천|어떨까|어떠|좋겠|좋습니다|"
    r"좋아요|도움이|늘리|늘려|챙기|챙겨|곁들|드셔|드실|드시면|대신|시도|해 ?보|"
    r"괜찮습니다|괜찮아요|먹어도|"
    r"\b(?:should|try|eat|drink|recommend|enjoy|add|include|choose)\b"
)
_TOGETHER = "\n끝\n"
"""Between texts that are looked through at once: a letter, so that no word goes over the seam."""

_ABOUT_FOOD = re.compile(r" names | advises on ")
_SENTENCE = re.compile(r"[^.!?。\n]*[.!?。\n]?")

WEIGHT_KG, HEIGHT_CM = (20.0, 400.0), (80.0, 250.0)
"""Whatever is outside was typed wrongly, and is taken for not known."""

MOST_STEPS = 200_000
MOST_SLEEP_MINUTES = 24 * 60
MOST_FOOD_G = 10_000.0


def gubun_named(text: str) -> Gubun:
    """What a person or a schedule calls a gubun.

    Raises:
        PermanentError: There is none of that name.
    """
    try:
        return Gubun(text.strip().lower())
    except ValueError:
        raise PermanentError(f"There is no gubun {text!r}", "Use all, sleep or food") from None


def mode_named(text: str) -> Mode:
    """What a person or a schedule calls a mode.

    Raises:
        PermanentError: There is none of that name.
    """
    try:
        return Mode(text.strip().upper())
    except ValueError:
        raise PermanentError(f"There is no mode {text!r}", "Use LLM or RULE") from None


def read_allergies(said: object) -> tuple[frozenset[Allergy], tuple[str, ...]]:
    """Read a list of allergies as a source keeps it: JSON, a list, or words between commas.

    Returns:
        What is known, and the words that no rule knows: what somebody is allergic to must not be
        guessed, so a user with such a word is not advised.
    """
    known: set[Allergy] = set()
    unknown: list[str] = []
    for word in _words_of(said):
        allergy = _ALLERGY_NAMES.get(word.casefold())
        if allergy is not None:
            known.add(allergy)
        elif word.casefold() not in _NOTHING:
            unknown.append(word)
    return frozenset(known), tuple(unknown)


def read_flags(said: Mapping[Allergy, object]) -> tuple[frozenset[Allergy], tuple[str, ...]]:
    """Read allergies kept in a column each; what is neither yes nor no is unknown."""
    known: set[Allergy] = set()
    unknown: list[str] = []
    for allergy, value in said.items():
        word = str("" if value is None else value).strip().casefold()
        if word in _YES:
            known.add(allergy)
        elif word not in _NO:
            unknown.append(allergy.value)
    return frozenset(known), tuple(unknown)


def _words_of(said: object) -> list[str]:
    if said is None:
        return []
    value: Any = said
    if isinstance(said, str):
        try:
            value = json.loads(said)
        except ValueError:
            value = said
    if isinstance(value, dict):
        flags = cast(dict[Any, Any], value)
        value = [name for name, is_so in flags.items() if is_so]
    if isinstance(value, list):
        return [str(each).strip() for each in cast(list[Any], value)]
    return [part.strip() for part in re.split(r"[,;/|·]", str(value).strip("{}[]"))]


def number_in(said: object, least: float, most: float) -> float | None:
    """A number within bounds; None for nothing, and for what can only be a mistake."""
    text = str(said if said is not None else "").strip()
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if least <= value <= most and math.isfinite(value) else None


def state_of(user: UserRecords, *, has_record: bool, has_schedule: bool, is_asked: bool) -> State:
    """Whether a user is advised, or the first reason why not.

    Args:
        user: The user's day.
        has_record: Whether the source holds a recommendation of that day and gubun already.
        has_schedule: Whether a schedule of the job is active, or somebody asked by hand.
        is_asked: Whether the run is about this user.
    """
    if has_record:
        return State.HAS_RECORD
    match user.has_food, user.has_exercise:
        case False, False:
            return State.NO_FOOD_AND_EXERCISE_RECORD
        case False, True:
            return State.NO_FOOD_RECORD
        case True, False:
            return State.NO_EXERCISE_RECORD
        case _:
            pass
    if not has_schedule:
        return State.NO_ACTIVE_SCHEDULE
    return State.ELIGIBLE if is_asked else State.NOT_ASKED


def eaten(
    meal: str, name: str, amount: object, energy: object, allergens: frozenset[Allergy]
) -> EatenFood:
    """A food record; what was typed wrongly counts as not known.

    Args:
        meal: As the source says it.
        name: Of the food.
        amount: Grams.
        energy: Kilocalories of 100 g.
        allergens: What the food contains.
    """
    grams = number_in(amount, 0.0, MOST_FOOD_G) or 0.0
    of_100_g = number_in(energy, 0.0, 1000.0)
    kcal = round(grams * of_100_g / 100, 1) if of_100_g is not None else None
    return EatenFood(meal, name, grams, kcal, allergens)


def body_mass_index(user: UserRecords) -> float | None:
    """Weight in kg over the square of height in m; None when either is not known."""
    if user.height_cm is None or user.weight_kg is None:
        return None
    return round(user.weight_kg / (user.height_cm / 100) ** 2, 1)


def energy_need_kcal(user: UserRecords) -> int | None:
    """Energy for a day: standard weight x 30 kcal, to the next 50.

    Standard weight is height² x 21.5: the Korean Diabetes Association's diet therapy takes 22 for
    men and 21 for women, of which the source does not tell, and 30 kcal per kg for light activity.
    """
    if user.height_cm is None:
        return None
    return round((user.height_cm / 100) ** 2 * 21.5 * 30 / 50) * 50


def require_fit(
    advice: Advice,
    allergies: Collection[Allergy],
    eaten_names: Collection[str],
    further_names: Collection[str] = (),
) -> None:
    """Refuse advice that names a drug, or a food that contains one of the user's allergens.

    A target names no such food, not even as one to leave out: who reads in haste reads the food.
    An evaluation may name what was eaten, in a sentence that does not tell to eat it.

    Args:
        advice: What was answered.
        allergies: The user's.
        eaten_names: Foods that the user ate on that day.
        further_names: Foods that contain one of the allergens by the source's own table.

    Raises:
        ValueError: It does; the message says what and where, in words for the model.
    """
    evaluations, targets = advice.evaluations(), advice.targets()
    _require_no_drug({**evaluations, **targets})
    if named := foods_named(_TOGETHER.join(targets.values()), allergies, further_names):
        raise ValueError(
            f"it names {_listed(named)}, which the user must not eat;"
            " do not mention such a food in any recommendation, not even to avoid it"
        )
    if not foods_named(_TOGETHER.join(evaluations.values()), allergies, further_names):
        return
    was_eaten = foods_named("\n".join(eaten_names), allergies, further_names)
    for name, text in evaluations.items():
        named = foods_named(text, allergies, further_names)
        if named - was_eaten:
            raise ValueError(
                f"{name} names {_listed(named - was_eaten)}, which the user must not eat"
                " and did not eat"
            )
        if named and not _only_tells(text, allergies, further_names):
            raise ValueError(
                f"{name} advises on {_listed(named)}, which the user must not eat:"
                " an evaluation only says what was eaten"
            )


def _require_no_drug(texts: Mapping[str, str]) -> None:
    if not drugs_named(_TOGETHER.join(texts.values())):
        return
    for name, text in texts.items():
        if drugs := drugs_named(text):
            raise ValueError(f"{name} names a drug or treatment ({_listed(drugs)}): only habits")


def public_reason(reason: str) -> str:
    """A reason without the food that it is about: what is logged must not tell of an allergy."""
    if _ABOUT_FOOD.search(reason):
        return "The model kept naming what the user must not be told to take"
    return reason


def _only_tells(text: str, allergies: Collection[Allergy], further_names: Collection[str]) -> bool:
    """Whether each sentence with such a food says what was eaten and no more."""
    telling = [
        sentence
        for sentence in _SENTENCE.findall(text)
        if foods_named(sentence, allergies, further_names)
    ]
    # None: the word is broken over the end of a sentence, which nobody does by accident.
    return bool(telling) and all(_tells(plain(sentence)) for sentence in telling)


def _tells(sentence: str) -> bool:
    """Whether a sentence is about what was, and does not advise."""
    is_past = _PAST_IN_ENGLISH.search(sentence) is not None or any(
        "가" <= each <= "힣"
        and (ord(each) - ord("가")) % 28 == _LAST_CONSONANT_OF_THE_PAST
        and each not in _NOT_PAST
        for each in sentence
    )
    return is_past and not _ADVISES.search(sentence)


def _listed(words: Collection[str]) -> str:
    return ", ".join(sorted(words)[:3])

"""The rules that recommend without a model: deterministic, and safe for every set of allergies.

Pure. Sources: need of energy as in `logic.energy_need_kcal`; bands of the body mass index by the
Korean Society for the Study of Obesity (2022: 18.5, 23, 25); sleep of adults by the American
Academy of Sleep Medicine and Sleep Research Society (2015: seven hours or more); levels of activity
by steps a day after Tudor-Locke and Bassett (2004: 5,000, 7,500, 10,000); what to eat with an
irritable bowel after NICE guideline CG61 (regular meals, little fat, enough to drink) and the
low-FODMAP foods of Monash University. `VERSION` is raised whenever a text or a bound changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from batch_platform.core.errors import PermanentError
from batch_platform.domains.interventions.logic import body_mass_index, energy_need_kcal
from batch_platform.domains.interventions.models import (
    Advice,
    Allergy,
    Gubun,
    Meals,
    UserRecords,
)

VERSION = "rules-1"

USUAL_TARGET_STEPS = 7_500
"""Where a user has no target: Tudor-Locke and Bassett's "somewhat active"."""

_STEP_UP = 500
_ENOUGH_SLEEP_MINUTES, _TOO_LONG_SLEEP_MINUTES = 7 * 60, 9 * 60
_ENERGY_BAND = 0.2
_MEAL_SHARES = {"Breakfast": 0.3, "Lunch": 0.4, "Dinner": 0.3}

_G, _L, _N, _S, _E, _Y = (
    Allergy.GLUTEN,
    Allergy.LACTOSE,
    Allergy.NUT,
    Allergy.SEAFOOD,
    Allergy.EGG,
    Allergy.SOY,
)


@dataclass(frozen=True, slots=True)
class Dish:
    """Something to eat.

    Attributes:
        allergens: What it contains.
        tastes: Words for those who like it: 채식, 육류, 생선.
    """

    name: str
    allergens: frozenset[Allergy] = frozenset()
    tastes: frozenset[str] = frozenset()


def _dish(name: str, *allergens: Allergy, tastes: str = "") -> Dish:
    return Dish(name, frozenset(allergens), frozenset(tastes.split()))


STAPLES: Sequence[Dish] = (
    _dish("쌀밥", tastes="채식"),
    _dish("찐 감자", tastes="채식"),
    _dish("현미를 조금 섞은 밥", tastes="채식"),
    _dish("찐 고구마 작은 것 한 개", tastes="채식"),
    _dish("부드러운 흰죽", tastes="채식"),
    _dish("퀴노아밥", tastes="채식"),
)
PROTEINS: Sequence[Dish] = (
    _dish("닭가슴살 구이", tastes="육류"),
    _dish("소고기 뭇국", tastes="육류"),
    _dish("돼지고기 안심 수육", tastes="육류"),
    _dish("계란찜", _E),
    _dish("데친 두부", _Y, tastes="채식"),
    _dish("연어 구이", _S, tastes="생선"),
    _dish("흰살 생선 찜", _S, tastes="생선"),
    _dish("닭고기 안심 찜", tastes="육류"),
    _dish("구운 단호박과 퀴노아", tastes="채식"),
    _dish("구운 가지와 애호박", tastes="채식"),
)
SIDES: Sequence[Dish] = (
    _dish("데친 시금치", tastes="채식"),
    _dish("당근 볶음", tastes="채식"),
    _dish("애호박 나물", tastes="채식"),
    _dish("오이와 토마토", tastes="채식"),
    _dish("데친 청경채", tastes="채식"),
    _dish("가지 나물", tastes="채식"),
)
FRUITS: Sequence[Dish] = (
    _dish("바나나 한 개", tastes="채식"),
    _dish("키위 한 개", tastes="채식"),
    _dish("딸기 한 줌", tastes="채식"),
    _dish("오렌지 한 개", tastes="채식"),
)
_TASTES = {
    "채식": ("채식", "비건", "vegan", "vegetarian", "베지"),
    "육류": ("고기", "육류", "meat"),
    "생선": ("생선", "해산물", "fish", "seafood"),
}


def advise(user: UserRecords, day: date, gubun: Gubun) -> Advice:
    """What the rules recommend for the day after `day`; the same for the same user and day.

    Raises:
        PermanentError: The user's records do not allow to name food safely.
    """
    if user.problem:
        raise PermanentError(user.problem, "Correct the user's profile in the source")
    meals = _meals(user, day) if gubun.has_diet else None
    return Advice(
        diet_evaluation=_diet_evaluation(user) if gubun.has_diet else None,
        diet_target=meals,
        food_evaluation=_food_evaluation(user) if gubun.has_diet else None,
        sleep_evaluation=_sleep_evaluation(user) if gubun.has_sleep else None,
        sleep_target=_sleep_target(user) if gubun.has_sleep else None,
        exercise_evaluation=_exercise_evaluation(user) if gubun.has_exercise else None,
        exercise_target=_exercise_target(user) if gubun.has_exercise else None,
    )


def _diet_evaluation(user: UserRecords) -> str:
    parts: list[str] = []
    need, energy = energy_need_kcal(user), round(user.energy_kcal)
    if not energy:
        parts.append("어제 드신 음식의 열량은 자료가 없어 계산하지 못했습니다.")
    elif need is None:
        parts.append(f"어제 약 {energy:,}kcal를 드셨습니다.")
    else:
        compared = (
            "적었습니다"
            if energy < need * (1 - _ENERGY_BAND)
            else "많았습니다"
            if energy > need * (1 + _ENERGY_BAND)
            else "비슷했습니다"
        )
        parts.append(f"어제 약 {energy:,}kcal로, 하루 필요량 약 {need:,}kcal에 견주어 {compared}.")
    meals = len({food.meal for food in user.foods if food.meal})
    parts.append(
        f"기록된 끼니는 {meals}번입니다. 장이 예민할 때는 세 끼를 제때 드시는 것이 낫습니다."
        if meals < len(_MEAL_SHARES)
        else "끼니를 거르지 않으셨습니다."
    )
    return " ".join([*parts, *_about_weight(user)])


def _about_weight(user: UserRecords) -> list[str]:
    index = body_mass_index(user)
    if index is None:
        return []
    band = (
        "저체중"
        if index < 18.5
        else "정상 범위"
        if index < 23
        else "과체중 범위"
        if index < 25
        else "비만 범위"
    )
    return [f"체질량지수는 {index}로 {band}입니다."]


def _food_evaluation(user: UserRecords) -> str:
    risky = [food for food in user.foods if food.allergens & user.allergies]
    parts = [f"어제 {len(user.foods)}가지 음식을 기록하셨습니다."]
    if risky:
        parts.append(
            f"그 가운데 {len(risky)}가지에 알레르기 성분이 들어 있었습니다."
            " 증상이 있었다면 기록해 두시기 바랍니다."
        )
    elif user.allergies:
        parts.append("알레르기 성분이 확인된 음식은 없었습니다.")
    heaviest = max(user.foods, key=lambda food: food.energy_kcal or 0.0, default=None)
    if heaviest and (heaviest.energy_kcal or 0) > max(user.energy_kcal / 2, 700):
        parts.append(
            "열량의 절반 넘게가 한 가지 음식에서 왔습니다. 여러 번에 나누면 장이 편합니다."
        )
    return " ".join(parts)


def _meals(user: UserRecords, day: date) -> Meals:
    need = energy_need_kcal(user)
    texts: dict[str, str] = {}
    for number, (meal, share) in enumerate(_MEAL_SHARES.items()):
        turn = (day + timedelta(days=1)).toordinal() * len(_MEAL_SHARES) + number
        chosen = [_choice(dishes, user, turn) for dishes in (STAPLES, PROTEINS, SIDES)]
        if meal == "Breakfast":
            chosen.append(_choice(FRUITS, user, turn // len(_MEAL_SHARES)))
        amount = f" (약 {round(need * share / 10) * 10:,}kcal)" if need else ""
        texts[meal] = ", ".join(dish.name for dish in chosen) + amount
    return Meals(texts["Breakfast"], texts["Lunch"], texts["Dinner"], _summary(user, need))


def _choice(dishes: Sequence[Dish], user: UserRecords, turn: int) -> Dish:
    """The dish whose turn it is among those that are safe and, if there are such, liked."""
    safe = [dish for dish in dishes if not dish.allergens & user.allergies]
    tastes = _tastes(user.food_preference)
    liked = [dish for dish in safe if dish.tastes & tastes]
    among = liked or safe
    return among[turn % len(among)]


def _tastes(preference: str) -> frozenset[str]:
    lowered = preference.casefold()
    tastes = {taste for taste, words in _TASTES.items() if any(word in lowered for word in words)}
    # Whoever eats no meat must not be given any because another word was found too.
    return frozenset({"채식"} if "채식" in tastes else tastes)


def _summary(user: UserRecords, need: int | None) -> str:
    parts = ["기름지고 매운 음식을 줄이고, 물을 하루 여덟 잔쯤 나누어 드세요."]
    if need and user.energy_kcal > need * (1 + _ENERGY_BAND):
        parts.append("어제보다 한 끼의 양을 조금 줄여 천천히 드세요.")
    elif need and 0 < user.energy_kcal < need * (1 - _ENERGY_BAND):
        parts.append("어제 양이 적었으니 세 끼를 거르지 마세요.")
    if user.allergies:
        parts.append("알레르기 성분이 든 음식은 식단에서 뺐습니다.")
    return " ".join(parts)


def _sleep_evaluation(user: UserRecords) -> str:
    if user.sleep_minutes is None:
        return "수면 기록이 없어 어제의 수면은 평가하지 못했습니다."
    slept = _hours(user.sleep_minutes)
    if user.sleep_minutes < _ENOUGH_SLEEP_MINUTES:
        return f"어제 {slept} 주무셨습니다. 성인에게 필요한 7시간보다 짧았습니다."
    if user.sleep_minutes > _TOO_LONG_SLEEP_MINUTES:
        return f"어제 {slept} 주무셨습니다. 평소보다 길었다면 피로가 쌓였는지 살펴보세요."
    return f"어제 {slept} 주무셨습니다. 충분한 수면이었습니다."


def _sleep_target(user: UserRecords) -> str:
    habit = "잠들기 한 시간 전에는 화면을 멀리하고, 일어나는 시간을 늘 같게 해 보세요."
    if user.sleep_minutes is None:
        return f"7시간에서 9시간을 목표로 하세요. {habit}"
    if user.sleep_minutes < _ENOUGH_SLEEP_MINUTES:
        # Half an hour a day: a goal that can be reached tonight.
        goal = min(user.sleep_minutes + 30, _ENOUGH_SLEEP_MINUTES)
        return f"오늘은 {_hours(max(goal, 240))}을 목표로 조금 일찍 잠자리에 드세요. {habit}"
    return f"지금처럼 7시간에서 9시간을 지키세요. {habit}"


def _hours(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{hours}시간 {rest}분" if rest else f"{hours}시간"


def _exercise_evaluation(user: UserRecords) -> str:
    if user.current_steps is None:
        return "걸음 수 기록을 읽을 수 없어 어제의 활동은 평가하지 못했습니다."
    steps, target = user.current_steps, user.target_steps or USUAL_TARGET_STEPS
    level = (
        "활동이 적은 하루"
        if steps < 5_000
        else "조금 활동한 하루"
        if steps < 7_500
        else "꽤 활동한 하루"
        if steps < 10_000
        else "활발한 하루"
    )
    share = steps * 100 // target
    return f"어제 {steps:,}걸음으로 목표 {target:,}걸음의 {share}%입니다. {level}였습니다."


def _exercise_target(user: UserRecords) -> str:
    target = user.target_steps or USUAL_TARGET_STEPS
    steps = user.current_steps
    if steps is None:
        goal = min(target, USUAL_TARGET_STEPS)
    elif steps >= target:
        goal = target
    else:
        # A little more than yesterday, in steps of 500, and never more than the target.
        goal = min(target, max((steps // _STEP_UP + 2) * _STEP_UP, 2_000))
    return f"오늘은 {goal:,}걸음을 목표로, 식사 뒤에 10분씩 나누어 가볍게 걸어 보세요."

"""Reads users' records from the service's own database, and gives recommendations back.

Table and column names are the settings'; what a value means is in `logic`. A day is read table by
table and put together per user: some tens of thousands of users and their meals are held at once.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from batch_platform.core.settings import InterventionsSettings
from batch_platform.domains.interventions.logic import (
    HEIGHT_CM,
    MOST_SLEEP_MINUTES,
    MOST_STEPS,
    WEIGHT_KG,
    eaten,
    number_in,
    read_allergies,
    read_flags,
)
from batch_platform.domains.interventions.models import Allergy, EatenFood, Gubun, UserRecords
from batch_platform.domains.interventions.store import TEXT_COLUMNS
from batch_platform.gateways.source_db import SourceDatabase

Row = Mapping[str, Any]
_MOST_TEXT = 200


@dataclass(slots=True)
class _Day:
    """What the source says of one user's day, before it is judged."""

    profile: Row | None = None
    foods: list[EatenFood] = field(default_factory=list[EatenFood])
    exercise: Row | None = None
    sleep_minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Food:
    """A row of the source's table of foods."""

    name: str
    energy: object
    allergens: frozenset[Allergy]
    has_unknown: bool


class InterventionSource:
    """The service's database in the domain's words.

    Args:
        source: The database.
        names: The settings with table and column names.
    """

    def __init__(self, source: SourceDatabase, names: InterventionsSettings) -> None:
        self._source = source
        self._names = names

    def warnings(self) -> tuple[str, ...]:
        """Look every table and column up; say which columns cannot hold every character.

        Raises:
            ConfigurationError: A table or a column does not exist.
        """
        names = self._names
        user, day = names.column_user_id, names.column_record_date
        tables = {
            names.table_food_records: [
                *(user, day, names.column_food_id, names.column_meal_type, names.column_amount),
            ],
            names.table_foods: [
                *(names.column_food_key, names.column_food_name, names.column_food_energy),
                *_allergy_columns(names.column_food_allergens).values(),
            ],
            names.table_exercise_records: [
                *(user, day, names.column_target_steps, names.column_current_steps),
            ],
            names.table_profiles: [
                *(user, names.column_height, names.column_weight, names.column_food_preference),
                *_allergy_columns(names.column_allergies).values(),
            ],
            names.table_records: [
                *(user, day, "target_date", "gubun", *TEXT_COLUMNS, "diet_target"),
                *("processing_time", "error_message", names.column_input, names.column_output),
            ],
        }
        if names.table_sleep_records:
            tables[names.table_sleep_records] = [user, day, names.column_sleep_minutes]
        return tuple(
            warning
            for table, columns in tables.items()
            for warning in self._source.column_warnings(table, columns)
        )

    def foods(self) -> Mapping[str, Food]:
        """The source's foods by key.

        Raises:
            ConfigurationError: The table or a column does not exist.
        """
        names = self._names
        columns = {
            "key": names.column_food_key,
            "name": names.column_food_name,
            "energy": names.column_food_energy,
        }
        found: dict[str, Food] = {}
        wanted = {**columns, **_allergy_columns(names.column_food_allergens)}
        for row in self._source.read_all(names.table_foods, wanted):
            allergens, unknown = _allergies(row)
            found[str(row["key"])] = Food(
                _text(row["name"]), row["energy"], allergens, bool(unknown)
            )
        return found

    def users(self, day: date) -> Iterator[UserRecords]:
        """Yield the day of everyone who has a profile or a record.

        Raises:
            ConfigurationError: A table or a column does not exist.
            RetryableError: The source does not answer.
        """
        names = self._names
        days: dict[str, _Day] = {}
        for row in self._profiles():
            days.setdefault(str(row["user_id"]), _Day()).profile = row
        foods = self.foods()
        for row in self._rows(
            day,
            names.table_food_records,
            food_id=names.column_food_id,
            meal=names.column_meal_type,
            amount=names.column_amount,
        ):
            food = foods.get(str(row["food_id"]))
            days.setdefault(str(row["user_id"]), _Day()).foods.append(_eaten(row, food))
        for row in self._rows(
            day,
            names.table_exercise_records,
            target=names.column_target_steps,
            walked=names.column_current_steps,
        ):
            days.setdefault(str(row["user_id"]), _Day()).exercise = row
        if names.table_sleep_records:
            for row in self._rows(
                day, names.table_sleep_records, minutes=names.column_sleep_minutes
            ):
                minutes = number_in(row["minutes"], 0, MOST_SLEEP_MINUTES)
                known = days.setdefault(str(row["user_id"]), _Day())
                known.sleep_minutes = minutes if minutes is not None else known.sleep_minutes
        for user_id in sorted(days):
            yield _user(user_id, days[user_id])

    def users_with_record(self, day: date, gubun: Gubun) -> frozenset[str]:
        """Users who have a recommendation of that day and gubun; one with an error is none."""
        rows = self._rows(
            day, self._names.table_records, gubun="gubun", error_message="error_message"
        )
        return frozenset(
            str(row["user_id"])
            for row in rows
            if row["gubun"] == gubun.value and not (row["error_message"] or "").strip()
        )

    def records(self, day: date, gubun: Gubun) -> Mapping[str, int]:
        """User → records of that day and gubun in the service's table, errors among them."""
        rows = self._rows(day, self._names.table_records, gubun="gubun")
        return Counter(str(row["user_id"]) for row in rows if row["gubun"] == gubun.value)

    def publish(self, day: date, gubun: Gubun, made: Sequence[Row], at: datetime) -> int:
        """Write recommendations and errors into the service's own table, in its shape.

        Rows that are there keep their key; nobody else's row is touched.

        Raises:
            ConfigurationError: The table or a column does not exist, or a value does not fit.
            RetryableError: The source does not answer; nothing was written.
        """
        names = self._names
        there = self._source.existing_columns(names.table_records)
        changed = {"updated_at": at} if "updated_at" in there else {}
        rows = [
            {
                names.column_user_id: row["user_id"],
                "target_date": row["target_date"],
                **{name: row[name] or "" for name in TEXT_COLUMNS},
                "diet_target": row["diet_target"] or "{}",
                "processing_time": row["processing_time"],
                "error_message": row["error_message"] or "",
                names.column_input: row["input"],
                names.column_output: row["output"] or "{}",
                **changed,
            }
            for row in made
        ]
        return self._source.upsert(
            names.table_records,
            of={names.column_record_date: day, "gubun": gubun.value},
            key=names.column_user_id,
            rows=rows,
            when_new={"created_at": at} if "created_at" in there else {},
        )

    def _profiles(self) -> list[dict[str, Any]]:
        names = self._names
        columns = {
            "user_id": names.column_user_id,
            "height": names.column_height,
            "weight": names.column_weight,
            "preference": names.column_food_preference,
        }
        wanted = {**columns, **_allergy_columns(names.column_allergies)}
        return self._source.read_all(names.table_profiles, wanted)

    def _rows(self, day: date, table: str, **columns: str) -> Iterator[Row]:
        wanted = {"user_id": self._names.column_user_id, **columns}
        with self._source.open_day(table, wanted, self._names.column_record_date, day) as rows:
            for batch in rows.batches():
                yield from batch.to_pylist()


def foods_by_allergen(foods: Mapping[str, Food]) -> Mapping[Allergy, frozenset[str]]:
    """Names of the source's foods by what they contain."""
    return {
        allergy: frozenset(food.name for food in foods.values() if allergy in food.allergens)
        for allergy in Allergy
    }


def _allergy_columns(said: Sequence[str]) -> Mapping[str, str]:
    """Name in the result → column: `list`, or one a kind of allergy."""
    if len(said) == 1 and ":" not in said[0]:
        return {"list": said[0]}
    pairs = (part.partition(":") for part in said)
    return {Allergy(name.strip()).value: column.strip() for name, _, column in pairs}


def _allergies(row: Row) -> tuple[frozenset[Allergy], tuple[str, ...]]:
    if "list" in row:
        return read_allergies(row["list"])
    return read_flags({allergy: row[allergy.value] for allergy in Allergy if allergy.value in row})


def _eaten(row: Row, food: Food | None) -> EatenFood:
    meal = _text(row["meal"])
    if food is None:
        return eaten(meal, "알 수 없는 음식", row["amount"], None, frozenset())
    return eaten(meal, food.name, row["amount"], food.energy, food.allergens)


def _user(user_id: str, day: _Day) -> UserRecords:
    profile = day.profile or {}
    allergies, unknown = _allergies(profile) if profile else (frozenset[Allergy](), ())
    problem = ""
    if day.profile is None:
        problem = "The user has no profile, so the allergies are not known"
    elif unknown:
        problem = "The profile names an allergy that is not known here"
    walked = day.exercise or {}
    target = number_in(walked.get("target"), 1, MOST_STEPS)
    steps = number_in(walked.get("walked"), 0, MOST_STEPS)
    return UserRecords(
        user_id=user_id,
        has_profile=day.profile is not None,
        allergies=allergies,
        food_preference=_preference(profile.get("preference")),
        height_cm=number_in(profile.get("height"), *HEIGHT_CM),
        weight_kg=number_in(profile.get("weight"), *WEIGHT_KG),
        foods=tuple(day.foods),
        has_exercise=day.exercise is not None,
        target_steps=None if target is None else int(target),
        current_steps=None if steps is None else int(steps),
        sleep_minutes=None if day.sleep_minutes is None else int(day.sleep_minutes),
        problem=problem,
    )


def _preference(value: object) -> str:
    if isinstance(value, list | dict):
        return _text(json.dumps(value, ensure_ascii=False))
    return _text(value)


def _text(value: object) -> str:
    """A text of the source on one line, without what PostgreSQL cannot store."""
    said = "" if value is None else str(value)
    return " ".join(said.replace("\x00", " ").split())[:_MOST_TEXT]

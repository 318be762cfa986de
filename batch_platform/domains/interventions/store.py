"""SQL of the interventions domain on the platform's database.

Rules are in `logic`, tables in `migrations/`, the service's own database in `source`.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from batch_platform.core.personal_data import mask
from batch_platform.domains.interventions.logic import public_reason
from batch_platform.domains.interventions.models import (
    Advice,
    Allergy,
    EatenFood,
    Gubun,
    Meals,
    Recommendation,
    State,
    UserRecords,
)
from batch_platform.gateways.platform_db import PartitionTransaction, PlatformDb, Spool

JOB_NAME = "interventions_job"
ASKED_FOR_RULES = "Rules were asked for"
"""The reason of a row that rules wrote because nobody asked the model."""

USER_RECORDS_SCHEMA = pa.schema(
    [
        ("record_date", pa.date32()),
        ("user_id", pa.string()),
        ("has_profile", pa.bool_()),
        ("allergies", pa.string()),
        ("food_preference", pa.string()),
        ("height_cm", pa.float64()),
        ("weight_kg", pa.float64()),
        ("foods", pa.string()),
        ("has_exercise", pa.bool_()),
        ("target_steps", pa.int64()),
        ("current_steps", pa.int64()),
        ("sleep_minutes", pa.int64()),
        ("problem", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `interventions.user_records`."""

ELIGIBLE_USERS_SCHEMA = pa.schema(
    [
        ("record_date", pa.date32()),
        ("gubun", pa.string()),
        ("user_id", pa.string()),
        ("state", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `interventions.eligible_users`."""

RECOMMENDATION_SCHEMA = pa.schema(
    [
        ("record_date", pa.date32()),
        ("gubun", pa.string()),
        ("user_id", pa.string()),
        ("target_date", pa.date32()),
        ("written_by", pa.string()),
        ("reason", pa.string()),
        ("version", pa.string()),
        ("diet_evaluation", pa.string()),
        ("diet_target", pa.string()),
        ("food_evaluation", pa.string()),
        ("sleep_evaluation", pa.string()),
        ("sleep_target", pa.string()),
        ("exercise_evaluation", pa.string()),
        ("exercise_target", pa.string()),
        ("processing_time", pa.float64()),
        ("error_message", pa.string()),
        ("input", pa.string()),
        ("output", pa.string()),
        ("is_made_up", pa.bool_()),
    ]
)
"""Rows of `interventions.recommendations`."""

TEXT_COLUMNS = (
    "diet_evaluation",
    "food_evaluation",
    "sleep_evaluation",
    "sleep_target",
    "exercise_evaluation",
    "exercise_target",
)


@dataclass(frozen=True)
class DayCounts:
    """What became of a day's users.

    Attributes:
        users: Everyone whom the source knew that day.
        recommendations: With a recommendation made here.
        errors: With an error, which the next run tries again.
        left_out: By reason; nobody of them has a row among the two above.
    """

    users: int
    recommendations: int
    errors: int
    left_out: Mapping[str, int]
    by_rule: int

    @property
    def missing(self) -> int:
        """Users of whom nothing is known: 0, or something is wrong."""
        return self.users - self.recommendations - self.errors - sum(self.left_out.values())


class InterventionStore:
    """Reads and writes the tables of the schema `interventions`."""

    def __init__(self, db: PlatformDb) -> None:
        self._db = db

    def has_active_schedule(self) -> bool:
        """Whether a schedule in the table starts this domain's job by itself."""
        ((found,),) = self._db.fetch_all(
            "SELECT EXISTS (SELECT FROM operations.schedules"
            " WHERE job = %s AND is_active AND deleted_at IS NULL)",
            [JOB_NAME],
        )
        return found

    def users(self, day: date) -> Iterator[UserRecords]:
        """Yield the day of every user whom the source knew."""
        for row in self._db.stream(
            "SELECT user_id, has_profile, allergies, food_preference, height_cm, weight_kg, foods,"
            " has_exercise, target_steps, current_steps, sleep_minutes, problem"
            " FROM interventions.user_records WHERE record_date = %s ORDER BY user_id",
            [day],
        ):
            yield _user(row)

    def eligible_users(self, day: date, gubun: Gubun) -> Iterator[UserRecords]:
        """Yield the day of every user who is to be advised."""
        for row in self._db.stream(
            "SELECT user_id, has_profile, allergies, food_preference, height_cm, weight_kg, foods,"
            " has_exercise, target_steps, current_steps, sleep_minutes, problem"
            " FROM interventions.user_records"
            " JOIN interventions.eligible_users USING (record_date, user_id)"
            " WHERE record_date = %s AND gubun = %s AND state = 'eligible' ORDER BY user_id",
            [day, gubun.value],
        ):
            yield _user(row)

    def user_count(self, day: date) -> int:
        """Users of the day."""
        ((count,),) = self._db.fetch_all(
            "SELECT count(*) FROM interventions.user_records WHERE record_date = %s", [day]
        )
        return count

    def state_counts(self, day: date, gubun: Gubun) -> Mapping[str, int]:
        """State → users, of the last run for the day and gubun."""
        rows = self._db.fetch_all(
            "SELECT state, count(*) FROM interventions.eligible_users"
            " WHERE record_date = %s AND gubun = %s GROUP BY state ORDER BY state",
            [day, gubun.value],
        )
        return dict(rows)

    def replace_recommendations(
        self, transaction: PartitionTransaction, day: date, gubun: Gubun, rows: Spool
    ) -> None:
        """Put recommendations in place of those of the same users, and drop what is of nobody.

        Whoever was left out of this run because of a recommendation keeps it.
        """
        transaction.connection.execute(
            """
            DELETE FROM interventions.recommendations AS old
            WHERE record_date = %(day)s AND gubun = %(gubun)s AND NOT EXISTS (
                SELECT FROM interventions.eligible_users AS eligible
                WHERE eligible.record_date = old.record_date AND eligible.gubun = old.gubun
                  AND eligible.user_id = old.user_id
                  AND (state = 'not_asked' OR state = 'has_record' AND error_message IS NULL))
              -- What was imported goes only when its user is advised anew.
              AND (import_id IS NULL OR EXISTS (
                SELECT FROM interventions.eligible_users AS advised
                WHERE advised.record_date = old.record_date AND advised.gubun = old.gubun
                  AND advised.user_id = old.user_id AND state = 'eligible'))
            """,
            {"day": day, "gubun": gubun.value},
        )
        transaction.append("interventions.recommendations", rows.batches())

    def counts(self, day: date, gubun: Gubun) -> DayCounts:
        """What became of everyone, for checks and commands."""
        ((users, recommendations, errors, by_rule),) = self._db.fetch_all(
            """
            SELECT (SELECT count(*) FROM interventions.user_records WHERE record_date = %(day)s),
                   count(*) FILTER (WHERE error_message IS NULL),
                   count(*) FILTER (WHERE error_message IS NOT NULL),
                   count(*) FILTER (WHERE written_by = 'rule')
            FROM interventions.recommendations AS made
            WHERE record_date = %(day)s AND gubun = %(gubun)s
              -- The source may know users no more whom an old system advised.
              AND (import_id IS NULL OR EXISTS (
                SELECT FROM interventions.user_records AS known
                WHERE known.record_date = made.record_date AND known.user_id = made.user_id))
            """,
            {"day": day, "gubun": gubun.value},
        )
        left_out = self._db.fetch_all(
            """
            SELECT state, count(*) FROM interventions.eligible_users AS eligible
            WHERE record_date = %(day)s AND gubun = %(gubun)s AND state <> 'eligible'
              AND NOT EXISTS (
                  SELECT FROM interventions.recommendations AS made
                  WHERE made.record_date = eligible.record_date AND made.gubun = eligible.gubun
                    AND made.user_id = eligible.user_id)
            GROUP BY state ORDER BY state
            """,
            {"day": day, "gubun": gubun.value},
        )
        return DayCounts(users, recommendations, errors, dict(left_out), by_rule)

    def imported_users(self, day: date, gubun: Gubun) -> frozenset[str]:
        """Users whom an old system advised."""
        rows = self._db.fetch_all(
            "SELECT user_id FROM interventions.recommendations"
            " WHERE record_date = %s AND gubun = %s AND import_id IS NOT NULL",
            [day, gubun.value],
        )
        return frozenset(row[0] for row in rows)

    def gubuns_of(self, day: date) -> list[Gubun]:
        """What recommendations of the day were asked for."""
        rows = self._db.fetch_all(
            "SELECT DISTINCT gubun FROM interventions.eligible_users WHERE record_date = %s", [day]
        )
        return [gubun for gubun in Gubun if (gubun.value,) in rows]

    def publishable(
        self, day: date, gubun: Gubun, published: Collection[str] = ()
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the recommendations and errors of the last run's users, as stored.

        An imported one is among them unless its user is `published`: the service has it then.
        """
        for row in self._db.stream(
            f"SELECT user_id, target_date, {', '.join(TEXT_COLUMNS)}, diet_target::text,"
            " processing_time, error_message, input::text, output::text"
            " FROM interventions.recommendations"
            " LEFT JOIN interventions.eligible_users USING (record_date, gubun, user_id)"
            " WHERE record_date = %s AND gubun = %s AND (state = 'eligible'"
            "   OR import_id IS NOT NULL AND user_id <> ALL(%s)) ORDER BY user_id",
            [day, gubun.value, list(published)],
        ):
            names = ("user_id", "target_date", *TEXT_COLUMNS, "diet_target")
            others = ("processing_time", "error_message", "input", "output")
            yield dict(zip((*names, *others), row, strict=True))

    def fallbacks(self, day: date) -> tuple[int, int]:
        """Recommendations that rules wrote in place of the model, and all of them."""
        ((fallbacks, made),) = self._db.fetch_all(
            "SELECT count(*) FILTER (WHERE written_by = 'rule' AND reason <> %s),"
            " count(*) FROM interventions.recommendations"
            " WHERE record_date = %s AND error_message IS NULL",
            [ASKED_FOR_RULES, day],
        )
        return fallbacks, made

    def users_with_row(self, day: date, gubun: Gubun) -> frozenset[str]:
        """Users with a recommendation or an error."""
        rows = self._db.fetch_all(
            "SELECT user_id FROM interventions.recommendations"
            " WHERE record_date = %s AND gubun = %s",
            [day, gubun.value],
        )
        return frozenset(user_id for (user_id,) in rows)

    def stored(self, day: date) -> Iterator[tuple[Advice, UserRecords]]:
        """Yield every recommendation made here of the day, with the user's records, for checks."""
        for row in self._db.stream(
            f"SELECT {', '.join(TEXT_COLUMNS)}, diet_target,"
            " user_id, has_profile, allergies, food_preference, height_cm, weight_kg, foods,"
            " has_exercise, target_steps, current_steps, sleep_minutes, problem"
            " FROM interventions.recommendations"
            " JOIN interventions.user_records USING (record_date, user_id)"
            " WHERE record_date = %s AND error_message IS NULL AND import_id IS NULL",
            [day],
        ):
            count = len(TEXT_COLUMNS)
            texts = dict(zip(TEXT_COLUMNS, row[:count], strict=True))
            meals = row[count]
            advice = Advice(**texts, diet_target=Meals.of_json(meals) if meals else None)
            yield advice, _user(row[count + 1 :])

    def of_user(self, day: date, user_id: str) -> list[Mapping[str, Any]]:
        """A user's recommendations of the day, for a command; one a gubun."""
        names = ("gubun", "target_date", "written_by", "reason", "version", *TEXT_COLUMNS)
        more = ("diet_target", "processing_time", "error_message")
        rows = self._db.fetch_all(
            f"SELECT {', '.join((*names, *more))} FROM interventions.recommendations"
            " WHERE record_date = %s AND user_id = %s ORDER BY gubun",
            [day, user_id],
        )
        return [dict(zip((*names, *more), row, strict=True)) for row in rows]

    def states_of_user(self, day: date, user_id: str) -> list[tuple[str, str]]:
        """(gubun, state) of a user and day."""
        rows = self._db.fetch_all(
            "SELECT gubun, state FROM interventions.eligible_users"
            " WHERE record_date = %s AND user_id = %s ORDER BY gubun",
            [day, user_id],
        )
        return [(gubun, state) for gubun, state in rows]

    def preview(self, day: date, gubun: Gubun, limit: int = 5) -> list[tuple[str, str, str]]:
        """(who wrote it, why, the first target) of some recommendations; nobody's key or food."""
        rows = self._db.fetch_all(
            "SELECT coalesce(written_by, 'error'), coalesce(error_message, reason),"
            " coalesce(exercise_target, sleep_target, diet_target ->> 'Summary', '')"
            " FROM interventions.recommendations WHERE record_date = %s AND gubun = %s"
            " ORDER BY written_by NULLS FIRST, user_id LIMIT %s",
            [day, gubun.value, limit],
        )
        return [(who, public_reason(why), mask(text).text) for who, why, text in rows]


def user_row(day: date, user: UserRecords, *, is_made_up: bool) -> Mapping[str, Any]:
    """A user's day as a row of `interventions.user_records`."""
    return {
        "record_date": day,
        "user_id": user.user_id,
        "has_profile": user.has_profile,
        "allergies": json.dumps(sorted(user.allergies)),
        "food_preference": user.food_preference,
        "height_cm": user.height_cm,
        "weight_kg": user.weight_kg,
        "foods": json.dumps(
            [
                {
                    "meal": food.meal,
                    "name": food.name,
                    "amount_g": food.amount_g,
                    "energy_kcal": food.energy_kcal,
                    "allergens": sorted(food.allergens),
                }
                for food in user.foods
            ],
            ensure_ascii=False,
        ),
        "has_exercise": user.has_exercise,
        "target_steps": user.target_steps,
        "current_steps": user.current_steps,
        "sleep_minutes": user.sleep_minutes,
        "problem": user.problem or None,
        "is_made_up": is_made_up,
    }


def eligible_row(
    day: date, gubun: Gubun, user_id: str, state: State, *, is_made_up: bool
) -> Mapping[str, Any]:
    """A row of `interventions.eligible_users`."""
    return {
        "record_date": day,
        "gubun": gubun.value,
        "user_id": user_id,
        "state": state.value,
        "is_made_up": is_made_up,
    }


def recommendation_row(made: Recommendation, *, is_made_up: bool) -> Mapping[str, Any]:
    """A row of `interventions.recommendations`."""
    content = made.advice.as_json() if made.advice else {}
    meals = content.get("diet_target")
    return {
        "record_date": made.record_date,
        "gubun": made.gubun.value,
        "user_id": made.user_id,
        "target_date": made.target_date,
        "written_by": made.written_by,
        "reason": made.reason,
        "version": made.version,
        **{name: content.get(name) for name in TEXT_COLUMNS},
        "diet_target": json.dumps(meals, ensure_ascii=False) if meals else None,
        "processing_time": round(made.processing_seconds, 3),
        "error_message": made.error_message,
        "input": made.input,
        "output": json.dumps(content, ensure_ascii=False) if content else None,
        "is_made_up": is_made_up,
    }


def _user(row: Collection[Any]) -> UserRecords:
    (user_id, has_profile, allergies, preference, height, weight, foods, *rest) = row
    has_exercise, target_steps, current_steps, sleep_minutes, problem = rest
    return UserRecords(
        user_id=user_id,
        has_profile=has_profile,
        allergies=frozenset(Allergy(name) for name in allergies),
        food_preference=preference or "",
        height_cm=height,
        weight_kg=weight,
        foods=tuple(
            EatenFood(
                food["meal"],
                food["name"],
                food["amount_g"],
                food["energy_kcal"],
                frozenset(Allergy(name) for name in food["allergens"]),
            )
            for food in foods
        ),
        has_exercise=has_exercise,
        target_steps=target_steps,
        current_steps=current_steps,
        sleep_minutes=sleep_minutes,
        problem=problem or "",
    )

"""The interventions domain's steps in plain Python: each reads like the sentence about it.

Gateways, settings and the clock are handed in; neither Dagster nor SQL is known here.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from batch_platform.core.chunks import Chunk
from batch_platform.core.days import Clock
from batch_platform.core.errors import NoDataError, PermanentError, PlatformError
from batch_platform.core.personal_data import mask
from batch_platform.core.progress import ProgressReport
from batch_platform.core.settings import Settings
from batch_platform.domains.interventions import rules
from batch_platform.domains.interventions.logic import public_reason, require_fit, state_of
from batch_platform.domains.interventions.models import (
    Advice,
    Allergy,
    Gubun,
    Mode,
    Recommendation,
    State,
    UserRecords,
)
from batch_platform.domains.interventions.prompts import (
    PROMPT_VERSION,
    question,
    recommendation_task,
)
from batch_platform.domains.interventions.source import InterventionSource, foods_by_allergen
from batch_platform.domains.interventions.store import (
    ASKED_FOR_RULES,
    ELIGIBLE_USERS_SCHEMA,
    RECOMMENDATION_SCHEMA,
    USER_RECORDS_SCHEMA,
    InterventionStore,
    eligible_row,
    recommendation_row,
    user_row,
)
from batch_platform.gateways.llm import Answered, AskSummary, BulkLlm, Estimate, Item
from batch_platform.gateways.llm.asked_chunks import ChunkAsk
from batch_platform.gateways.platform_db import PlatformDb, Spool
from batch_platform.gateways.source_db import SourceDatabase

BY_MODEL, BY_RULE = "model", "rule"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What a run is about.

    Attributes:
        only_user: The one user whom it is about; None for everyone.
        replaces: Whether users who have a recommendation get a new one.
        needs_schedule: Whether nobody is advised while no schedule is active.
    """

    gubun: Gubun = Gubun.ALL
    only_user: str | None = None
    replaces: bool = False
    needs_schedule: bool = True


@dataclass
class RecommendationOutcome:
    """What became of a day's eligible users.

    Attributes:
        fallbacks: Why rules wrote where the model was asked → users.
        asking: What asking took; None when nobody was asked.
    """

    by_model: int = 0
    by_rule: int = 0
    errors: int = 0
    fallbacks: dict[str, int] = field(default_factory=dict[str, int])
    asking: AskSummary | None = None

    def count(self, made: Recommendation) -> None:
        """Add one."""
        if made.error_message is not None:
            self.errors += 1
        elif made.written_by == BY_MODEL:
            self.by_model += 1
        else:
            self.by_rule += 1
            reason = public_reason(made.reason)
            self.fallbacks[reason] = self.fallbacks.get(reason, 0) + 1

    def reasons(self) -> str:
        """Why rules wrote, the most frequent first; a line each."""
        ordered = sorted(self.fallbacks.items(), key=lambda each: -each[1])
        return "\n".join(f"{count:,} x {reason}" for reason, count in ordered[:5]) or "none"

    @property
    def users(self) -> int:
        """All of them."""
        return self.by_model + self.by_rule + self.errors


def read_users(
    day: date, *, db: PlatformDb, source: SourceDatabase, settings: Settings
) -> Mapping[str, int]:
    """Put the day of every user whom the source knows in place of what was read before.

    Returns:
        Counts: users, with food, with exercise, with sleep, with a problem.
    """
    counts: dict[str, int] = Counter()
    with Spool(USER_RECORDS_SCHEMA) as rows:
        for user in InterventionSource(source, settings.interventions).users(day):
            rows.add(user_row(day, user, is_made_up=settings.is_made_up))
            counts["users"] += 1
            counts["with_food"] += user.has_food
            counts["with_exercise"] += user.has_exercise
            counts["with_sleep"] += user.sleep_minutes is not None
            counts["problems"] += bool(user.problem)
        with db.replacing("interventions/user_records", day.isoformat()) as transaction:
            transaction.overwrite(
                "interventions.user_records", {"record_date": day}, rows.batches()
            )
    return counts


def choose_users(
    day: date, choice: Choice, *, db: PlatformDb, source: SourceDatabase, settings: Settings
) -> Mapping[str, int]:
    """Decide of every user whether he or she is advised, or why not.

    Returns:
        State → users.

    Raises:
        NoDataError: The day was never read, or the one user is not known.
    """
    store = InterventionStore(db)
    if choice.replaces:
        with_record: frozenset[str] = frozenset()
    else:
        with_record = InterventionSource(source, settings.interventions).users_with_record(
            day, choice.gubun
        ) | store.imported_users(day, choice.gubun)
    has_schedule = not choice.needs_schedule or store.has_active_schedule()
    is_known = choice.only_user is None
    with Spool(ELIGIBLE_USERS_SCHEMA) as rows:
        for user in store.users(day):
            is_asked = choice.only_user in (None, user.user_id)
            is_known = is_known or is_asked
            state = state_of(
                user,
                # A run that replaces replaces those whom it is about.
                has_record=user.user_id in with_record,
                has_schedule=has_schedule,
                is_asked=is_asked,
            )
            rows.add(
                eligible_row(day, choice.gubun, user.user_id, state, is_made_up=settings.is_made_up)
            )
        if not is_known:
            raise NoDataError(
                f"The source knows no user {choice.only_user} on {day}",
                "Check --user-id and the date",
            )
        partition = {"record_date": day, "gubun": choice.gubun.value}
        with db.replacing("interventions/eligible_users", day.isoformat()) as transaction:
            transaction.overwrite("interventions.eligible_users", partition, rows.batches())
    return store.state_counts(day, choice.gubun)


def recommend(
    day: date,
    gubun: Gubun,
    mode: Mode,
    *,
    db: PlatformDb,
    source: SourceDatabase,
    open_llm: Callable[[], BulkLlm],
    settings: Settings,
    progress: ProgressReport,
    clock: Callable[[], float] = time.monotonic,
    asked_before: AskSummary | None = None,
) -> RecommendationOutcome:
    """Advise every eligible user of a day, and put the recommendations in place of the old ones.

    The model is asked first; whom it cannot advise, for whatever reason, the rules advise, and the
    row says why. Whom the rules cannot advise either gets an error that the next run tries again.
    `asked_before` is what chunks of the day took that this run had asked ahead.
    """
    store = InterventionStore(db)
    total = store.state_counts(day, gubun).get(State.ELIGIBLE.value, 0)
    foods = foods_by_allergen(InterventionSource(source, settings.interventions).foods())
    outcome = RecommendationOutcome()
    writer = _Writer(day, gubun, foods, clock)
    with Spool(RECOMMENDATION_SCHEMA) as rows:
        for made in _made(
            writer, mode, store.eligible_users(day, gubun), open_llm, settings, outcome
        ):
            rows.add(recommendation_row(made, is_made_up=settings.is_made_up))
            outcome.count(made)
            progress(outcome.users, total, _note(outcome))
        with db.replacing("interventions/recommendations", day.isoformat()) as transaction:
            store.replace_recommendations(transaction, day, gubun, rows)
    if asked_before is not None and outcome.asking is not None:
        outcome.asking.add_earlier(asked_before)
    return outcome


def users_to_ask(day: date, gubun: Gubun, mode: Mode, *, db: PlatformDb) -> int:
    """About how many users of a day the model is to be asked, at most."""
    if mode is Mode.RULE:
        return 0
    return InterventionStore(db).state_counts(day, gubun).get(State.ELIGIBLE.value, 0)


def ask_about_chunk(
    chunk: Chunk,
    gubun: Gubun,
    *,
    db: PlatformDb,
    source: SourceDatabase,
    llm: BulkLlm,
    settings: Settings,
    progress: ProgressReport,
) -> ChunkAsk:
    """Prepare to ask about a day's users of one chunk, as `recommend` would."""
    foods = foods_by_allergen(InterventionSource(source, settings.interventions).foods())
    users = [
        user
        for user in InterventionStore(db).eligible_users(chunk.day, gubun)
        if not user.problem and chunk.holds(user.user_id)
    ]
    ask = llm.ask(
        recommendation_task(gubun, foods),
        (Item(str(number), question(user, gubun)) for number, user in enumerate(users)),
        workers=settings.interventions.workers,
        partition=chunk.day.isoformat(),
        on_progress=lambda state: progress(state.done, len(users)),
    )
    return ChunkAsk(ask, lambda _: False)


def _note(outcome: RecommendationOutcome) -> str:
    cost = outcome.asking.cost_krw if outcome.asking else 0.0
    return f"· {cost:,.0f} won · {outcome.by_rule:,} by rule"


class _Writer:
    """Makes one user's recommendation."""

    def __init__(
        self,
        day: date,
        gubun: Gubun,
        foods: Mapping[Allergy, frozenset[str]],
        clock: Callable[[], float],
    ) -> None:
        self.day = day
        self.gubun = gubun
        self.foods = foods
        self.clock = clock

    def by_rule(self, user: UserRecords, reason: str, since: float) -> Recommendation:
        """What the rules recommend, held to what a model's answer is held to."""
        try:
            advice = rules.advise(user, self.day, self.gubun)
            further = {name for each in user.allergies for name in self.foods.get(each, ())}
            require_fit(advice, user.allergies, [food.name for food in user.foods], further)
        except PermanentError as error:
            return self._made(user, None, None, reason, rules.VERSION, since, error.problem)
        except ValueError as error:
            problem = f"The rules' own advice does not fit: {error}"
            return self._made(user, None, None, reason, rules.VERSION, since, problem)
        return self._made(user, advice, BY_RULE, reason, rules.VERSION, since, None)

    def by_model(
        self, user: UserRecords, advice: Advice, model: str, since: float
    ) -> Recommendation:
        """What the model recommended."""
        version = f"{model} prompt {PROMPT_VERSION}"
        return self._made(user, advice, BY_MODEL, "", version, since, None)

    def _made(
        self,
        user: UserRecords,
        advice: Advice | None,
        written_by: str | None,
        reason: str,
        version: str,
        since: float,
        error: str | None,
    ) -> Recommendation:
        return Recommendation(
            user_id=user.user_id,
            record_date=self.day,
            gubun=self.gubun,
            advice=advice,
            written_by=written_by,
            reason=reason,
            version=version,
            processing_seconds=self.clock() - since,
            error_message=error,
            input=mask(question(user, self.gubun)).text,
        )


def _made(
    writer: _Writer,
    mode: Mode,
    users: Iterator[UserRecords],
    open_llm: Callable[[], BulkLlm],
    settings: Settings,
    outcome: RecommendationOutcome,
) -> Iterator[Recommendation]:
    """Yield a recommendation of every user, in the order in which they are made."""
    if mode is Mode.RULE:
        for user in users:
            yield writer.by_rule(user, ASKED_FOR_RULES, writer.clock())
        return
    left: dict[str, _Waiting] = {}
    for number, user in enumerate(users):
        if user.problem:
            yield writer.by_rule(user, "", writer.clock())
        else:
            # A number, not the user's key: what a model cannot answer is noted under it.
            left[str(number)] = _Waiting(user, writer.clock())
    why = ""
    try:
        yield from _asked(writer, left, open_llm, settings, outcome)
    except PlatformError as error:
        # Whatever keeps the model from answering, people get advice, and the rows say why.
        why = f"The model could not be asked: {error.problem}"
        _log.warning("%s; the rules write the rest", why)
    for waiting in left.values():
        yield writer.by_rule(waiting.user, why, waiting.since)


@dataclass(slots=True)
class _Waiting:
    """A user who waits for an answer, and since when."""

    user: UserRecords
    since: float


def _asked(
    writer: _Writer,
    left: dict[str, _Waiting],
    open_llm: Callable[[], BulkLlm],
    settings: Settings,
    outcome: RecommendationOutcome,
) -> Iterator[Recommendation]:
    """Ask the model about `left`, and take from it whoever is done."""
    if not left:
        return
    llm = open_llm()

    def items() -> Iterator[Item]:
        for item_id, waiting in list(left.items()):
            waiting.since = writer.clock()
            yield Item(item_id, question(waiting.user, writer.gubun))

    ask = llm.ask(
        recommendation_task(writer.gubun, writer.foods),
        items(),
        workers=settings.interventions.workers,
        partition=writer.day.isoformat(),
    )
    outcome.asking = ask.summary
    for answer in ask:
        waiting = left.pop(answer.item.id)
        if isinstance(answer, Answered):
            yield writer.by_model(waiting.user, answer.answer.advice(), llm.model, waiting.since)
        else:
            yield writer.by_rule(waiting.user, answer.reason, waiting.since)


def estimate(
    day: date,
    choice: Choice,
    *,
    source: SourceDatabase,
    llm: BulkLlm | None,
    settings: Settings,
    imported: frozenset[str] = frozenset(),
) -> tuple[Mapping[str, int], Estimate | None]:
    """What a run would do and cost; reads the source, asks and writes nothing.

    The `imported` users were advised by an old system.

    Returns:
        State → users, and what asking about the eligible ones would take; None without a model.
    """
    reader = InterventionSource(source, settings.interventions)
    with_record = (
        frozenset[str]()
        if choice.replaces
        else reader.users_with_record(day, choice.gubun) | imported
    )
    counts: dict[str, int] = {}
    asked: list[Item] = []
    for user in reader.users(day):
        is_asked = choice.only_user in (None, user.user_id)
        state = state_of(
            user, has_record=user.user_id in with_record, has_schedule=True, is_asked=is_asked
        )
        counts[state.value] = counts.get(state.value, 0) + 1
        if state is State.ELIGIBLE:
            asked.append(Item(user.user_id, question(user, choice.gubun)))
    if llm is None:
        return counts, None
    task = recommendation_task(choice.gubun, foods_by_allergen(reader.foods()))
    return counts, llm.estimate(task, asked)


def unfit_recommendations(
    day: date, *, db: PlatformDb, source: SourceDatabase, settings: Settings
) -> tuple[int, list[str]]:
    """Look through every stored recommendation of a day again.

    Returns:
        How many there are, and what is wrong with those that name what they must not.
    """
    foods = foods_by_allergen(InterventionSource(source, settings.interventions).foods())
    checked, unfit = 0, list[str]()
    for advice, user in InterventionStore(db).stored(day):
        checked += 1
        further = {name for each in user.allergies for name in foods.get(each, ())}
        try:
            require_fit(advice, user.allergies, [food.name for food in user.foods], further)
        except ValueError as error:
            unfit.append(str(error))
    return checked, unfit


def publish(
    day: date,
    gubun: Gubun,
    *,
    db: PlatformDb,
    source: SourceDatabase,
    settings: Settings,
    clock: Clock,
) -> int:
    """Write the last run's recommendations and errors into the service's own table.

    Returns:
        How many rows were written.
    """
    service = InterventionSource(source, settings.interventions)
    made = list(InterventionStore(db).publishable(day, gubun, service.records(day, gubun).keys()))
    return service.publish(day, gubun, made, clock())

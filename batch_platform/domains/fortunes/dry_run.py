"""What making a day's fortunes would take, counted from the app's users: nothing asked or kept."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from batch_platform.core.settings import Settings
from batch_platform.domains.fortunes.logic import read_day
from batch_platform.domains.fortunes.models import Reading
from batch_platform.domains.fortunes.pillars import natal_chart
from batch_platform.domains.fortunes.prompts import fortune_task, text_for_model
from batch_platform.domains.fortunes.workflow import sorted_users
from batch_platform.gateways.llm import BulkLlm, Estimate, Item
from batch_platform.gateways.source_db import SourceDatabase


@dataclass(frozen=True)
class DryRun:
    """A day's users in the app and what writing their fortunes would cost."""

    for_date: date
    reading: Reading
    estimate: Estimate


def estimate_day(
    day: date,
    *,
    source: SourceDatabase,
    llm: BulkLlm,
    settings: Settings,
    user_id: str | None = None,
    imported: Collection[str] = (),
) -> DryRun:
    """Count a day's users, calls, tokens and won; of one user alone when `user_id` is given.

    Nobody is asked about for the `imported` users: an old system wrote their fortunes.
    """
    with sorted_users(day, source=source, settings=settings) as users:

        def items() -> Iterator[Item]:
            for user in users:
                if user_id in (None, user.user_id) and user.user_id not in imported:
                    reading = read_day(natal_chart(user.birth), user.birth, day)
                    yield Item(user.user_id, text_for_model(reading))

        estimate = llm.estimate(fortune_task(settings.fortunes.users_per_call), items())
        return DryRun(day, users.reading, estimate)

"""The market's steps in plain Python: days of prices and of listings, from the services to tables.

Gateways are handed in; neither Dagster nor SQL is known here.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from batch_platform.core.errors import NoDataError, PermanentError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.core.trading_days import TradingCalendar
from batch_platform.domains.stocks.market.logic import (
    base_differences,
    corporate_action,
    coverage_by_month,
    day_pairs,
)
from batch_platform.domains.stocks.market.models import (
    BaseDifference,
    ListingsOutcome,
    MonthCoverage,
    PriceDay,
    PricesOutcome,
    Waiting,
)
from batch_platform.domains.stocks.market.sources import (
    Answer,
    MarketSources,
    first_whole_answer,
)
from batch_platform.domains.stocks.market.store import MarketStore
from batch_platform.gateways.market_rows import Market
from batch_platform.gateways.platform_db import (
    Hold,
    PartitionTransaction,
    PlatformDb,
    RowChanges,
)

_DAYS_A_CHUNK = 64
_DAYS_AT_ONCE = 2
"""Days asked for at the same time in a range: two calls each."""


@dataclass(frozen=True, slots=True)
class WritingOptions:
    """How days are written.

    Attributes:
        run_id: Who writes.
        is_made_up: Whether the sandbox answers.
        accepts_count: Whether a day may have far more or fewer stocks than the one before.
        replaces_imported: Whether days that an old system had collected are asked for anew.
        import_id: The import that brings the days; None for what the services gave.
    """

    run_id: str
    is_made_up: bool
    accepts_count: bool = False
    replaces_imported: bool = False
    import_id: int | None = None


def land_prices(
    days: Sequence[date],
    *,
    sources: MarketSources,
    db: PlatformDb,
    hold: Hold,
    options: WritingOptions,
    progress: ProgressReport = unheard,
) -> PricesOutcome:
    """Fetch, check and write days of prices, with the corporate actions that they show.

    A closed day is written with no rows and its reason; a day that nobody has published is not
    written. While some weeks are written the next are fetched. A step that is tried again goes on
    where it stopped. Days that were imported are there, and nobody is asked for them.

    Args:
        days: Calendar days, in order.
        sources: Who is asked.
        db: The platform's database.
        hold: Holds the days with these keys.
        options: How they are written.
        progress: Hears of each day.

    Raises:
        ConfigurationError: Nobody can be asked, or a key is refused.
        RetryableError: The services fail for now, or an answer is not whole.
        PermanentError: An answer cannot be right.
    """
    sources.require_one()
    store = MarketStore(db)
    calendar = store.calendar()
    outcome = PricesOutcome()
    done = store.days_of_run(options.run_id)
    if not options.replaces_imported:
        imported = store.imported_days(days[0], days[-1])
        done |= imported
        outcome.imported = sum(day in imported for day in days)
    outcome.days += [done[day] for day in days if day in done]
    rest = [day for day in days if day not in done]
    before = _RowsBefore(store, calendar, options.accepts_count)
    landed = len(days) - len(rest)
    for chunk in _fetched_ahead(rest, sources, calendar, hold):
        written: list[PriceDay] = []
        tables: list[pa.Table] = []
        for day, ask_krx in chunk:
            found = _fetch(day, ask_krx, sources, calendar, before)
            landed += 1
            progress(landed, len(days), f"{day}")
            if isinstance(found, Waiting):
                outcome.waiting.append(found)
            elif isinstance(found, PriceDay):
                written.append(found)
            else:
                price_day = PriceDay(day, found.rows, found.source)
                outcome.warnings += [f"{day}: {warning}" for warning in found.warnings]
                written.append(price_day)
                tables.append(found.table)
                before.note(price_day)
        changes, actions = write_days(written, tables, db=db, calendar=calendar, options=options)
        outcome.changes += changes
        outcome.actions += actions
        outcome.days += written
    return outcome


def write_days(
    days: Sequence[PriceDay],
    tables: Sequence[pa.Table],
    *,
    db: PlatformDb,
    calendar: TradingCalendar,
    options: WritingOptions,
    also: Callable[[PartitionTransaction], None] | None = None,
) -> tuple[RowChanges, int]:
    """Write days of prices with the corporate actions that they show, in one transaction.

    Args:
        days: The days, closed ones among them.
        tables: Prices of those that have any (`market_rows.PRICE_SCHEMA`).
        db: The platform's database.
        calendar: Says which trading day is before which.
        options: How they are written.
        also: Further work of the same transaction.

    Returns:
        What became of the rows, and the corporate actions of these days.
    """
    if not days:
        return RowChanges(), 0
    store = MarketStore(db)
    name = f"{days[0].date}" if len(days) == 1 else f"{days[0].date}..{days[-1].date}"
    pairs = day_pairs([day.date for day in days], calendar)
    with db.replacing("stocks/daily_prices", name) as transaction:
        changes = store.replace_prices(
            transaction,
            days,
            tables,
            run_id=options.run_id,
            is_made_up=options.is_made_up,
            import_id=options.import_id,
        )
        actions = [
            corporate_action(difference)
            for difference in _differences(store, transaction, tables, pairs)
        ]
        looked_at = {day.date for day in days} | {day for day, _ in pairs}
        store.replace_actions(
            transaction, sorted(looked_at), actions, is_made_up=options.is_made_up
        )
        if also is not None:
            also(transaction)
    own = {day.date for day in days}
    return changes, sum(action.difference.date in own for action in actions)


def _differences(
    store: MarketStore,
    transaction: PartitionTransaction,
    tables: Sequence[pa.Table],
    pairs: Sequence[tuple[date, date]],
) -> list[BaseDifference]:
    """Differences of every pair of days; the tables are asked only for days not in memory.

    Joining a range of ten years in the database would cost a tenth of writing it.
    """
    by_day: dict[date, pa.Table] = {table["date"][0].as_py(): table for table in tables}
    found = [
        difference
        for day, before in pairs
        if day in by_day and before in by_day
        for difference in base_differences(by_day[before], by_day[day])
    ]
    elsewhere = [pair for pair in pairs if not (pair[0] in by_day and pair[1] in by_day)]
    return found + store.base_differences(transaction, elsewhere)


class _RowsBefore:
    """Stocks by market of the trading day before a day, from this run or from the tables."""

    def __init__(self, store: MarketStore, calendar: TradingCalendar, is_ignored: bool) -> None:
        self._store = store
        self._calendar = calendar
        self._is_ignored = is_ignored
        self._known: dict[date, Mapping[Market, int]] = {}

    def note(self, day: PriceDay) -> None:
        """Remember a day."""
        self._known = {day.date: day.rows}

    def of(self, day: date) -> Mapping[Market, int]:
        """The rows to compare a day with; empty when there are none, or they do not count."""
        if self._is_ignored:
            return {}
        before = self._calendar.previous(day)
        if before not in self._known:
            found = self._store.price_days(before, before).get(before)
            self._known = {before: found.rows if found else {}}
        return self._known[before]


def _fetch(
    day: date,
    ask_krx: Callable[[], pa.Table] | None,
    sources: MarketSources,
    calendar: TradingCalendar,
    before: _RowsBefore,
) -> Answer | Waiting | PriceDay:
    reason = calendar.closing_reason(day)
    if reason is not None:
        return PriceDay(day, {}, None, reason)
    services = (
        (name, ask_krx if name == "KRX" and ask_krx else ask) for name, ask in sources.prices(day)
    )
    return first_whole_answer(day, services, before.of(day))


def _fetched_ahead(
    days: Sequence[date], sources: MarketSources, calendar: TradingCalendar, hold: Hold
) -> Iterator[list[tuple[date, Callable[[], pa.Table] | None]]]:
    """Yield the days in chunks, held, with the exchange's answers on their way.

    The next chunk is held and asked for before a chunk is yielded.
    """
    chunks = [days[index : index + _DAYS_A_CHUNK] for index in range(0, len(days), _DAYS_A_CHUNK)]
    begun: deque[tuple[ExitStack, list[tuple[date, Callable[[], pa.Table] | None]]]] = deque()
    with ExitStack() as everything, ThreadPoolExecutor(_DAYS_AT_ONCE) as pool:
        everything.callback(lambda: [held.close() for held, _ in begun])
        for index in range(len(chunks) + 1):
            if index < len(chunks):
                held = ExitStack()
                held.enter_context(hold([f"{day}" for day in chunks[index]]))
                begun.append((held, _begun(chunks[index], sources, calendar, pool)))
            if index > 0:
                _, asked = begun[0]
                yield asked
                begun.popleft()[0].close()


def _begun(
    days: Sequence[date],
    sources: MarketSources,
    calendar: TradingCalendar,
    pool: ThreadPoolExecutor,
) -> list[tuple[date, Callable[[], pa.Table] | None]]:
    asked: list[tuple[date, Callable[[], pa.Table] | None]] = []
    for day in days:
        future: Future[pa.Table] | None = None
        if sources.krx.is_configured and calendar.is_open(day):
            future = pool.submit(sources.krx.prices, day)
        asked.append((day, future.result if future else None))
    return asked


def land_listings(
    days: Sequence[date],
    *,
    sources: MarketSources,
    db: PlatformDb,
    hold: Hold,
    options: WritingOptions,
    progress: ProgressReport = unheard,
) -> ListingsOutcome:
    """Fetch and note which stocks are listed on days; otherwise like `land_prices`."""
    sources.require_one()
    store = MarketStore(db)
    calendar = store.calendar()
    outcome = ListingsOutcome()
    for number, day in enumerate(days, 1):
        with hold([f"{day}"]):
            reason = calendar.closing_reason(day)
            table: pa.Table | None = None
            if reason is not None:
                listed = PriceDay(day, {}, None, reason)
            else:
                found = first_whole_answer(day, sources.listings(day), {})
                if isinstance(found, Waiting):
                    outcome.waiting.append(found)
                    continue
                table, listed = found.table, PriceDay(day, found.rows, found.source)
                outcome.warnings += [f"{day}: {warning}" for warning in found.warnings]
            with db.replacing("stocks/listings", f"{day}") as transaction:
                outcome.changes += store.replace_listings(
                    transaction, listed, table, is_made_up=options.is_made_up
                )
            outcome.days.append(listed)
        progress(number, len(days), f"{day}")
    return outcome


def require_published(waiting: Sequence[Waiting]) -> None:
    """End a run that was the last try for its day, or that was asked for past days.

    Raises:
        NoDataError: Some day is not published; it says which and what to do.
    """
    if not waiting:
        return
    days = ", ".join(f"{each.date}" for each in waiting[:10])
    more = f" and {len(waiting) - 10} more" if len(waiting) > 10 else ""
    raise NoDataError(
        f"Nobody has published the prices of {days}{more}: {waiting[0].reason}",
        "If the exchange was closed, enter it: batch-platform stocks holidays add DATE REASON;"
        " otherwise look at the services and run the day again",
    )


def coverage(start: date, end: date, *, db: PlatformDb) -> list[MonthCoverage]:
    """What is there of each month from `start` to `end`."""
    store = MarketStore(db)
    return coverage_by_month(
        start,
        end,
        store.price_days(start, end),
        store.suspended_counts(start, end),
        store.calendar(),
    )


def missing_trading_days(day: date, *, db: PlatformDb) -> list[date]:
    """Trading days without prices from the first day that is there up to `day`."""
    store = MarketStore(db)
    first = store.first_price_day()
    if first is None or first > day:
        return []
    stored = store.price_days(first, day)
    return [
        each
        for each in store.calendar().days(first, day)
        if each not in stored or not stored[each].row_count
    ]


def last_trading_day(until: date, *, db: PlatformDb) -> date:
    """The last trading day that is not after a day."""
    return MarketStore(db).calendar().previous(until + timedelta(days=1))


def require_days(days: Sequence[date], first_day: date) -> None:
    """Refuse days before the first one that can be asked for.

    Raises:
        PermanentError: There is one.
    """
    if days[0] < first_day:
        raise PermanentError(
            f"{days[0]} is before the stocks' first day, {first_day}",
            "Set STOCKS_FIRST_DAY to an earlier day",
        )

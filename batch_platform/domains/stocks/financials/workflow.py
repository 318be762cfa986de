"""The financials' steps in plain Python: each reads like the sentence that describes it.

Gateways, settings and the clock are handed in; neither Dagster nor SQL is known here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from batch_platform.core.days import days_between
from batch_platform.core.errors import NoDataError
from batch_platform.core.progress import ProgressReport, unheard
from batch_platform.domains.stocks.financials.logic import (
    days_of_news,
    inputs_of,
    ratio_versions,
    statements_of,
    with_all_accounts,
)
from batch_platform.domains.stocks.financials.models import (
    Quarter,
    Ratios,
    Statement,
    Unreadable,
)
from batch_platform.domains.stocks.financials.store import FinancialStore, Landed, Valued
from batch_platform.gateways.opendart import MOST_COMPANIES, Corporation, OpenDart
from batch_platform.gateways.platform_db import Hold, PlatformDb, RowChanges

CORP_CODES = "stocks/corp_codes"
STATEMENTS = "stocks/financial_statements"
RATIOS = "stocks/financial_ratios"
VALUATIONS = "stocks/valuations"


@dataclass(frozen=True, slots=True)
class CorpCodesOutcome:
    """Rows of a quarter's directory, and how many were not the same before."""

    rows: int
    rows_changed: int


@dataclass(frozen=True, slots=True)
class StatementsOutcome:
    """What became of a quarter's statements.

    Attributes:
        companies: Listed companies that were asked about.
        filed: Those with a statement in the answers.
        calls: Calls that it took.
        unreadable: Companies that were set aside, with the reason.
    """

    companies: int
    filed: int
    calls: int
    landed: Landed
    unreadable: tuple[Unreadable, ...]

    @property
    def figures(self) -> Mapping[str, int]:
        """The counts, by name."""
        return {
            "companies": self.companies,
            "companies_with_a_statement": self.filed,
            **asdict(self.landed),
            "unreadable": len(self.unreadable),
            "calls": self.calls,
        }


@dataclass(frozen=True, slots=True)
class RatiosOutcome:
    """What became of a quarter's ratios.

    Attributes:
        rows: One a company and day from which it could be known so.
        companies: With a statement.
        incomplete: Rows in which one ratio or more is missing, with its reason.
        rows_changed: Rows that were not the same before.
    """

    rows: int
    companies: int
    incomplete: int
    rows_changed: int

    @property
    def figures(self) -> Mapping[str, int]:
        """The counts, by name."""
        return {
            "companies": self.companies,
            "rows_with_a_missing_ratio": self.incomplete,
            "rows_changed": self.rows_changed,
        }


def fetch_corp_codes(
    quarter: Quarter, *, dart: OpenDart, db: PlatformDb, is_made_up: bool
) -> CorpCodesOutcome:
    """Replace a quarter's directory of listed companies by what the office lists now.

    Raises:
        NoDataError: It lists none.
        As `OpenDart.corporations`.
    """
    corporations = _one_each(dart.corporations())
    if not corporations:
        raise NoDataError(
            "OpenDART lists no company with a stock code", "Look at its file of companies by hand"
        )
    with db.replacing(CORP_CODES, _key(quarter)) as transaction:
        changes = FinancialStore(db).replace_corporations(
            transaction, quarter, corporations, is_made_up
        )
    return CorpCodesOutcome(len(corporations), _touched(changes))


def fetch_statements(
    quarter: Quarter,
    *,
    dart: OpenDart,
    db: PlatformDb,
    is_made_up: bool,
    on_progress: ProgressReport = unheard,
    asks_all_accounts: bool = False,
) -> StatementsOutcome:
    """Ask for a quarter's statements in hundreds and add the filings that are new.

    The interface has no cheaper way to learn receipt numbers than this, about 27 calls for the
    whole market; what is known by its receipt number is not written again, and the calls that cost
    one a company are made for filings that never had one.

    Args:
        quarter: What to ask for.
        dart: Whom to ask.
        db: Where filings go.
        is_made_up: Whether the sandbox answers.
        on_progress: Hears how many companies of how many have been asked about.
        asks_all_accounts: Whether each company's full list is asked for as well: owners' figures
            and cash flow.

    Raises:
        NoDataError: The companies of the quarter were never listed.
        As `OpenDart.corporations`; nothing of the quarter was changed, or only filings completed.
    """
    store, calls_before = FinancialStore(db), dart.calls
    tickers = store.corporations(quarter)
    if not tickers:
        raise NoDataError(
            f"The companies of {quarter} were never listed", "Materialize stocks/corp_codes first"
        )
    codes = list(tickers)
    statements: list[Statement] = []
    unreadable: list[Unreadable] = []
    for start in range(0, len(codes), MOST_COMPANIES):
        on_progress(start, len(codes), "주요 계정")
        rows = dart.main_accounts(
            codes[start : start + MOST_COMPANIES], quarter.year, quarter.report
        )
        read, set_aside = statements_of(quarter, rows, tickers)
        statements += read
        unreadable += set_aside
    on_progress(len(codes), len(codes), "주요 계정")
    with db.replacing(STATEMENTS, _key(quarter)) as transaction:
        landed = store.land(transaction, statements, is_made_up)
    if asks_all_accounts:
        _complete(quarter, dart=dart, db=db, on_progress=on_progress)
    return StatementsOutcome(
        len(codes), len(statements), dart.calls - calls_before, landed, tuple(unreadable)
    )


def _complete(
    quarter: Quarter, *, dart: OpenDart, db: PlatformDb, on_progress: ProgressReport
) -> None:
    """Ask for the full lists that are missing; a run that is killed goes on where it stopped."""
    store = FinancialStore(db)
    waiting = store.without_all_accounts(quarter)
    for start in range(0, len(waiting), MOST_COMPANIES):
        completed: list[Statement] = []
        for index, each in enumerate(waiting[start : start + MOST_COMPANIES], start):
            on_progress(index, len(waiting), "모든 계정")
            rows = dart.all_accounts(each.corp_code, quarter.year, quarter.report, each.basis)
            completed.append(with_all_accounts(each, rows))
        with db.replacing(STATEMENTS, _key(quarter)) as transaction:
            store.add_all_accounts(
                transaction, [each for each in completed if each.has_all_accounts]
            )


def compute_ratios(quarter: Quarter, *, db: PlatformDb, is_made_up: bool) -> RatiosOutcome:
    """Replace a quarter's ratios by what its filings and those before it say."""
    store = FinancialStore(db)
    by_company: dict[str, list[Statement]] = {}
    for filing in store.statements(min(inputs_of(quarter)), quarter):
        by_company.setdefault(filing.corp_code, []).append(filing)
    shares = store.listed_shares(
        (filings[0].ticker, day)
        for filings in by_company.values()
        for day in days_of_news(quarter, filings)
    )
    ratios: list[Ratios] = []
    for filings in by_company.values():
        ratios += ratio_versions(quarter, filings, shares.get(filings[0].ticker, []))
    with db.replacing(RATIOS, _key(quarter)) as transaction:
        changes = store.replace_ratios(transaction, quarter, ratios, is_made_up)
    return RatiosOutcome(
        len(ratios),
        len({each.statement.corp_code for each in ratios}),
        sum(1 for each in ratios if each.reasons),
        _touched(changes),
    )


def calls_of(companies: int) -> int:
    """How many calls asking for a quarter takes: the directory's, and one a hundred companies."""
    return 1 + -(-companies // MOST_COMPANIES)


def outdated_quarters(quarter: Quarter, db: PlatformDb) -> list[Quarter]:
    """Later quarters whose ratios rest on older filings of this one than are here now."""
    store = FinancialStore(db)
    later = (quarter.plus(count) for count in range(1, 5))
    return [
        each
        for each in later
        if quarter in inputs_of(each) and store.rests_on_older_filings(quarter, each)
    ]


def value_days(
    start: date,
    end: date,
    *,
    db: PlatformDb,
    hold: Hold,
    is_made_up: bool,
    on_progress: ProgressReport = unheard,
) -> Valued:
    """Replace the valuations of a range of days, a month at a time.

    Args:
        start: First day.
        end: Last day.
        db: Where prices, ratios and valuations are.
        hold: Holds the partitions with these keys.
        is_made_up: Whether the sandbox fed them.
        on_progress: Hears how many days of how many are valued.

    Raises:
        NoDataError: A day's prices were never fetched.
    """
    store = FinancialStore(db)
    if missing := store.days_without_prices(start, end):
        raise NoDataError(
            f"The prices of {missing[0]}"
            + (f" and {len(missing) - 1} more days" if len(missing) > 1 else "")
            + " are not here",
            "Materialize stocks/daily_prices first",
        )
    valued = Valued()
    for first, last in _months(start, end):
        days = [day.isoformat() for day in days_between(first, last)]
        with hold(days), db.replacing(VALUATIONS, f"{first:%Y-%m}") as transaction:
            valued += store.replace_valuations(transaction, first, last, is_made_up)
        on_progress((last - start).days + 1, (end - start).days + 1)
    return valued


def _months(start: date, end: date) -> Iterator[tuple[date, date]]:
    """Yield a range's days month by month, as (first, last)."""
    first = start
    while first <= end:
        next_month = (first.replace(day=1) + timedelta(days=31)).replace(day=1)
        yield first, min(end, next_month - timedelta(days=1))
        first = next_month


def _touched(changes: RowChanges) -> int:
    return changes.inserted + changes.changed + changes.removed


def _one_each(corporations: Sequence[Corporation]) -> list[Corporation]:
    """One entry a ticker and a company: the one that changed last, where the office has two."""
    newest_first = sorted(corporations, key=lambda each: each.modify_date, reverse=True)
    tickers: set[str] = set()
    codes: set[str] = set()
    kept: list[Corporation] = []
    for each in newest_first:
        if each.ticker not in tickers and each.corp_code not in codes:
            kept.append(each)
            tickers.add(each.ticker)
            codes.add(each.corp_code)
    return sorted(kept, key=lambda each: each.corp_code)


def _key(quarter: Quarter) -> str:
    return quarter.first_day.isoformat()

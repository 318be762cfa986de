"""A quarter from the disclosure office to ratios and valuations, through the real assets."""

from collections.abc import Iterator
from datetime import date, timedelta
from uuid import uuid4

import psycopg
import pytest

from batch_platform.domains.stocks.financials.models import Quarter
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox.made_up_market import market_day
from batch_platform.sandbox.made_up_statements import filings
from batch_platform.sandbox.market_faults import MarketFault
from batch_platform_tests.assets.stocks.financial_world import (
    COMPANIES,
    KEY,
    QUARTER,
    TODAY,
    FinancialWorld,
    financial_world,
    put_price,
)

LAST_YEAR = Quarter(2015, 4)
DAY = date(2016, 12, 19)
TABLES = ("corp_codes", "financial_statements", "financial_ratios")


@pytest.fixture
def world(platform_db: PlatformDb) -> Iterator[FinancialWorld]:
    with financial_world(platform_db) as world:
        yield world


@pytest.fixture(scope="module")
def full_template(postgres_server: str, _migrated_template: str) -> str:
    """A database with a year of quarters and one trading day, made once and copied for a test."""
    name = f"full_{uuid4().hex}"
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_migrated_template}")
    with financial_world(PlatformDb(f"{postgres_server}{name}")) as world:
        world.put_prices(DAY)
        made = world.make(LAST_YEAR, QUARTER)
        assert made.is_success, made.failures
        assert all(made.checks.values()), made.checks
        # A call for the directory and one for the hundred at most that it holds, a quarter.
        assert len(world.office.switches.calls) == 2 * 4
    return name


@pytest.fixture
def full(postgres_server: str, full_template: str) -> Iterator[FinancialWorld]:
    """A year of quarters and one trading day."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(f"{postgres_server}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {full_template}")
        with financial_world(PlatformDb(f"{postgres_server}{name}")) as world:
            yield world
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_year_of_quarters_in_one_run_changes_nothing_when_it_runs_again(
    full: FinancialWorld,
) -> None:
    received = [
        each
        for each in full.companies()
        if any(it.received_date <= TODAY for it in filings(each, QUARTER.year, QUARTER.number))
    ]
    ((rows,),) = full.rows(
        "SELECT count(*) FROM stocks.financial_statements WHERE quarter_start = %s",
        QUARTER.first_day,
    )
    assert rows == len(received) < COMPANIES
    assert all(
        reasons == {} or set(reasons) <= {"current_ratio", "roe", "debt_ratio"}
        for (reasons,) in full.rows(
            "SELECT reasons FROM stocks.financial_ratios WHERE quarter_start = %s",
            QUARTER.first_day,
        )
    )
    before = [full.fingerprint(table) for table in TABLES]

    again = full.make(LAST_YEAR, QUARTER)

    assert again.is_success
    assert [full.fingerprint(table) for table in TABLES] == before


def test_a_correction_is_added_and_later_ratios_are_told(full: FinancialWorld) -> None:
    company = next(each for each in full.companies() if filings(each, 2015, 4))
    first = filings(company, 2015, 4)[0].receipt_no
    newer = "20161201000001"

    def corrected(_name: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        return [
            row | {"rcept_no": newer, "thstrm_amount": "1,000"}
            if row["corp_code"] == company.corp_code and row["account_nm"].startswith("당기순이익")
            else row | {"rcept_no": newer}
            if row["corp_code"] == company.corp_code
            else row
            for row in rows
        ]

    full.office.amend = corrected
    others = "SELECT sum(hashtext(xmin::text)) FROM stocks.financial_statements WHERE ticker <> %s"
    before = full.rows(others, company.stock.ticker)
    made = full.make(LAST_YEAR)

    figures = made.metadata("financial_statements")
    assert figures["new_filings"] == figures["corrections"] == 1
    assert figures["changed_filings"] == 0
    assert full.rows(others, company.stock.ticker) == before
    assert [first, newer] == [
        number
        for (number,) in full.rows(
            "SELECT receipt_no FROM stocks.financial_statements"
            " WHERE quarter_start = %s AND corp_code = %s ORDER BY 1",
            LAST_YEAR.first_day,
            company.corp_code,
        )
    ]
    assert made.checks["later_ratios_have_the_newest_filings"] is False
    full.office.amend = lambda _name, rows: rows
    ratios = full.make(LAST_YEAR, QUARTER, assets=["financial_ratios"])
    assert ratios.checks["later_ratios_have_the_newest_filings"] is True
    known = full.rows(
        "SELECT known_from, trailing_net_income_krw FROM stocks.financial_ratios"
        " WHERE quarter_start = %s AND corp_code = %s ORDER BY 1",
        QUARTER.first_day,
        company.corp_code,
    )
    assert len(known) == 2
    assert known[1][0] == date(2016, 12, 1)
    assert known[0][1] != known[1][1]


def test_a_filing_that_the_office_mended_is_mended_here(full: FinancialWorld) -> None:
    def mended(_name: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        return [*rows[:-1], rows[-1] | {"thstrm_amount": "7"}]

    full.office.amend = mended
    figures = full.make().metadata("financial_statements")
    assert (figures["new_filings"], figures["changed_filings"]) == (0, 1)


def test_the_full_lists_are_asked_for_once_a_filing_and_only_what_is_missing(
    full: FinancialWorld,
) -> None:
    def asked() -> int:
        return sum(1 for name, _ in full.office.switches.calls if "SinglAcntAll" in name)

    full.office.statuses = ["000"] * 10 + ["020"]
    stopped = full.make(all_accounts=True)
    assert not stopped.is_success
    first = asked()
    made = full.make(all_accounts=True)
    assert made.is_success, made.failures
    filed = made.metadata("financial_statements")["companies_with_a_statement"]
    assert asked() == first + filed, "a batch that was not whole is asked again"
    calls = asked()
    full.make(all_accounts=True)
    assert asked() == calls
    ((complete, cash_flow),) = full.rows(
        "SELECT count(*), count(operating_cash_flow_ytd_krw) FROM stocks.financial_statements"
        " WHERE has_all_accounts"
    )
    assert complete == cash_flow == filed
    full.make()
    ((kept,),) = full.rows(
        "SELECT count(*) FROM stocks.financial_statements WHERE cash_flow IS NOT NULL"
    )
    assert kept == filed, "asking for less forgets nothing"


def test_a_used_up_quota_ends_the_run_with_a_date_and_leaves_the_quarter_as_it_was(
    full: FinancialWorld,
) -> None:
    before = full.fingerprint("financial_statements")
    full.office.statuses = ["000", "020"]
    # Not by a command: a failure that may pass would be tried again by the run itself.
    made = full.make(is_command=False)
    assert not made.is_success
    (failure,) = made.failures
    assert failure.is_expected
    assert "used up (status 020). Run again from " in failure.sentence
    assert full.fingerprint("financial_statements") == before


def test_a_broken_answer_leaves_the_quarter_as_it_was_and_tells_no_key(
    full: FinancialWorld,
) -> None:
    before = full.fingerprint("financial_statements")
    full.office.switches.by_path["fnlttMulti"] = MarketFault.SHORT_BODY
    made = full.make()
    assert not made.is_success
    assert KEY not in made.everything_recorded()
    assert full.fingerprint("financial_statements") == before


def test_a_quarter_that_nobody_filed_is_empty_not_an_error(world: FinancialWorld) -> None:
    made = world.make(Quarter(2016, 4))
    assert made.is_success, made.failures
    assert made.metadata("financial_statements")["dagster/row_count"] == 0
    assert made.metadata("financial_ratios")["dagster/row_count"] == 0
    assert made.checks["most_companies_have_filed"] is False


def test_without_a_key_it_says_which_setting_is_missing(world: FinancialWorld) -> None:
    world.key = ""
    made = world.make()
    assert not made.is_success
    assert "OPENDART_API_KEY is not set" in made.failures[0].sentence


def test_valuations_of_a_day_by_hand(full: FinancialWorld) -> None:
    made = full.value(DAY)
    assert made.is_success, made.failures
    assert all(made.checks.values())
    market = market_day(DAY)
    assert market is not None
    place = {stock.ticker: index for index, stock in enumerate(market.stocks)}
    rows = full.rows(
        """
        SELECT value.ticker, per, pbr, value.eps_krw, value.bps_krw, earnings_krw,
               book_value_krw, value.reasons
        FROM stocks.valuations AS value
        JOIN stocks.financial_ratios USING (quarter_start, corp_code, known_from)
        """
    )
    assert len(rows) > 50
    for ticker, per, pbr, eps, bps, earnings, book, reasons in rows:
        close = int(market.close[place[ticker]])
        shares = int(market.shares[place[ticker]])
        assert eps == pytest.approx(earnings / shares)
        assert bps == pytest.approx(book / shares)
        assert per == (pytest.approx(close / eps) if earnings > 0 else None)
        assert pbr == (pytest.approx(close / bps) if book > 0 else None)
        assert ("per" in reasons) == (earnings <= 0)
    suspended = [
        ticker
        for (ticker,) in full.rows(
            "SELECT ticker FROM stocks.daily_prices JOIN stocks.valuations USING (date, ticker)"
            " WHERE is_suspended"
        )
    ]
    assert suspended, "suspended stocks are valued at the close they keep"
    preferred = {stock.ticker for stock in market.stocks if stock.is_preferred}
    assert not preferred & {row[0] for row in rows}
    assert made.metadata("valuations")["without_corporation_code"] > 0


def test_a_stock_listed_today_has_a_row_that_says_why_it_is_empty(full: FinancialWorld) -> None:
    full.execute(
        "INSERT INTO stocks.corp_codes VALUES"
        " ('2016-07-01', 2016, 3, '999990', '99999999', '신규', '2016-12-01', true)"
    )
    with full.db.connect("test") as connection:
        put_price(connection, DAY, "999990", 10_000, 1_000)
    full.value(DAY)
    ((per, receipt_no, reasons),) = full.rows(
        "SELECT per, receipt_no, reasons FROM stocks.valuations WHERE ticker = '999990'"
    )
    assert (per, receipt_no) == (None, None)
    assert set(reasons.values()) == {"No statement was known"}


def test_a_range_of_days_is_what_each_day_alone_would_be(full: FinancialWorld) -> None:
    start = date(2016, 11, 10)
    days = [start + timedelta(days=offset) for offset in range(30)]
    for day in days:
        full.put_prices(day)
    content = "SELECT * FROM stocks.valuations ORDER BY date, ticker"
    made = full.value(days[0], days[-1])
    assert made.is_success, made.failures
    in_one = full.rows(content)
    assert len({row[0] for row in in_one}) == sum(market_day(day) is not None for day in days)
    assert len({row[4] for row in in_one}) > COMPANIES / 2, "filings change within the range"
    for day in days[2:6]:
        full.value(day)
    assert full.rows(content) == in_one


def test_prices_that_are_not_there_are_named(full: FinancialWorld) -> None:
    made = full.value(DAY - timedelta(days=3))
    assert not made.is_success
    assert "The prices of 2016-12-16 are not here" in made.failures[0].sentence


# One full quarter, spoiled in one way after another: a quarter costs seconds.
def test_each_check_finds_what_it_watches_for(full: FinancialWorld) -> None:
    full.value(DAY)

    def failing() -> set[str]:
        checks = full.check(QUARTER.first_day, "stocks_financials_job")
        checks |= full.check(DAY, "stocks_valuations_job")
        return {name for name, passed in checks.items() if not passed}

    def spoiled(spoil: str, mend: str) -> set[str]:
        full.execute(spoil)
        found = failing()
        full.execute(mend)
        return found

    assert failing() == set()
    one = "(SELECT min(corp_code) FROM stocks.financial_statements)"
    filing = f"quarter_start = '2016-07-01' AND corp_code = {one}"
    assert spoiled(
        "UPDATE stocks.financial_statements SET total_assets_krw = total_assets_krw + 4"
        f" WHERE {filing}",
        "UPDATE stocks.financial_statements SET total_assets_krw = total_assets_krw - 4"
        f" WHERE {filing}",
    ) == {"balance_sheets_have_equal_sides"}
    assert spoiled(
        "UPDATE stocks.financial_statements SET retrieved_at = retrieved_at - interval '11 years'"
        f" WHERE {filing}",
        f"UPDATE stocks.financial_statements SET retrieved_at = now() WHERE {filing}",
    ) == {"receipt_dates_are_not_after_retrieval"}
    assert spoiled(
        f"UPDATE stocks.financial_ratios SET roe = NULL WHERE {filing}",
        f"UPDATE stocks.financial_ratios SET roe = 0 WHERE {filing}",
    ) == {"every_statement_has_ratios_or_a_reason"}
    assert spoiled(
        "UPDATE stocks.financial_ratios SET receipt_numbers ="
        f" array_append(receipt_numbers, '20170101000001') WHERE {filing}",
        "UPDATE stocks.financial_ratios SET receipt_numbers ="
        f" array_remove(receipt_numbers, '20170101000001') WHERE {filing}",
    ) == {"valuations_have_only_known_statements"}
    full.execute(f"DELETE FROM stocks.valuations WHERE corp_code = {one}")
    full.execute(
        "INSERT INTO stocks.corp_codes SELECT '2016-04-01', 2016, 2, 'T' || number, "
        " lpad(number::text, 8, '0'), 'x', '2016-01-01', true FROM generate_series(1, 40) AS number"
    )
    full.execute(
        "DELETE FROM stocks.financial_statements WHERE quarter_start = '2016-07-01'"
        f" AND corp_code > {one}"
    )
    assert failing() == {
        "every_common_stock_has_a_valuation",
        "corp_codes_are_as_many_as_before",
        "most_companies_have_filed",
    }


def test_the_office_of_a_later_day_has_news(world: FinancialWorld) -> None:
    early = date(2016, 11, 1)
    world.office.today = lambda: early
    first = world.make().metadata("financial_statements")
    world.office.today = lambda: TODAY
    second = world.make().metadata("financial_statements")
    assert 0 < first["new_filings"] < second["companies_with_a_statement"]
    assert second["new_filings"] >= second["companies_with_a_statement"] - first["new_filings"]

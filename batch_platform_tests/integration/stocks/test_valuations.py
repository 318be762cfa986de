"""Valuations in SQL against the rule said plainly: whatever was filed when, nothing looks ahead."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from batch_platform.domains.stocks.financials.models import Flow, Quarter, Statement
from batch_platform.domains.stocks.financials.store import (
    OLDEST_STATEMENT_DAYS,
    FinancialStore,
)
from batch_platform.domains.stocks.financials.workflow import compute_ratios, value_days
from batch_platform.gateways.opendart import Basis
from batch_platform.gateways.platform_db import PlatformDb

FIRST = date(2016, 1, 4)
DAYS = [FIRST + timedelta(days=offset) for offset in range(0, 700, 50)]
QUARTERS = [Quarter(2015, 4).plus(count) for count in range(6)]
COMPANIES = ("10000001", "10000002")
SHARES, CLOSE = 1_000, 5_000


def filing(corp_code: str, index: int, days_after: int, number: int, income: int) -> Statement:
    """An annual-like filing whose trailing income needs no other: the year so far is given."""
    quarter = QUARTERS[index]
    period_end = quarter.plus(1).first_day - timedelta(days=1)
    received = period_end + timedelta(days=days_after)
    return Statement(
        quarter=quarter,
        corp_code=corp_code,
        ticker=corp_code[2:],
        receipt_no=f"{received:%Y%m%d}{number:06d}",
        received_date=received,
        basis=Basis.CONSOLIDATED,
        period_end=period_end,
        total_assets=3_000_000,
        total_liabilities=3_000_000 - income * 7,
        total_equity=income * 7,
        net_income=Flow(income, income, income),
    )


filings = st.lists(
    st.builds(
        filing,
        st.sampled_from(COMPANIES),
        st.integers(0, len(QUARTERS) - 1),
        st.integers(5, 400),
        st.integers(1, 999_999),
        st.integers(-1_000, 1_000),
    ),
    max_size=10,
    unique_by=lambda each: each.receipt_no,
)


@pytest.fixture
def priced(platform_db: PlatformDb) -> PlatformDb:
    with platform_db.connect("test") as connection:
        for code in COMPANIES:
            connection.execute(
                "INSERT INTO stocks.corp_codes VALUES"
                " ('2015-10-01', 2015, 4, %s, %s, 'x', '2015-01-01', true)",
                [code[2:], code],
            )
        for day in (FIRST + timedelta(days=offset) for offset in range(700)):
            is_open = day in DAYS
            connection.execute(
                "INSERT INTO stocks.price_days"
                " (date, kospi_rows, kosdaq_rows, source, reason, run_id, is_made_up)"
                " VALUES (%s, %s, 0, %s, %s, 'test', true)",
                [day, 2 * is_open, "KRX" if is_open else None, None if is_open else "Closed"],
            )
        connection.execute(
            """
            INSERT INTO stocks.daily_prices
                (date, ticker, market, close, change_amount, change_rate, volume, trading_value,
                 shares_outstanding, market_cap, is_suspended, source, is_made_up)
            SELECT day, ticker, 'KOSPI', %s, 0, 0, 0, 0, %s, 0, false, 'KRX', true
            FROM unnest(%s::date[]) AS day, unnest(%s::text[]) AS ticker
            """,
            [CLOSE, SHARES, DAYS, [code[2:] for code in COMPANIES]],
        )
    return platform_db


def newest_known(filed: Sequence[Statement], code: str, day: date) -> str | None:
    """The rule: of what was received up to the day, the newest period's newest filing."""
    known = [
        each
        for each in filed
        if each.corp_code == code
        and each.received_date <= day
        and (day - each.period_end).days <= OLDEST_STATEMENT_DAYS
    ]
    newest = max(known, key=lambda each: (each.period_end, each.receipt_no), default=None)
    return newest and newest.receipt_no


@settings(
    max_examples=12,
    deadline=None,
    # An example takes a fraction of a second; finding the smallest one that fails takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(filings)
def test_a_valuation_rests_on_the_newest_filing_received_up_to_its_day(
    priced: PlatformDb, filed: list[Statement]
) -> None:
    store = FinancialStore(priced)
    with priced.replacing("test", "all") as transaction:
        transaction.connection.execute("DELETE FROM stocks.financial_statements")
        transaction.connection.execute("DELETE FROM stocks.financial_ratios")
        store.land(transaction, filed, is_made_up=True)
    for quarter in QUARTERS:
        compute_ratios(quarter, db=priced, is_made_up=True)
    value_days(FIRST, DAYS[-1], db=priced, hold=lambda _: nullcontext(), is_made_up=True)
    rows = priced.fetch_all(
        "SELECT date, corp_code, receipt_no, per, bps_krw FROM stocks.valuations"
    )
    assert len(rows) == len(DAYS) * len(COMPANIES)
    equity = {each.receipt_no: each.total_equity for each in filed}
    for day, code, receipt_no, per, bps in rows:
        assert receipt_no == newest_known(filed, code, day)
        assert receipt_no is None or receipt_no[:8] <= f"{day:%Y%m%d}"
        assert bps == (None if receipt_no is None else equity[receipt_no] / SHARES)
        assert per is None or per > 0
    assert store.valuations_that_look_ahead(FIRST, DAYS[-1]) == []

"""Figures of the made-up companies fit one another, as a real company's would."""

from datetime import date

import pytest

from batch_platform.sandbox.made_up_statements import (
    Company,
    Figures,
    companies,
    figures,
    filings,
)

DAY = date(2016, 12, 20)


@pytest.fixture(scope="module")
def everyone() -> list[Company]:
    return list(companies(DAY))


def quarter_of(company: Company, quarter: int, year: int = 2016) -> Figures:
    return figures(company, year, quarter, is_consolidated=True, is_corrected=False)


def test_balance_sheets_add_up_and_cash_flows_end_at_the_cash(everyone: list[Company]) -> None:
    for company in everyone[::20]:
        before = quarter_of(company, 4, 2015)
        for number in (1, 2, 3, 4):
            now = quarter_of(company, number)
            assert now.assets == now.liabilities + now.equity
            assert now.current_assets >= now.cash > 0
            assert now.cash_at_start == before.cash
            flows = now.operating_cash_flow + now.investing_cash_flow + now.financing_cash_flow
            assert now.cash_at_start + flows == now.cash
            assert before.equity + now.comprehensive_income - now.paid_out == now.equity
            assert now.capital + now.retained_earnings == now.equity
            before = now


def test_the_market_holds_all_kinds_of_companies(everyone: list[Company]) -> None:
    assert len(everyone) > 2_600
    assert len({each.corp_code for each in everyone}) == len(everyone)
    assert not any(each.stock.is_preferred for each in everyone)
    assert {each.fiscal_year_end for each in everyone} == {3, 6, 12}
    kinds = {
        "separate only": sum(not each.has_consolidated for each in everyone),
        "never files": sum(not each.files for each in everyone),
        "equity below zero": sum(each.equity < 0 for each in everyone),
        "financial": sum(each.is_finance for each in everyone),
        "losses": sum(each.margin < 0 for each in everyone),
        "corrected": sum(len(filings(each, 2016, 1)) > 1 for each in everyone),
    }
    assert all(count > 5 for count in kinds.values()), kinds


def test_periods_of_companies_whose_year_ends_elsewhere(everyone: list[Company]) -> None:
    by_end = {each.fiscal_year_end: each for each in everyone}
    assert by_end[12].period_end(2016, 1) == date(2016, 3, 31)
    assert by_end[12].period_end(2016, 4) == date(2016, 12, 31)
    assert by_end[3].period_end(2016, 1) == date(2016, 6, 30)
    assert by_end[3].period_end(2016, 4) == date(2017, 3, 31)
    assert by_end[6].year_start(2016) == date(2016, 7, 1)


def test_a_correction_comes_later_with_a_number_and_figures_of_its_own(
    everyone: list[Company],
) -> None:
    company = next(each for each in everyone if len(filings(each, 2016, 1)) > 1)
    first, second = filings(company, 2016, 1)
    assert first.received_date < second.received_date
    assert first.receipt_no < second.receipt_no
    assert first.receipt_no.startswith(f"{first.received_date:%Y%m%d}")
    corrected = figures(company, 2016, 1, is_consolidated=True, is_corrected=True)
    assert corrected.operating_income < quarter_of(company, 1).operating_income
    assert corrected.assets == corrected.liabilities + corrected.equity

"""Statements out of lines, quarters out of years so far, ratios: by hand, and for any figures."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_platform.domains.stocks.financials.logic import (
    amount,
    ratio_versions,
    statements_of,
    with_all_accounts,
)
from batch_platform.domains.stocks.financials.models import (
    Flow,
    ListedShares,
    Quarter,
    Ratio,
    Ratios,
    Statement,
)
from batch_platform.gateways.opendart import Basis, ReportCode

CODE, TICKER = "00126380", "005930"
THIRD = Quarter(2026, 3)
NO_FLOW = Flow()
SHARES = [ListedShares(1_000, date(2026, 1, 2))]


def line(kind: str, account: str, amount: str, so_far: str = "", **more: str) -> dict[str, str]:
    """A line as OpenDART writes it."""
    moment = "2026.09.30 현재" if kind == "BS" else "2026.01.01 ~ 2026.09.30"
    return {
        "rcept_no": "20261113000123",
        "corp_code": CODE,
        "fs_div": "CFS",
        "sj_div": kind,
        "account_nm": account,
        "thstrm_dt": moment,
        "thstrm_amount": amount,
        "thstrm_add_amount": so_far,
        **more,
    }


LINES = [
    line("BS", "유동자산", "400"),
    line("BS", "자산총계", "1,000"),
    line("BS", "유동부채", "250"),
    line("BS", "부채총계", "600"),
    line("BS", "자본총계", "400"),
    line("IS", "매출액", "120", "330", frmtrm_add_amount="300"),
    line("IS", "영업이익", "-", "-5"),
    line("IS", "당기순이익(손실)", "8", "25"),
    line("BS", "자산총계", "700", fs_div="OFS"),
]


def read(lines: Sequence[dict[str, str]], quarter: Quarter = THIRD) -> Statement:
    statements, set_aside = statements_of(quarter, lines, {CODE: TICKER})
    assert not set_aside, set_aside
    (statement,) = statements
    return statement


def refused(*lines: dict[str, str]) -> str:
    statements, (set_aside,) = statements_of(Quarter(2026, 3), lines, {CODE: TICKER})
    assert not statements
    return set_aside.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234,567", 1_234_567),
        ("-1,234", -1_234),
        ("(1,234)", -1_234),
        ("0", 0),
        (" 5 ", 5),
        ("-", None),
        ("", None),
        (None, None),
        ("9,007,199,254,740,993", 9_007_199_254_740_993),
    ],
)
def test_amounts_as_they_are_written(text: str | None, value: int | None) -> None:
    assert amount(text) == value


def test_a_statement_holds_the_consolidated_lines_and_the_figures_they_give() -> None:
    statement = read(LINES)
    assert (statement.basis, statement.total_assets) == (Basis.CONSOLIDATED, 1_000)
    assert statement.revenue == Flow(120, 330, 300)
    assert statement.operating_income == Flow(None, -5, None)
    assert statement.period_end == date(2026, 9, 30)
    assert (statement.receipt_no, statement.received_date) == (
        "20261113000123",
        date(2026, 11, 13),
    )
    assert [row["account_nm"] for row in statement.rows["income_statement"]] == [
        "매출액",
        "영업이익",
        "당기순이익(손실)",
    ]
    assert len(statement.rows["balance_sheet"]) == 5


def test_without_a_consolidated_statement_the_separate_one_counts() -> None:
    statement = read([each | {"fs_div": "OFS"} for each in LINES])
    assert statement.basis is Basis.SEPARATE


def test_annual_figures_are_the_years_and_a_first_quarter_is_the_year_so_far() -> None:
    annual = read([each | {"thstrm_add_amount": ""} for each in LINES], Quarter(2026, 4))
    assert annual.revenue == Flow(None, 120, None)
    first = read([each | {"thstrm_add_amount": ""} for each in LINES], Quarter(2026, 1))
    assert first.net_income == Flow(8, 8, None)
    third = read([each | {"thstrm_add_amount": ""} for each in LINES], Quarter(2026, 3))
    assert third.net_income.year_to_date is None, "three months are not nine"


def test_lines_that_are_no_statement_set_their_company_aside_alone() -> None:
    other = [each | {"corp_code": "00999999"} for each in LINES]
    statements, set_aside = statements_of(
        Quarter(2026, 3), [*other, *LINES], {CODE: TICKER, "00999999": "999990"}
    )
    assert len(statements) == 2
    assert not set_aside
    assert "not asked for" in statements_of(Quarter(2026, 3), LINES, {})[1][0].reason
    assert "no number" in refused(line("BS", "자산총계", "abc"))
    assert "several filings" in refused(LINES[0], LINES[1] | {"rcept_no": "20261114000999"})
    assert "not in won" in refused(LINES[0] | {"currency": "USD"})
    assert "14 digits" in refused(LINES[0] | {"rcept_no": "2026"})
    assert "begin with a date" in refused(LINES[0] | {"rcept_no": "20269913000123"})
    assert "No balance sheet" in refused(line("IS", "매출액", "1"))


def test_the_full_list_adds_what_the_owners_have_and_the_cash_flow() -> None:
    statement = with_all_accounts(
        read(LINES),
        [
            line("BS", "지배기업의 소유주에게 귀속되는 자본", "380"),
            line("CIS", "지배기업의 소유주에게 귀속되는 당기순이익(손실)", "7", "22"),
            line("CF", "영업활동현금흐름", "31"),
        ],
    )
    assert statement.owners_equity == 380
    assert statement.owners_net_income == Flow(7, 22, None)
    assert statement.operating_cash_flow == 31
    assert statement.has_all_accounts
    assert statement.total_assets == 1_000


def test_a_full_list_of_another_filing_is_not_mixed_in() -> None:
    statement = read(LINES)
    newer = line("BS", "지배기업소유주지분", "380") | {"rcept_no": "20261120000001"}
    assert with_all_accounts(statement, [newer]) is statement
    assert with_all_accounts(statement, []) is statement


def filing(
    quarter: Quarter,
    *,
    received: date | None = None,
    number: int = 1,
    equity: int | None = 500,
    revenue: Flow = NO_FLOW,
    operating_income: Flow = NO_FLOW,
    net_income: Flow = NO_FLOW,
    basis: Basis = Basis.CONSOLIDATED,
) -> Statement:
    """A company's filing with assets of 1,000 and current items of 300 and 200."""
    day = received or quarter.deadline
    return Statement(
        quarter=quarter,
        corp_code=CODE,
        ticker=TICKER,
        receipt_no=f"{day:%Y%m%d}{number:06d}",
        received_date=day,
        basis=basis,
        period_end=quarter.plus(1).first_day - timedelta(days=1),
        total_assets=1_000,
        total_liabilities=None if equity is None else 1_000 - equity,
        total_equity=equity,
        current_assets=300,
        current_liabilities=200,
        revenue=revenue,
        operating_income=operating_income,
        net_income=net_income,
    )


BY_HAND = {
    # Three months and the year so far; an annual report gives the year only. Quarters of 2025:
    # revenue 100, 110, 120, 130; operating income 10, 11, 12, 13; net income 5, 6, 7, 8.
    # Of 2026: revenue 140, 150, 160; operating income 20, 22, 24; net income 9, 10, -4.
    Quarter(2025, 1): (Flow(100, 100), Flow(10, 10), Flow(5, 5)),
    Quarter(2025, 2): (Flow(110, 210), Flow(11, 21), Flow(6, 11)),
    Quarter(2025, 3): (Flow(120, 330), Flow(12, 33), Flow(7, 18)),
    Quarter(2025, 4): (Flow(None, 460), Flow(None, 46), Flow(None, 26)),
    Quarter(2026, 1): (Flow(140, 140), Flow(20, 20), Flow(9, 9)),
    Quarter(2026, 2): (Flow(150, 290), Flow(22, 42), Flow(10, 19)),
    Quarter(2026, 3): (Flow(160, 450), Flow(24, 66), Flow(-4, 15)),
}
FILINGS = [
    filing(quarter, revenue=revenue, operating_income=operating, net_income=net)
    for quarter, (revenue, operating, net) in BY_HAND.items()
]


def only(quarter: Quarter, filings: Sequence[Statement] = FILINGS) -> Ratios:
    (ratios,) = ratio_versions(quarter, filings, SHARES)
    return ratios


def test_ratios_of_an_interim_report_computed_by_hand() -> None:
    ratios = only(Quarter(2026, 3))
    # Trailing: Q4 2025 to Q3 2026. Revenue 130 + 140 + 150 + 160, operating income 13 + 20 + 22 +
    # 24, net income 8 + 9 + 10 - 4.
    assert ratios.trailing["revenue"] == 580
    assert ratios.trailing["operating_income"] == 79
    assert ratios.trailing["net_income"] == 23
    assert ratios.three_months["net_income"] == -4
    assert ratios.values == pytest.approx(
        {
            Ratio.ROE: 23 / 500,
            Ratio.ROA: 23 / 1_000,
            Ratio.DEBT_RATIO: 500 / 500,
            Ratio.CURRENT_RATIO: 300 / 200,
            Ratio.OPERATING_MARGIN: 79 / 580,
            Ratio.EPS: 23 / 1_000,
            Ratio.BPS: 500 / 1_000,
        }
    )
    assert ratios.reasons == {}
    assert ratios.known_from == date(2026, 11, 14)


def test_the_fourth_quarter_is_the_year_less_nine_months() -> None:
    ratios = only(Quarter(2025, 4))
    assert ratios.three_months["revenue"] == 460 - 330
    assert ratios.three_months["net_income"] == 26 - 18
    assert ratios.trailing["net_income"] == 26
    alone = only(Quarter(2025, 4), [each for each in FILINGS if each.quarter == Quarter(2025, 4)])
    assert alone.three_months["net_income"] is None
    assert alone.values[Ratio.ROE] == 26 / 500, "the year needs no other report"


def test_the_reports_own_comparison_serves_where_last_years_is_not_here() -> None:
    here = [each for each in FILINGS if each.quarter != Quarter(2025, 3)]
    here[-1] = replace(here[-1], net_income=Flow(-4, 15, 18))
    assert only(Quarter(2026, 3), here).trailing["net_income"] == 23


def test_without_last_years_annual_report_flows_are_missing_with_the_reason() -> None:
    ratios = only(Quarter(2026, 3), FILINGS[4:])
    assert ratios.values[Ratio.ROE] is None
    assert ratios.reasons[Ratio.ROE] == "The last annual report is not here"
    assert ratios.reasons[Ratio.EPS] == "The last annual report is not here"
    assert ratios.values[Ratio.DEBT_RATIO] == 1
    assert ratios.values[Ratio.BPS] == 0.5


def test_a_change_of_basis_is_not_added_up() -> None:
    filings = [
        replace(each, basis=Basis.SEPARATE) if each.quarter.year == 2025 else each
        for each in FILINGS
    ]
    assert "another basis" in only(Quarter(2026, 3), filings).reasons[Ratio.ROA]


@pytest.mark.parametrize("equity", [0, -200])
def test_equity_of_zero_or_below_gives_no_ratio_to_it(equity: int) -> None:
    filings = [*FILINGS[:-1], replace(FILINGS[-1], total_equity=equity)]
    ratios = only(Quarter(2026, 3), filings)
    assert ratios.values[Ratio.ROE] is None
    assert ratios.values[Ratio.DEBT_RATIO] is None
    assert ratios.reasons[Ratio.ROE] == "Equity of zero or below"
    assert ratios.values[Ratio.BPS] == equity / 1_000


def test_what_a_financial_company_does_not_report_is_missing_not_zero() -> None:
    filings = [*FILINGS[:-1], replace(FILINGS[-1], current_assets=None, current_liabilities=None)]
    ratios = only(Quarter(2026, 3), filings)
    assert ratios.values[Ratio.CURRENT_RATIO] is None
    assert "current assets" in ratios.reasons[Ratio.CURRENT_RATIO]


def test_without_listed_shares_only_what_is_by_share_is_missing() -> None:
    (ratios,) = ratio_versions(Quarter(2026, 3), FILINGS, [])
    assert set(ratios.reasons) == {Ratio.EPS, Ratio.BPS}
    assert (ratios.earnings, ratios.book_value) == (23, 500)


def test_what_the_owners_have_is_by_share_where_it_is_known() -> None:
    filings = [
        replace(each, owners_equity=450, owners_net_income=each.net_income) for each in FILINGS
    ]
    filings[-1] = replace(filings[-1], owners_net_income=Flow(-5, 12))
    ratios = only(Quarter(2026, 3), filings)
    assert ratios.has_owners_figures
    assert ratios.values[Ratio.EPS] == (12 + 26 - 18) / 1_000
    assert ratios.values[Ratio.BPS] == 450 / 1_000
    assert ratios.values[Ratio.ROE] == 23 / 500


def test_a_correction_counts_from_its_day_on() -> None:
    corrected = replace(
        FILINGS[3],
        receipt_no="20261201000007",
        received_date=date(2026, 12, 1),
        net_income=Flow(None, 30),
    )
    first, second = ratio_versions(Quarter(2026, 3), [*FILINGS, corrected], SHARES)
    assert (first.known_from, first.trailing["net_income"]) == (date(2026, 11, 14), 23)
    assert (second.known_from, second.trailing["net_income"]) == (date(2026, 12, 1), 27)
    assert corrected.receipt_no in second.receipt_numbers
    assert corrected.receipt_no not in first.receipt_numbers


def test_a_quarter_that_was_not_filed_has_no_ratios() -> None:
    assert ratio_versions(Quarter(2026, 4), FILINGS, SHARES) == []


@pytest.mark.parametrize(
    ("quarter", "deadline", "report"),
    [
        (Quarter(2026, 1), date(2026, 5, 15), ReportCode.FIRST_QUARTER),
        (Quarter(2026, 2), date(2026, 8, 14), ReportCode.HALF_YEAR),
        (Quarter(2026, 3), date(2026, 11, 14), ReportCode.THIRD_QUARTER),
        (Quarter(2026, 4), date(2027, 3, 31), ReportCode.ANNUAL),
    ],
)
def test_deadlines_and_reports(quarter: Quarter, deadline: date, report: ReportCode) -> None:
    assert (quarter.deadline, quarter.report) == (deadline, report)
    assert Quarter.last_due(deadline) == quarter.plus(-1)
    assert Quarter.last_due(deadline + timedelta(days=1)) == quarter
    assert Quarter.starting(quarter.first_day) == quarter


flows = st.integers(min_value=-(10**15), max_value=10**15)


@given(st.lists(flows, min_size=8, max_size=8), st.integers(min_value=4, max_value=7))
def test_trailing_flows_are_the_sum_of_four_quarters(quarterly: list[int], last: int) -> None:
    first = Quarter(2024, 1)
    filings: list[Statement] = []
    for index, value in enumerate(quarterly):
        quarter = first.plus(index)
        so_far = sum(quarterly[index // 4 * 4 : index + 1])
        filings.append(
            filing(quarter, net_income=Flow(None if quarter.is_annual else value, so_far))
        )
    ratios = only(first.plus(last), filings[: last + 1])
    assert ratios.trailing["net_income"] == sum(quarterly[last - 3 : last + 1])
    assert ratios.three_months["net_income"] == quarterly[last]


received_filings = st.lists(
    st.builds(
        lambda back, days, number, value: filing(
            Quarter(2026, 3).plus(-back),
            received=date(2026, 10, 15) + timedelta(days=days),
            number=number,
            net_income=Flow(value, value, value),
        ),
        st.integers(0, 4),
        st.integers(0, 90),
        st.integers(1, 999_999),
        st.integers(-1_000, 1_000),
    ),
    max_size=12,
    unique_by=lambda each: each.receipt_no,
)


@given(received_filings)
def test_no_version_knows_what_was_received_later(filings: list[Statement]) -> None:
    versions = ratio_versions(Quarter(2026, 3), filings, SHARES)
    days = [each.known_from for each in versions]
    assert days == sorted(set(days))
    for version in versions:
        assert all(
            date.fromisoformat(number[:8]) <= version.known_from
            for number in version.receipt_numbers
        )
        as_of_then = [each for each in filings if each.received_date <= version.known_from]
        assert ratio_versions(Quarter(2026, 3), as_of_then, SHARES)[-1].content == version.content

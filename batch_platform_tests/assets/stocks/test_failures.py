"""What goes wrong at the exchange and the portal: the right outcome, and never half a day."""

from collections.abc import Callable, Sequence
from datetime import date

import pytest

from batch_platform.sandbox.market_faults import MarketFault
from batch_platform_tests.assets.stocks.conftest import (
    DAY_BEFORE,
    ROWS,
    SPLIT_DAY,
    World,
)

Row = dict[str, str]


@pytest.fixture
def exchange_only(world: World) -> World:
    world.variables["PUBLIC_DATA_SERVICE_KEY"] = None
    return world


@pytest.mark.parametrize(
    ("fault", "error_type", "words"),
    [
        (MarketFault.BAD_KEY, "ConfigurationError", "refuses the key. Check KRX_AUTH_KEY"),
        (MarketFault.NOT_APPROVED, "ConfigurationError", "not approved sto/stk_bydd_trd"),
        (MarketFault.QUOTA, "RetryableError", "10,000 a day"),
        (MarketFault.TRUNCATED, "RetryableError", "something cut"),
        (MarketFault.SHORT_BODY, "RetryableError", "RemoteProtocolError"),
        (MarketFault.HTML, "RetryableError", "not of the documented shape"),
        (MarketFault.SERVER_ERROR, "RetryableError", "HTTP 500"),
    ],
)
def test_a_failing_exchange_writes_nothing_and_says_why(
    exchange_only: World, fault: MarketFault, error_type: str, words: str
) -> None:
    exchange_only.krx.switches.by_path["stk_bydd"] = fault
    made = exchange_only.make()

    assert (made.failure.error_type, exchange_only.count()) == (error_type, 0)
    assert words in made.failure.sentence
    assert exchange_only.rows("SELECT * FROM stocks.price_days") == []


@pytest.mark.parametrize("fault", [MarketFault.BAD_KEY, MarketFault.TRUNCATED, MarketFault.EMPTY])
def test_the_portal_serves_when_the_exchange_does_not(world: World, fault: MarketFault) -> None:
    world.krx.switches.by_path["ksq_bydd"] = fault
    made = world.make()

    assert made.is_success
    assert world.rows("SELECT source, count(*) FROM stocks.daily_prices GROUP BY 1") == [
        ("PUBLIC_DATA", ROWS)
    ]
    assert "KRX" in made.metadata()["warnings"]
    assert made.checks["daily_prices_are_from_the_exchange"] is False


@pytest.mark.parametrize(
    ("fault", "error_type", "words"),
    [
        (MarketFault.BAD_KEY, "ConfigurationError", "PUBLIC_DATA_SERVICE_KEY"),
        (MarketFault.QUOTA, "PermanentError", "used up (22)"),
        (MarketFault.TRUNCATED, "RetryableError", "something cut"),
        (MarketFault.FEWER_ROWS, "RetryableError", "of 2,764 rows"),
    ],
)
def test_a_failing_portal_says_why(
    world: World, fault: MarketFault, error_type: str, words: str
) -> None:
    world.variables["KRX_AUTH_KEY"] = None
    world.public_data.switches.by_path["get"] = fault
    made = world.make()

    assert made.failure.error_type == error_type
    assert words in made.failure.sentence
    assert world.count() == 0


def test_a_day_that_is_not_published_is_awaited_and_a_failure_after_the_last_try(
    world: World,
) -> None:
    for server in (world.krx, world.public_data):
        server.switches.by_path["s"] = MarketFault.EMPTY
    made = world.make()

    assert made.is_success
    assert made.materializations() == {}
    assert made.checks == {}
    assert made.waiting() == {
        "2018-05-03": "KRX has not published it; PUBLIC_DATA has not published it"
    }
    last = world.make(is_last_try=True)
    assert last.failure.error_type == "NoDataError"
    assert "stocks holidays add" in last.failure.sentence
    assert world.rows("SELECT * FROM stocks.price_days") == []


def test_nothing_is_downstream_of_a_day_that_is_awaited(world: World) -> None:
    for server in (world.krx, world.public_data):
        server.switches.by_path["s"] = MarketFault.EMPTY
    made = world.make(job="stocks_night_job", assets=["listings", "daily_prices"])

    assert made.is_success
    assert made.waiting().keys() == {"2018-05-03"}
    assert all("bydd" not in path for path, _ in world.krx.switches.calls)


def test_a_missing_market_is_awaited_as_a_whole(exchange_only: World) -> None:
    exchange_only.krx.switches.by_path["ksq"] = MarketFault.EMPTY
    made = exchange_only.make()

    assert made.waiting() == {"2018-05-03": "KRX has published no KOSDAQ"}
    assert exchange_only.count() == 0


def test_a_day_with_far_fewer_stocks_than_the_one_before_is_refused_unless_accepted(
    exchange_only: World,
) -> None:
    assert exchange_only.make(DAY_BEFORE).is_success
    exchange_only.krx.amend = lambda path, rows: rows[:-60] if path.startswith("ksq") else rows
    refused = exchange_only.make()

    assert refused.failure.error_type == "RetryableError"
    assert "KOSDAQ has 1,761 stocks, 1,821 on the trading day before" in refused.failure.sentence
    assert exchange_only.count() == 0
    exchange_only.make(accepts_count=True)
    assert exchange_only.count() == ROWS - 60


def _first(**changes: str) -> Callable[[str, Sequence[Row]], Sequence[Row]]:
    return lambda path, rows: [rows[0] | changes, *rows[1:]] if path.startswith("stk") else rows


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TDD_CLSPRC": "0"}, "close is zero or below in 1 rows"),
        ({"TDD_CLSPRC": "-"}, "close is not a number everywhere"),
        ({"ACC_TRDVOL": "-5"}, "volume is below zero in 1 rows"),
        ({"BAS_DD": "20180502"}, "1 rows are of another day"),
        ({"ISU_CD": "KR7005930003"}, "1 rows have no six-character code"),
        ({"ISU_CD": "600070"}, "1 stocks stand in it twice"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused_whole(
    exchange_only: World, changes: Row, words: str
) -> None:
    exchange_only.krx.amend = _first(**changes)
    made = exchange_only.make()

    assert made.failure.error_type == "PermanentError"
    assert words in made.failure.sentence
    assert exchange_only.count() == 0


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"TDD_OPNPRC": "1"}, "highs_and_lows_are_around_open_and_close"),
        ({"MKTCAP": "1000"}, "shares_times_close_are_the_market_cap"),
        ({"ACC_TRDVAL": "5"}, "volume_and_value_are_in_agreement"),
        ({"FLUC_RT": "29.99"}, "changes_are_from_the_close_before_or_an_action"),
    ],
)
def test_a_figure_that_does_not_fit_the_others_is_told_by_its_check(
    exchange_only: World, changes: Row, check: str
) -> None:
    # The second stock: the first is suspended for its split.
    exchange_only.krx.amend = lambda path, rows: (
        [rows[0], rows[1] | changes, *rows[2:]] if path.startswith("stk") else rows
    )
    checks = exchange_only.make().checks
    assert [name for name, passed in checks.items() if not passed] == [check]


def test_the_answer_of_another_day_looks_like_actions_of_every_stock(exchange_only: World) -> None:
    def shifted(_path: str, rows: Sequence[Row]) -> Sequence[Row]:
        return [row | {"CMPPREVDD_PRC": "7"} if row["ACC_TRDVOL"] != "0" else row for row in rows]

    exchange_only.make(DAY_BEFORE)
    exchange_only.krx.amend = shifted
    checks = exchange_only.make().checks
    assert checks["changes_are_from_the_close_before_or_an_action"] is False


def test_a_gap_is_seen_and_a_range_with_an_unpublished_day_keeps_the_others(world: World) -> None:
    world.make(DAY_BEFORE)
    assert world.make(SPLIT_DAY).checks["daily_prices_have_no_gaps"] is False

    world.variables["PUBLIC_DATA_SERVICE_KEY"] = None
    world.krx.amend = lambda _path, rows: [] if rows[0]["BAS_DD"] == "20180503" else rows
    made = world.make(DAY_BEFORE, date(2018, 5, 8))
    assert made.failure.error_type == "NoDataError"
    assert "2018-05-03" in made.failure.sentence
    assert "2018-05-03" not in made.materializations()
    assert len(made.materializations()) == 6
    assert world.rows("SELECT count(DISTINCT date) FROM stocks.daily_prices") == [(3,)]


def test_stocks_come_and_go_and_the_list_does_not_depend_on_the_order(world: World) -> None:
    days = [date(2018, 5, day) for day in (2, 3, 4, 8, 9, 10, 11)]
    for day in (days[-1], days[0], days[3]):
        made = world.make(day, job="stocks_night_job", assets=["listings"])
        assert made.is_success
    first_order = world.rows("SELECT * FROM stocks.listings ORDER BY ticker")
    gone, new = (
        world.rows(f"SELECT count(*) FROM stocks.stocks WHERE {condition}")[0][0]
        for condition in (
            "NOT is_active AND delisting_date IS NOT NULL",
            "listing_date > '2018-05-02'",
        )
    )
    assert gone == new
    assert gone > 0
    world.execute("TRUNCATE stocks.listings, stocks.listing_days")
    for day in (days[0], days[3], days[-1]):
        world.make(day, job="stocks_night_job", assets=["listings"])
    assert world.rows("SELECT * FROM stocks.listings ORDER BY ticker") == first_order

"""A trading day from the exchange to the tables: whole, checked, and written once."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from datetime import date

from batch_platform.domains.stocks.market.models import PricesOutcome
from batch_platform.domains.stocks.market.sources import MarketSources
from batch_platform.domains.stocks.market.workflow import WritingOptions, land_prices
from batch_platform.resources.roles import krx_client, public_data_client
from batch_platform_tests.assets.stocks.conftest import (
    DAY,
    DAY_BEFORE,
    HOLIDAY,
    KRX_KEY,
    PUBLIC_KEY,
    ROWS,
    SPLIT_DAY,
    World,
)


def test_a_day_comes_through_whole_in_two_calls(world: World) -> None:
    made = world.make()

    assert made.is_success
    assert made.checks
    assert all(made.checks.values()), made.checks
    assert world.count() == ROWS
    assert sorted(world.krx.switches.calls) == [
        ("ksq_bydd_trd", "20180503"),
        ("stk_bydd_trd", "20180503"),
    ]
    assert not world.public_data.switches.calls
    metadata = made.metadata()
    assert metadata["dagster/row_count"] == ROWS
    assert (metadata["rows_inserted"], metadata["rows_changed"]) == (ROWS, 0)
    assert metadata["made_up"]
    recorded = made.everything_recorded()
    assert KRX_KEY not in recorded
    assert "canary" not in recorded


def test_the_night_makes_listings_before_prices(world: World) -> None:
    made = world.make(job="stocks_night_job", assets=["listings", "daily_prices"])

    assert made.is_success
    assert made.metadata("listings")["rows_inserted"] == ROWS
    assert world.rows(
        "SELECT market, count(*) FROM stocks.stocks WHERE is_active GROUP BY 1 ORDER BY 1"
    ) == [
        ("KOSDAQ", 1_821),
        ("KOSPI", 942),
    ]
    assert world.rows(
        "SELECT count(*) FROM stocks.sectors WHERE level = 2 AND parent_id = 'KOSDAQ'"
    ) == [(4,)]


def test_a_suspended_stock_keeps_its_close_and_letters_and_large_volumes_come_through(
    world: World,
) -> None:
    world.make(DAY_BEFORE, DAY)

    ((suspended, without_range, closes),) = world.rows(
        "SELECT count(*), count(*) FILTER (WHERE open IS NULL AND high IS NULL AND low IS NULL),"
        " count(*) FILTER (WHERE close > 0) FROM stocks.daily_prices WHERE is_suspended"
    )
    assert suspended > 50
    assert suspended == without_range == closes
    assert world.rows(
        "SELECT count(*) FROM stocks.daily_prices AS now JOIN stocks.daily_prices AS before"
        " ON before.ticker = now.ticker AND before.date = %s AND now.date = %s"
        " WHERE now.is_suspended AND now.close <> before.close",
        DAY_BEFORE,
        DAY,
    ) == [(0,)]
    assert world.rows("SELECT count(*) FROM stocks.daily_prices WHERE ticker ~ '[A-Z]'") == [(2,)]
    ((largest,),) = world.rows("SELECT max(volume) FROM stocks.daily_prices")
    assert largest > 2**31


def test_a_rerun_touches_no_row_and_a_correction_only_those_that_differ(world: World) -> None:
    world.make()
    before = world.written_rows()

    again = world.make()

    assert again.is_success
    assert world.written_rows() == before
    noted = "SELECT table_name, partition FROM operations.overwritten_partitions"
    assert world.rows(noted) == [("stocks.daily_prices", {"date": "2018-05-03"})]
    metadata = again.metadata()
    assert [metadata[f"rows_{what}"] for what in ("inserted", "changed", "removed")] == [0, 0, 0]

    def corrected(path: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        if path != "ksq_bydd_trd":
            return rows
        first, second, _gone, *others = rows
        new = first | {"ISU_CD": "899980"}
        return [first | {"ACC_TRDVOL": "12345"}, second | {"ISU_NM": "새 이름"}, new, *others]

    world.krx.amend = corrected  # type: ignore[assignment]
    corrected_run = world.make().metadata()
    after = world.written_rows()
    assert [corrected_run[f"rows_{what}"] for what in ("inserted", "changed", "removed")] == [
        1,
        1,
        1,
    ]
    assert len(set(after) - set(before)) == 1
    assert len(set(before) - set(after)) == 1
    assert sum(after[key] != before[key] for key in set(after) & set(before)) == 1


def test_a_closed_day_has_no_rows_and_says_why(world: World) -> None:
    made = world.make(HOLIDAY)

    assert made.is_success
    assert made.metadata()["dagster/row_count"] == 0
    assert "Alternative holiday for Children's Day" in made.metadata()["note"]
    assert world.rows("SELECT date, reason FROM stocks.price_days") == [
        (HOLIDAY, "Alternative holiday for Children's Day")
    ]
    assert not world.krx.switches.calls


def test_a_range_is_one_run_and_the_same_rows_as_its_days(world: World) -> None:
    first, last = date(2018, 4, 30), date(2018, 5, 9)
    made = world.make(first, last)

    assert made.is_success
    assert all(made.checks.values()), made.checks
    assert len(made.materializations()) == 10
    trading = [date(2018, 4, 30), DAY_BEFORE, DAY, SPLIT_DAY, date(2018, 5, 8), date(2018, 5, 9)]
    assert world.rows("SELECT date, count(*) FROM stocks.daily_prices GROUP BY 1 ORDER BY 1") == [
        (day, ROWS) for day in trading
    ]
    before = world.written_rows()
    actions = world.rows("SELECT * FROM stocks.corporate_actions ORDER BY ticker, date")
    for day in (SPLIT_DAY, DAY):
        assert world.make(day).is_success
    assert world.written_rows() == before
    assert world.rows("SELECT * FROM stocks.corporate_actions ORDER BY ticker, date") == actions


def test_a_split_is_found_whatever_the_order_and_old_prices_are_adjusted(world: World) -> None:
    for day in (SPLIT_DAY, DAY):  # the day before comes later
        assert world.make(day).is_success

    ((ticker, kind, factor, before, after),) = world.rows(
        "SELECT ticker, kind, factor, shares_before, shares_after FROM stocks.corporate_actions"
        " WHERE ticker = '600000'"
    )
    assert (kind, after) == ("split", before * 50)
    assert abs(factor * 50 - 1) < 0.001
    closes = world.rows(
        "SELECT date, close::float8 FROM stocks.adjusted_prices WHERE ticker = %s ORDER BY date",
        ticker,
    )
    raw = dict(world.rows("SELECT date, close FROM stocks.daily_prices WHERE ticker = %s", ticker))
    assert closes == [(DAY, round(raw[DAY] * factor, 2)), (SPLIT_DAY, float(raw[SPLIT_DAY]))]


def test_the_portal_serves_the_same_rows_and_its_key_reaches_nothing(world: World) -> None:
    world.make()
    by_the_exchange = world.rows("SELECT * FROM stocks.daily_prices ORDER BY ticker")
    world.variables["KRX_AUTH_KEY"] = None
    world.make()

    by_the_portal = world.rows("SELECT * FROM stocks.daily_prices ORDER BY ticker")
    assert [row[:-2] for row in by_the_portal] == [row[:-2] for row in by_the_exchange]
    assert {row[-2] for row in by_the_portal} == {"PUBLIC_DATA"}

    world.public_data.switches.by_path["get"] = "reset"  # type: ignore[assignment]
    failed = world.make()
    assert not failed.is_success
    assert "canary" not in failed.everything_recorded()
    assert PUBLIC_KEY not in failed.everything_recorded()


def test_a_range_that_is_tried_again_does_not_ask_again_for_what_it_has_written(
    world: World,
) -> None:
    def hold(days: Sequence[str]) -> AbstractContextManager[None]:
        return world.db.hold_all("stocks/daily_prices", days, holder="test")

    def land() -> PricesOutcome:
        with (
            closing(krx_client(world.settings)) as krx,
            closing(public_data_client(world.settings)) as public_data,
        ):
            return land_prices(
                [DAY_BEFORE, DAY, SPLIT_DAY],
                sources=MarketSources(krx, public_data),
                db=world.db,
                hold=hold,
                options=WritingOptions("run 1", is_made_up=True),
            )

    world.krx.amend = lambda _path, rows: [] if rows[0]["BAS_DD"] == "20180504" else rows
    world.variables["PUBLIC_DATA_SERVICE_KEY"] = None
    assert [waiting.date for waiting in land().waiting] == [SPLIT_DAY]
    world.krx.switches.calls.clear()
    world.krx.amend = lambda _path, rows: rows
    assert land().rows == 3 * ROWS
    assert {day for _, day in world.krx.switches.calls} == {"20180504"}

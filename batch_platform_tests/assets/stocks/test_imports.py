"""Prices that the old updater had collected are taken over: the exchange is not asked for them."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from batch_platform.domains.stocks.market.importing import SYSTEM, PriceImport
from batch_platform.gateways.import_book import ImportBook, ImportPlan
from batch_platform.sandbox.made_up_market import market_day
from batch_platform.sandbox.old_exports import (
    PRICES_HEADER,
    write_csv,
    write_old_prices,
    write_old_stocks,
)
from batch_platform_tests import old_work
from batch_platform_tests.assets.stocks.conftest import DAY, DAY_BEFORE, NOW, ROWS, SPLIT_DAY, World


def old_rows(day: date) -> list[dict[str, Any]]:
    """A day as the old updater's table held it."""
    made = market_day(day)
    assert made is not None
    return [
        {
            "ticker": stock.ticker,
            "date": day,
            "open": int(made.open[at]),
            "high": int(made.high[at]),
            "low": int(made.low[at]),
            "close": int(made.close[at]),
            "volume": int(made.volume[at]),
            "trading_value": int(made.value[at]),
            "market_cap": int(made.market_cap[at]),
            "shares_outstanding": int(made.shares[at]),
            "change_amount": int(made.change[at]),
            "change_rate": f"{made.change_rate[at]:.2f}",
        }
        for at, stock in enumerate(made.stocks)
    ]


def write_stocks(folder: Path, day: date) -> Path:
    made = market_day(day)
    assert made is not None
    markets = {stock.ticker: stock.market for stock in made.stocks}
    return write_old_stocks(folder / "stocks.csv", markets, encoding="cp949")


@pytest.fixture
def export(tmp_path: Path) -> Sequence[Path]:
    """The day before and the day of a split, in one file, and the stocks in another."""
    rows = [*old_rows(DAY), *old_rows(SPLIT_DAY)]
    prices = write_old_prices(tmp_path / "daily_prices.csv", rows)
    return [prices, write_stocks(tmp_path, DAY)]


def bring_in(world: World, files: Sequence[Path]) -> ImportPlan:
    importer = PriceImport(files, db=world.db, settings=world.settings, clock=lambda: NOW)
    return old_work.bring_in(SYSTEM, importer, db=world.db, instance=world.instance)


def test_imported_days_are_not_asked_for_and_the_day_before_them_is_once(
    world: World, export: Sequence[Path]
) -> None:
    plan = bring_in(world, export)
    assert plan.bad_rows == []
    assert [each.items for each in plan.partitions] == [ROWS, ROWS]
    assert old_work.made_partitions(world.instance, "stocks/daily_prices") == {
        DAY.isoformat(),
        SPLIT_DAY.isoformat(),
    }
    # What the exchange would have given, to the won, with the split that the two days show.
    assert world.rows(
        "SELECT kind, count(*) FROM stocks.corporate_actions WHERE date = %s GROUP BY 1"
        " HAVING kind = 'split'",
        SPLIT_DAY,
    )
    brought = world.rows(
        "SELECT date, ticker, market, open, high, low, close, volume, trading_value, market_cap,"
        " shares_outstanding, change_amount, change_rate, is_suspended FROM stocks.daily_prices"
        " ORDER BY 1, 2"
    )

    made = world.make(DAY_BEFORE, SPLIT_DAY)
    assert made.is_success
    assert all(made.checks.values()), made.checks
    assert made.materializations()[DAY.isoformat()]["imported_days"] == 2
    assert sorted(world.krx.switches.calls) == [
        ("ksq_bydd_trd", f"{DAY_BEFORE:%Y%m%d}"),
        ("stk_bydd_trd", f"{DAY_BEFORE:%Y%m%d}"),
    ]
    # Once more by hand, a single day: still nobody is asked, and the rows stand.
    written = world.written_rows()
    assert world.make(DAY).is_success
    assert len(world.krx.switches.calls) == 2
    assert world.written_rows() == written

    # Whoever wants the exchange's own rows says so; they are the same.
    made = world.make(DAY, SPLIT_DAY, replaces_imported=True)
    assert made.is_success
    assert len(world.krx.switches.calls) == 6
    fetched = world.rows(
        "SELECT date, ticker, market, open, high, low, close, volume, trading_value, market_cap,"
        " shares_outstanding, change_amount, change_rate, is_suspended FROM stocks.daily_prices"
        " WHERE date >= %s ORDER BY 1, 2",
        DAY,
    )
    assert fetched == brought
    assert world.rows("SELECT count(*) FROM stocks.price_days WHERE import_id IS NOT NULL") == [
        (0,)
    ]


def test_twice_is_the_same_and_undoing_it_leaves_what_the_exchange_gave(
    world: World, export: Sequence[Path]
) -> None:
    bring_in(world, export)
    written = world.written_rows()
    assert [each.items for each in bring_in(world, export).partitions] == [0, 0]
    assert world.written_rows() == written
    assert world.make(SPLIT_DAY, replaces_imported=True).is_success
    (record,) = ImportBook(world.db).imports()
    removed = old_work.take_back(
        record, db=world.db, settings=world.settings, instance=world.instance
    )
    assert removed == ROWS
    assert (world.count(DAY), world.count(SPLIT_DAY)) == (0, ROWS)
    assert old_work.made_partitions(world.instance, "stocks/daily_prices") == {
        SPLIT_DAY.isoformat()
    }


def test_bad_rows_are_told_and_a_day_with_too_few_stocks_is_left_to_the_exchange(
    world: World, tmp_path: Path
) -> None:
    whole, few = old_rows(DAY), old_rows(SPLIT_DAY)[: ROWS * 9 // 10]
    path = write_old_prices(tmp_path / "prices.csv", [*whole, *few])
    stocks = write_stocks(tmp_path, DAY)
    importer = PriceImport([path, stocks], db=world.db, settings=world.settings, clock=lambda: NOW)
    plan = importer.plan()
    assert [each.partition for each in plan.partitions] == [DAY.isoformat()]
    assert list(plan.undone.values()) == [len(few)]

    good = [whole[0][name] for name in PRICES_HEADER]

    def changed(**values: object) -> list[object]:
        return [{**whole[0], **values}[name] for name in PRICES_HEADER]

    rows = [
        good,
        changed(volume=-2147483648),
        changed(close=""),
        changed(date="2018-02-30"),
        changed(ticker="ZZZZZZ"),
        ["짧은", "줄"],
        changed(close=0),
        good,
    ]
    path = write_csv(tmp_path / "bad.csv", PRICES_HEADER, rows, encoding="cp949")
    plan = bring_in(world, [path, stocks])
    assert sorted((row.place, row.problem) for row in plan.bad_rows) == [
        ("bad.csv:3", "volume이(가) 0보다 작습니다"),
        ("bad.csv:4", "close이(가) 숫자가 아니거나 비어 있습니다"),
        ("bad.csv:5", "date가 날짜가 아닙니다"),
        ("bad.csv:6", "종목표(stocks)에 없는 종목입니다"),
        ("bad.csv:7", "칸이 12개여야 하는데 2개입니다"),
        ("bad.csv:8", "close이(가) 0 이하입니다"),
        ("bad.csv:9", f"{whole[0]['ticker']}이(가) 그날 두 번 있습니다"),
    ]
    assert world.count(DAY) == 0

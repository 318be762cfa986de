"""The market's commands, as typed: a day, a closing, what is there, and what is not published."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from batch_platform.cli.stocks import app
from batch_platform.core.errors import PermanentError
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.sandbox import krx_server
from batch_platform.sandbox.krx_server import KrxServer
from batch_platform.sandbox.loopback import LOOPBACK, loopback_socket, serving_in_a_thread
from batch_platform.sandbox.market_faults import MarketFault
from batch_platform_tests.integration.cli.conftest import Installation

pytestmark = pytest.mark.xdist_group("cli stocks")

DAY = "2018-05-03"


@pytest.fixture(scope="module")
def exchange(installation: Installation) -> Iterator[KrxServer]:
    server, bound = KrxServer("canary-key"), loopback_socket()
    installation.variables["KRX_AUTH_KEY"] = "canary-key"
    url = f"http://{LOOPBACK}:{bound.getsockname()[1]}"
    installation.variables["KRX_BASE_URL"] = url + krx_server.PREFIX
    with serving_in_a_thread(server.application, bound):
        yield server


def test_a_day_is_fetched_and_one_market_of_it_shown(
    installation: Installation, exchange: KrxServer
) -> None:
    done = installation.run("stocks", "prices", "--date", DAY, "--market", "KOSDAQ")

    assert done.code == 0, done
    assert "두 시장을 함께" in done.err
    assert "새 행 2,763 · 바뀐 행 0 · 지운 행 0" in done.out
    assert "KOSPI" not in done.out
    assert "canary" not in done.out + done.err
    stored = installation.db.fetch_all(
        "SELECT market, count(*) FROM stocks.daily_prices GROUP BY 1"
    )
    assert dict(stored) == {"KOSPI": 942, "KOSDAQ": 1_821}


def test_a_day_that_is_not_published_says_so_and_ends_with_3(
    installation: Installation, exchange: KrxServer
) -> None:
    exchange.switches.by_path["s"] = MarketFault.EMPTY
    waiting = installation.run("stocks", "prices", "--date", "2018-05-04")
    exchange.switches.by_path.clear()

    assert waiting.code == 3, waiting
    assert "아직 공개되지 않았습니다 (KRX has not published it)" in waiting.err


@pytest.fixture
def here(platform_db: PlatformDb, monkeypatch: pytest.MonkeyPatch) -> PlatformDb:
    """A platform for commands that run in this process."""
    monkeypatch.setenv("PLATFORM_DATABASE_URL", platform_db.url)
    return platform_db


def test_a_closing_that_the_calendar_does_not_know_is_no_gap(here: PlatformDb) -> None:
    with here.connect("test") as connection:
        connection.execute(
            "INSERT INTO stocks.price_days"
            " (date, kospi_rows, kosdaq_rows, source, run_id, is_made_up)"
            " VALUES (%s, 942, 1821, 'KRX', 'run', false)",
            [DAY],
        )
    run = CliRunner().invoke
    range_ = ["coverage", "--start", DAY, "--end", "2018-05-07"]
    gap = run(app, range_)
    assert (gap.exit_code, "2018-05-04" in gap.output) == (1, True)

    assert run(app, ["holidays", "add", "2018-05-04", "임시 휴장"]).exit_code == 0
    assert run(app, range_).exit_code == 0
    listed = run(app, ["holidays", "list", "--year", "2018"]).output
    assert "임시 휴장" in listed
    assert "Children's Day" in listed
    assert run(app, ["holidays", "remove", "2018-05-04"]).exit_code == 0
    again = run(app, ["holidays", "remove", "2018-05-04"])
    assert "There is no override for 2018-05-04" in str(again.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prices", "--date", "2999-01-01"], "is not over yet"),
        (["prices", "--date", "1999-01-04"], "STOCKS_FIRST_DAY"),
        (["report", "--month", "2018-13"], "is not a month"),
        (["holidays", "add", "tomorrow", "휴장"], "is not a date"),
    ],
)
def test_bad_input_is_told_in_one_sentence(arguments: list[str], words: str) -> None:
    failure = CliRunner().invoke(app, arguments).exception
    assert isinstance(failure, PermanentError)
    assert words in str(failure)

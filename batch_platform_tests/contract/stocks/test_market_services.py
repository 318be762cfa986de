"""Both clients against both stand-ins, over HTTP: the documented shapes, odd ones among them.

The real services need keys and cannot be reached from a test: these shapes are from their
documentation.
"""

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from pydantic import SecretStr

from batch_platform.core.errors import ConfigurationError
from batch_platform.gateways.krx import KrxClient
from batch_platform.gateways.public_data import PublicDataClient
from batch_platform.sandbox import krx_server, public_data_server
from batch_platform.sandbox.krx_server import KrxServer
from batch_platform.sandbox.loopback import LOOPBACK, loopback_socket, serving_in_a_thread
from batch_platform.sandbox.public_data_server import PublicDataServer

DAY = date(2018, 5, 3)
SATURDAY = date(2018, 5, 5)
PLAIN_KEY = "canary+key/with=signs=="
ENCODED_KEY = "canary%2Bkey%2Fwith%3Dsigns%3D%3D"

Services = tuple[KrxServer, KrxClient, PublicDataServer, PublicDataClient]


@pytest.fixture
def services() -> Iterator[Services]:
    krx, public = KrxServer("canary-krx"), PublicDataServer(PLAIN_KEY)
    sockets = [loopback_socket() for _ in range(2)]
    urls = [f"http://{LOOPBACK}:{bound.getsockname()[1]}" for bound in sockets]
    krx_client = KrxClient(urls[0] + krx_server.PREFIX, SecretStr("canary-krx"))
    public_client = PublicDataClient(urls[1] + public_data_server.PREFIX, SecretStr(ENCODED_KEY))
    with (
        serving_in_a_thread(krx.application, sockets[0]),
        serving_in_a_thread(public.application, sockets[1]),
    ):
        yield krx, krx_client, public, public_client
        krx_client.close()
        public_client.close()


def test_both_services_give_the_same_rows(services: Services) -> None:
    _, krx, server, public = services
    theirs, portals = krx.prices(DAY), public.prices(DAY)

    assert theirs.num_rows == 2_763
    assert theirs.drop(["source"]).equals(portals.drop(["source"]))
    assert len(server.switches.calls) == 3  # pages of a thousand
    known = ["ticker", "isin", "name", "market", "shares_outstanding"]
    assert krx.listings(DAY).select(known).equals(public.listings(DAY).select(known))


def test_a_closed_day_is_empty(services: Services) -> None:
    _, krx, _, public = services
    for table in (krx.prices(SATURDAY), krx.listings(SATURDAY), public.prices(SATURDAY)):
        assert table.num_rows == 0


def test_a_single_row_comes_as_an_object(services: Services) -> None:
    _, _, server, public = services
    server.amend = lambda rows: rows[:1]
    assert public.prices(DAY).column("ticker").to_pylist() == ["600000"]


def test_numbers_with_commas_blanks_and_words_where_there_is_none(services: Services) -> None:
    server, krx, _, _ = services
    changes = {
        "PARVAL": "무액면",
        "LIST_SHRS": " 1,234,567 ",
        "LIST_DD": "2018/05/02",
        "ISU_ENG_NM": "-",
    }
    server.amend = lambda _path, rows: [rows[0] | changes]
    row: dict[str, Any] = krx.listings(DAY).to_pylist()[0]
    assert (row["par_value_krw"], row["shares_outstanding"]) == (None, 1_234_567)
    assert (row["listing_date"], row["name_en"]) == (date(2018, 5, 2), None)


def test_no_key_reaches_a_log(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    _, krx, _, public = services
    with caplog.at_level(logging.DEBUG):
        krx.prices(DAY)
        public.prices(DAY)
    assert "getStockPriceInfo" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("client", [KrxClient, PublicDataClient])
def test_a_client_without_a_key_says_which_variable_is_missing(
    client: type[KrxClient | PublicDataClient],
) -> None:
    without = client("http://localhost/", None)
    assert not without.is_configured
    with pytest.raises(ConfigurationError, match="is not set"):
        without.prices(DAY)
    without.close()

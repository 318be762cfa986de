"""The client of OpenDART against a server of its shapes: each status, each way to break off."""

import io
import logging
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
    UnavailableUntilError,
)
from batch_platform.gateways.opendart import MOST_COMPANIES, Basis, OpenDart, ReportCode
from batch_platform.sandbox.market_faults import MarketFault
from batch_platform.sandbox.opendart_server import OpenDartServer
from batch_platform_tests.assets.stocks.financial_world import KEY, running_office

NOW = datetime(2016, 12, 20, 14, 59, tzinfo=UTC)
"""One minute before midnight in Seoul."""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[OpenDartServer, str]]:
    with running_office() as office:
        yield office


@pytest.fixture
def office(served: tuple[OpenDartServer, str]) -> OpenDartServer:
    office, _ = served
    office.statuses.clear()
    office.switches.by_path.clear()
    office.switches.calls.clear()
    return office


@pytest.fixture
def dart(served: tuple[OpenDartServer, str], office: OpenDartServer) -> Iterator[OpenDart]:
    with OpenDart(served[1], SecretStr(KEY), clock=lambda: NOW) as client:
        yield client


def asks(dart: OpenDart) -> list[object]:
    return list(dart.main_accounts(["00000001"], 2016, ReportCode.THIRD_QUARTER))


def test_the_directory_holds_the_listed_companies_only(dart: OpenDart) -> None:
    found = dart.corporations()
    assert len(found) == 60
    assert all(len(each.corp_code) == 8 and len(each.ticker) == 6 for each in found)
    assert found[0].modify_date < date(2015, 1, 1)


def test_a_hundred_companies_a_call_with_texts_as_they_come(dart: OpenDart) -> None:
    codes = [each.corp_code for each in dart.corporations()]
    rows = dart.main_accounts(codes, 2016, ReportCode.THIRD_QUARTER)
    assert {row["corp_code"] for row in rows} < set(codes), "some company files nothing"
    revenue = next(row for row in rows if row["account_nm"] == "매출액")
    assert "," in revenue["thstrm_amount"]
    assert revenue["thstrm_dt"] == "2016.01.01 ~ 2016.09.30"
    assert {row["fs_div"] for row in rows} == {"CFS", "OFS"}


def test_one_companys_full_list_has_its_cash_flow(dart: OpenDart) -> None:
    code = dart.corporations()[0].corp_code
    rows = dart.all_accounts(code, 2015, ReportCode.ANNUAL, Basis.SEPARATE)
    assert {"BS", "IS", "CF", "SCE"} == {row["sj_div"] for row in rows}


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("010", ConfigurationError, "does not know OPENDART_API_KEY"),
        ("011", ConfigurationError, "locked"),
        ("012", ConfigurationError, "machine's address"),
        ("014", PermanentError, "no such file"),
        ("020", UnavailableUntilError, "used up"),
        ("021", PermanentError, "at most 100 companies"),
        ("100", PermanentError, "a field of our request invalid"),
        ("101", PermanentError, "improper"),
        ("800", UnavailableUntilError, "maintenance"),
        ("900", RetryableError, "status 900"),
        ("901", ConfigurationError, "expire"),
        ("777", RetryableError, "status 777"),
    ],
)
@pytest.mark.parametrize("is_directory", [False, True])
def test_each_status_is_the_error_it_means(
    dart: OpenDart,
    office: OpenDartServer,
    status: str,
    error: type[PlatformError],
    words: str,
    is_directory: bool,
) -> None:
    office.statuses.append(status)
    with pytest.raises(error, match=words) as caught:
        dart.corporations() if is_directory else asks(dart)
    assert type(caught.value) is error
    assert len(office.switches.calls) == 1, "nothing is tried again here"


def test_no_data_is_an_empty_answer(dart: OpenDart, office: OpenDartServer) -> None:
    office.statuses.append("013")
    assert asks(dart) == []
    assert asks(dart) == [], "a company that nobody knows"


@pytest.mark.parametrize("status", ["020", "800"])
def test_a_closed_office_says_from_when_on_to_try_again(
    dart: OpenDart, office: OpenDartServer, status: str
) -> None:
    office.statuses.append(status)
    with pytest.raises(UnavailableUntilError) as caught:
        asks(dart)
    assert caught.value.retry_at == datetime(2016, 12, 21, tzinfo=ZoneInfo("Asia/Seoul"))
    assert "from 2016-12-21 00:00 KST on" in str(caught.value)


def test_more_than_a_hundred_companies_are_refused_by_the_office(dart: OpenDart) -> None:
    with pytest.raises(PermanentError, match="status 021"):
        dart.main_accounts(["00000001"] * (MOST_COMPANIES + 1), 2016, ReportCode.ANNUAL)


@pytest.mark.parametrize(
    "fault",
    [
        MarketFault.TRUNCATED,
        MarketFault.SHORT_BODY,
        MarketFault.HTML,
        MarketFault.SERVER_ERROR,
        MarketFault.RESET,
    ],
)
@pytest.mark.parametrize("is_directory", [False, True])
def test_an_answer_that_breaks_off_may_be_tried_again(
    dart: OpenDart, office: OpenDartServer, fault: MarketFault, is_directory: bool
) -> None:
    codes = [each.corp_code for each in dart.corporations()]
    office.switches.by_path["corpCode" if is_directory else "fnltt"] = fault
    with pytest.raises(RetryableError, match="OpenDART"):
        _ = (
            dart.corporations()
            if is_directory
            else dart.main_accounts(codes, 2016, ReportCode.THIRD_QUARTER)
        )


def test_nobody_there_may_be_tried_again() -> None:
    with (
        OpenDart("http://127.0.0.1:9/api/", SecretStr(KEY), clock=lambda: NOW) as dart,
        pytest.raises(RetryableError, match="OPENDART_BASE_URL"),
    ):
        dart.corporations()


def test_a_damaged_directory_may_be_tried_again(
    dart: OpenDart, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("CORPCODE.xml", "<result><list><corp_code>00126380</corp_code>")
    monkeypatch.setattr(
        "batch_platform.sandbox.opendart_server._directory", lambda *_: content.getvalue()
    )
    with pytest.raises(RetryableError, match="damaged"):
        dart.corporations()


def test_the_key_reaches_the_office_and_nothing_else(
    served: tuple[OpenDartServer, str],
    dart: OpenDart,
    office: OpenDartServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    dart.corporations()
    errors: list[PlatformError] = []
    for fault in (MarketFault.RESET, MarketFault.SERVER_ERROR, MarketFault.HTML):
        office.switches.by_path["fnltt"] = fault
        with pytest.raises(PlatformError) as caught:
            asks(dart)
        errors.append(caught.value)
    with (
        OpenDart(served[1], SecretStr("wrong-" + KEY), clock=lambda: NOW) as stranger,
        pytest.raises(ConfigurationError) as refused,
    ):
        stranger.corporations()
    errors.append(refused.value)
    assert "corpCode.xml" in caplog.text, "requests are logged"
    assert KEY not in caplog.text
    for error in errors:
        assert error.__cause__ is None
        assert KEY not in f"{error} {error!r}"


def test_calls_keep_their_distance(
    served: tuple[OpenDartServer, str], office: OpenDartServer
) -> None:
    waits: list[float] = []
    with OpenDart(
        served[1],
        SecretStr(KEY),
        clock=lambda: NOW,
        seconds_between_calls=30,
        sleep=waits.append,
    ) as dart:
        asks(dart)
        asks(dart)
    assert len(office.switches.calls) == 2
    assert len(waits) == 1
    assert 25 < waits[0] <= 30

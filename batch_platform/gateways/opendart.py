"""OpenDART, the financial supervisor's disclosure interface: a typed client of what we use.

What comes is handed on as it came: choosing among accounts and reading amounts belongs to the
domain. The key is a parameter of each address there, so it is put in at the last moment, below the
layer that logs requests and words errors.

Source: https://opendart.fss.or.kr/guide/main.do
"""

import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from io import BytesIO
from types import TracebackType
from typing import Any, Self, cast
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import httpx
from pydantic import SecretStr

from batch_platform.core.days import Clock
from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    RetryableError,
    UnavailableUntilError,
)

MOST_COMPANIES = 100
"""Companies that one call for main accounts may name."""

Row = Mapping[str, str]
"""A line of a statement as it came: every value is a text."""

_OFFICE_ZONE = ZoneInfo("Asia/Seoul")
"""In which the office's day, and with it the quota, begins; not the platform's zone."""

_LARGEST_DIRECTORY_BYTES = 512 * 1024 * 1024
_KEY_PARAMETER = "crtfc_key"
_OK, _NO_DATA = "000", "013"
_KEY_REFUSED = {
    "010": "does not know OPENDART_API_KEY",
    "011": "has locked OPENDART_API_KEY",
    "012": "does not serve this machine's address with OPENDART_API_KEY",
    "901": "has let OPENDART_API_KEY expire",
}
_REQUEST_REFUSED = {
    "014": "has no such file",
    "021": f"takes at most {MOST_COMPANIES} companies a call",
    "100": "calls a field of our request invalid",
    "101": "calls our request improper",
}
_HTTP_OK = 200
_HTTP_TOO_MANY_REQUESTS = 429
_HTTP_SERVER_ERROR = 500


class ReportCode(StrEnum):
    """Kinds of periodic reports, by the codes that OpenDART gives them."""

    FIRST_QUARTER = "11013"
    HALF_YEAR = "11012"
    THIRD_QUARTER = "11014"
    ANNUAL = "11011"


class Basis(StrEnum):
    """Whose figures a statement holds."""

    CONSOLIDATED = "CFS"
    SEPARATE = "OFS"


@dataclass(frozen=True, slots=True)
class Corporation:
    """A listed company in the office's directory.

    Attributes:
        corp_code: Eight digits.
        ticker: Six characters; unlisted companies, which have none, are left out.
        modify_date: When the office changed the entry last.
    """

    corp_code: str
    corp_name: str
    ticker: str
    modify_date: date


class OpenDart:
    """A client of OpenDART; a context manager. Asks each thing once: retrying is the run's.

    Args:
        base_url: Address that the interface's names are put behind.
        key: The organisation's key.
        clock: For the date from which a refused call is worth trying again.
        seconds_between_calls: Least time from one call to the next.
        sleep: Waits a number of seconds.
    """

    def __init__(
        self,
        base_url: str,
        key: SecretStr,
        *,
        clock: Clock,
        seconds_between_calls: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.calls = 0
        self._clock = clock
        self._pause = seconds_between_calls
        self._sleep = sleep
        self._last_call: float | None = None
        self._client = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            transport=_WithKey(key),
            timeout=httpx.Timeout(60.0, connect=10.0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def corporations(self) -> list[Corporation]:
        """The listed companies of the office's directory, by ticker.

        Raises:
            ConfigurationError: The key is not accepted.
            UnavailableUntilError: The day's calls are used up, or the office is closed.
            RetryableError: The office does not answer, or not completely.
        """
        content = self._get("corpCode.xml", {}).content
        if not content.startswith(b"PK"):
            self._require_ok(_status_of_refusal(content))
            raise RetryableError("OpenDART sent no file of companies", "Run again later")
        return sorted(_listed(content), key=lambda each: each.ticker)

    def main_accounts(self, corp_codes: Sequence[str], year: int, report: ReportCode) -> list[Row]:
        """Main accounts of up to 100 companies, both bases; companies without a report are absent.

        Raises:
            As `corporations`.
        """
        return self._rows(
            "fnlttMultiAcnt.json",
            {
                "corp_code": ",".join(corp_codes),
                "bsns_year": str(year),
                "reprt_code": report.value,
            },
        )

    def all_accounts(
        self, corp_code: str, year: int, report: ReportCode, basis: Basis
    ) -> list[Row]:
        """Every account of one company's report, cash flow among them; empty without a report.

        Raises:
            As `corporations`.
        """
        return self._rows(
            "fnlttSinglAcntAll.json",
            {
                "corp_code": corp_code,
                "bsns_year": str(year),
                "reprt_code": report.value,
                "fs_div": basis.value,
            },
        )

    def _rows(self, name: str, parameters: Mapping[str, str]) -> list[Row]:
        response = self._get(name, parameters)
        try:
            answer = cast(object, json.loads(response.content))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RetryableError(
                f"OpenDART's answer to {name} is cut off or no JSON", "Run again later"
            )
        body = cast(dict[str, Any], answer)
        status = str(body.get("status", ""))
        if status == _NO_DATA:
            return []
        self._require_ok(status)
        rows = body.get("list")
        if not isinstance(rows, list):
            raise RetryableError(
                f"OpenDART's answer to {name} says all is well but has no list", "Run again later"
            )
        return cast(list[Row], rows)

    def _get(self, name: str, parameters: Mapping[str, str]) -> httpx.Response:
        self._wait_for_turn()
        self.calls += 1
        try:
            response = self._client.get(name, params=dict(parameters))
        except httpx.TransportError as error:
            # Not chained with its request: what is below the transport knows the key.
            raise RetryableError(
                f"OpenDART did not answer {name} ({type(error).__name__})",
                "Check the network and OPENDART_BASE_URL",
            ) from None
        if response.status_code == _HTTP_OK:
            return response
        problem = f"OpenDART answered {name} with HTTP {response.status_code}"
        is_theirs = response.status_code >= _HTTP_SERVER_ERROR
        if response.status_code == _HTTP_TOO_MANY_REQUESTS or is_theirs:
            raise RetryableError(problem, "Run again later", _retry_after(response))
        raise PermanentError(problem, "Check OPENDART_BASE_URL")

    def _wait_for_turn(self) -> None:
        if self._last_call is not None:
            left = self._last_call + self._pause - time.monotonic()
            if left > 0:
                self._sleep(left)
        self._last_call = time.monotonic()

    def _require_ok(self, status: str) -> None:
        """Raise what a status of the interface means; its own words are not quoted."""
        if status == _OK:
            return
        said = f"(status {status})"
        if status in _KEY_REFUSED:
            raise ConfigurationError(
                f"OpenDART {_KEY_REFUSED[status]} {said}",
                "See the key's page at opendart.fss.or.kr",
            )
        if status == "020":
            raise UnavailableUntilError(
                f"OpenDART's number of calls a day is used up {said}", self._next_day()
            )
        if status == "800":
            raise UnavailableUntilError(
                f"OpenDART is closed for maintenance {said}", self._next_day()
            )
        if status in _REQUEST_REFUSED:
            raise PermanentError(
                f"OpenDART {_REQUEST_REFUSED[status]} {said}",
                "The interface may have changed: compare with its guide",
            )
        raise RetryableError(f"OpenDART failed with an error of its own {said}", "Run again later")

    def _next_day(self) -> datetime:
        tomorrow = self._clock().astimezone(_OFFICE_ZONE).date() + timedelta(days=1)
        return datetime.combine(tomorrow, datetime.min.time(), _OFFICE_ZONE)


class _WithKey(httpx.BaseTransport):
    """Puts the key into a request that is on its way, where httpx neither logs nor quotes it."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key
        self._below = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        keyed = httpx.Request(
            request.method,
            request.url.copy_merge_params({_KEY_PARAMETER: self._key.get_secret_value()}),
            headers=request.headers,
            extensions=request.extensions,
        )
        return self._below.handle_request(keyed)

    def close(self) -> None:
        self._below.close()


def _retry_after(response: httpx.Response) -> float | None:
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else None


def _status_of_refusal(content: bytes) -> str:
    """The status of an answer that should have been a file: XML, or JSON."""
    try:
        if content.lstrip().startswith(b"{"):
            return str(cast(dict[str, Any], json.loads(content)).get("status", ""))
        # The office's own words, a few hundred bytes; expat bounds what entities may grow to.
        return ElementTree.fromstring(content).findtext("status", "")  # noqa: S314
    except (ValueError, ElementTree.ParseError):
        return ""


def _listed(content: bytes) -> Iterator[Corporation]:
    """Yield the companies with a stock code from the zipped directory.

    It lists every company that ever reported, over a hundred thousand: read piece by piece.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            (entry,) = archive.infolist()
            if entry.file_size > _LARGEST_DIRECTORY_BYTES:
                raise PermanentError(
                    "OpenDART's file of companies is larger than any before", "Look at it by hand"
                )
            with archive.open(entry) as file:
                for _, element in ElementTree.iterparse(file):  # noqa: S314 - as above
                    if element.tag == "list":
                        if ticker := element.findtext("stock_code", "").strip():
                            yield _corporation(element, ticker)
                        element.clear()
    except (zipfile.BadZipFile, EOFError, ElementTree.ParseError, ValueError) as error:
        raise RetryableError(
            f"OpenDART's file of companies is cut off or damaged ({type(error).__name__})",
            "Run again later",
        ) from None


def _corporation(element: ElementTree.Element, ticker: str) -> Corporation:
    return Corporation(
        corp_code=element.findtext("corp_code", "").strip(),
        corp_name=element.findtext("corp_name", "").strip(),
        ticker=ticker,
        modify_date=date.fromisoformat(element.findtext("modify_date", "").strip()),
    )

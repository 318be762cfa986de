"""data.go.kr's daily prices (Financial Services Commission): asked when the exchange cannot serve.

Published from 13:00 on the next working day. The key goes in the address, where alone the service
takes it: it is put there after everything that logs or tells an address. Nothing is retried here.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

import httpx
import pyarrow as pa
from pydantic import SecretStr

from batch_platform.core.errors import (
    ConfigurationError,
    PermanentError,
    PlatformError,
    RetryableError,
)
from batch_platform.gateways.market_rows import (
    LISTING_SCHEMA,
    MARKETS,
    PRICE_SCHEMA,
    AnswerOf,
    listing_rows,
    price_rows,
)

SERVICE = "data.go.kr"
_PATH = "GetStockSecuritiesInfoService/getStockPriceInfo"
_ROWS_A_PAGE = 1_000
_PRICE_FIELDS = {
    "date": "basDt",
    "ticker": "srtnCd",
    "close": "clpr",
    "change_amount": "vs",
    "change_rate": "fltRt",
    "open": "mkp",
    "high": "hipr",
    "low": "lopr",
    "volume": "trqu",
    "trading_value": "trPrc",
    "market_cap": "mrktTotAmt",
    "shares_outstanding": "lstgStCnt",
}
_LISTING_FIELDS = {
    "ticker": "srtnCd",
    "isin": "isinCd",
    "name": "itmsNm",
    "shares_outstanding": "lstgStCnt",
}
_OK = "00"
_QUOTA = "22"
_KEY_CODES = frozenset({"20", "30", "31", "32", "33"})
_FOR_NOW_CODES = frozenset({"01", "02", "04", "05", "99"})
_REASON_CODE = re.compile(r"<(?:returnReasonCode|resultCode)>\s*0*(\d+)\s*<")
_TIMEOUT = httpx.Timeout(60, connect=10)

_Item = Mapping[str, object]


class PublicDataClient:
    """The public data portal's stock prices.

    Args:
        base_url: Its address.
        service_key: Given by the portal, in its plain or its percent-encoded form.
        transport: How requests travel; the network by default.
        rows_a_page: Rows to ask for at once.
    """

    def __init__(
        self,
        base_url: str,
        service_key: SecretStr | None,
        *,
        transport: httpx.BaseTransport | None = None,
        rows_a_page: int = _ROWS_A_PAGE,
    ) -> None:
        self.is_configured = service_key is not None
        self._rows_a_page = rows_a_page
        key = unquote(service_key.get_secret_value()) if service_key else ""
        self._http = httpx.Client(
            base_url=base_url,
            timeout=_TIMEOUT,
            transport=_KeyAdding(key, transport or httpx.HTTPTransport()),
        )

    def prices(self, day: date) -> pa.Table:
        """Ask for both markets' day, page by page.

        Returns:
            Rows of `PRICE_SCHEMA`, KOSPI first; none when the day is closed or not published.

        Raises:
            ConfigurationError: No key, or one that is refused.
            RetryableError: The service does not answer, or its answer is cut.
            PermanentError: Today's calls are used up, or the answer cannot be right.
        """
        return self._tables(day, _PRICE_FIELDS, price_rows, PRICE_SCHEMA)

    def listings(self, day: date) -> pa.Table:
        """The stocks that have a price on a day: rows of `LISTING_SCHEMA`, less of each is known.

        Raises:
            PlatformError: As `prices`.
        """
        return self._tables(day, _LISTING_FIELDS, listing_rows, LISTING_SCHEMA)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _tables(
        self,
        day: date,
        fields: Mapping[str, str],
        read: Callable[[Mapping[str, Any], AnswerOf], pa.Table],
        schema: pa.Schema,
    ) -> pa.Table:
        items = list(self._items(day))
        tables = [schema.empty_table()]
        for market in MARKETS:
            own = [item for item in items if item.get("mrktCtg") == market]
            texts: dict[str, Any] = {
                name: pa.chunked_array([pa.array([_text(item.get(field)) for item in own])])
                for name, field in fields.items()
            }
            if own:
                tables.append(read(texts, AnswerOf(SERVICE, "PUBLIC_DATA", day, market)))
        return pa.concat_tables(tables)

    def _items(self, day: date) -> Iterator[_Item]:
        """Yield the rows of every page.

        Raises:
            RetryableError: The pages hold fewer or more rows than the service says there are.
        """
        seen, page = 0, 1
        while True:
            total, items = self._page(day, page)
            yield from items
            seen += len(items)
            if seen == total:
                return
            if seen > total or not items:
                raise RetryableError(
                    f"{SERVICE} gave {seen:,} of {total:,} rows of {day}", "Ask again later"
                )
            page += 1

    def _page(self, day: date, page: int) -> tuple[int, Sequence[_Item]]:
        if not self.is_configured:
            raise ConfigurationError(
                "PUBLIC_DATA_SERVICE_KEY is not set, so data.go.kr cannot be asked",
                "Get a key at data.go.kr (주식시세정보) and set it",
            )
        parameters = {
            "resultType": "json",
            "numOfRows": self._rows_a_page,
            "pageNo": page,
            "basDt": f"{day:%Y%m%d}",
        }
        try:
            response = self._http.get(_PATH, params=parameters)
        except httpx.HTTPError as error:
            raise RetryableError(
                f"{SERVICE} did not answer for {day}: {type(error).__name__}",
                "Check the network and PUBLIC_DATA_BASE_URL",
            ) from None
        body = response.text
        if body.lstrip().startswith("<"):
            raise _refusal(_reason_code(body), response.status_code, day)
        if response.status_code != HTTPStatus.OK:
            raise _refusal(None, response.status_code, day)
        return _read_page(body, day)


class _KeyAdding(httpx.BaseTransport):
    """Adds the key to the address behind httpx's own log, which tells every address."""

    def __init__(self, key: str, inner: httpx.BaseTransport) -> None:
        self._key = key
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_add_param("serviceKey", self._key)
        return self._inner.handle_request(
            httpx.Request(
                request.method,
                url,
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )

    def close(self) -> None:
        self._inner.close()


def _read_page(body: str, day: date) -> tuple[int, Sequence[_Item]]:
    """Rows in all and the rows of this page, out of an answer of the documented shape."""
    try:
        answer = json.loads(body)["response"]
        code = str(answer["header"]["resultCode"])
        if code != _OK:
            raise _refusal(code.zfill(2), HTTPStatus.OK, day)
        held = answer["body"]
        total, items = int(held["totalCount"]), held["items"]
        # Without rows the service gives an empty text, with a single row an object.
        found = cast("list[_Item] | _Item", items["item"] if items else [])
    except (ValueError, KeyError, TypeError):
        raise RetryableError(
            f"{SERVICE} answered for {day} with something cut or not of the documented shape",
            "Ask again; if it stays, the service has changed its answers",
        ) from None
    return total, found if isinstance(found, list) else [found]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _reason_code(body: str) -> str | None:
    match = _REASON_CODE.search(body)
    return match[1].zfill(2) if match else None


def _refusal(code: str | None, status: int, day: date) -> PlatformError:
    """What to raise for an error's code (the portal's guide, 에러코드 정리)."""
    if code == _QUOTA or status == HTTPStatus.TOO_MANY_REQUESTS:
        return PermanentError(
            f"{SERVICE} says today's calls are used up (22)", "It counts anew at midnight"
        )
    if code in _KEY_CODES or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ConfigurationError(
            f"{SERVICE} refuses the key ({code or status})",
            "Check PUBLIC_DATA_SERVICE_KEY and that the key is approved for 주식시세정보",
        )
    if code in _FOR_NOW_CODES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RetryableError(f"{SERVICE} failed for {day} ({code or status})", "Ask again later")
    return PermanentError(
        f"{SERVICE} refused the request for {day} ({code or status})", "Check PUBLIC_DATA_BASE_URL"
    )

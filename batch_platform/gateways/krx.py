"""The Korea Exchange's Open API: a market's whole day in one call.

Terms: non-commercial use only, 10,000 calls a day. The key goes in a header. Nothing is retried
here: what an answer means is told by the type of the error.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from http import HTTPStatus
from io import BytesIO
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.json as pa_json
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
    Market,
    listing_rows,
    price_rows,
)

SERVICE = "The KRX Open API"
_BLOCK = "OutBlock_1"
_PRICE_PATHS: Mapping[Market, str] = {"KOSPI": "sto/stk_bydd_trd", "KOSDAQ": "sto/ksq_bydd_trd"}
_LISTING_PATHS: Mapping[Market, str] = {
    "KOSPI": "sto/stk_isu_base_info",
    "KOSDAQ": "sto/ksq_isu_base_info",
}
_PRICE_FIELDS = {
    "date": "BAS_DD",
    "ticker": "ISU_CD",
    "close": "TDD_CLSPRC",
    "change_amount": "CMPPREVDD_PRC",
    "change_rate": "FLUC_RT",
    "open": "TDD_OPNPRC",
    "high": "TDD_HGPRC",
    "low": "TDD_LWPRC",
    "volume": "ACC_TRDVOL",
    "trading_value": "ACC_TRDVAL",
    "market_cap": "MKTCAP",
    "shares_outstanding": "LIST_SHRS",
}
_LISTING_FIELDS = {
    "ticker": "ISU_SRT_CD",
    "isin": "ISU_CD",
    "name": "ISU_ABBRV",
    "name_en": "ISU_ENG_NM",
    "section": "SECT_TP_NM",
    "listing_date": "LIST_DD",
    "security_group": "SECUGRP_NM",
    "certificate_kind": "KIND_STKCERT_TP_NM",
    "par_value_krw": "PARVAL",
    "shares_outstanding": "LIST_SHRS",
}
_TIMEOUT = httpx.Timeout(60, connect=10)
_KEY_REMEDY = "Check KRX_AUTH_KEY at openapi.krx.co.kr: a key is granted for a year"


class KrxClient:
    """The exchange. Safe to use from several threads.

    Args:
        base_url: Its address.
        auth_key: Given by the exchange; without one the client exists but cannot ask.
        transport: How requests travel; the network by default.
    """

    def __init__(
        self,
        base_url: str,
        auth_key: SecretStr | None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.is_configured = auth_key is not None
        headers = {"AUTH_KEY": auth_key.get_secret_value()} if auth_key else {}
        self._http = httpx.Client(
            base_url=base_url, headers=headers, timeout=_TIMEOUT, transport=transport
        )

    def prices(self, day: date) -> pa.Table:
        """Ask for both markets' day, in two calls.

        Returns:
            Rows of `PRICE_SCHEMA`, KOSPI first. No rows on a day that is closed or not published;
            one market's alone when the other is not published: the caller must not use half a day.

        Raises:
            ConfigurationError: No key, a key that is refused, or a service that is not approved.
            RetryableError: The exchange does not answer, is over its limit or its answer is cut.
            PermanentError: The answer cannot be right, or the request is refused.
        """
        return _both(lambda market: self.market_prices(day, market), PRICE_SCHEMA)

    def market_prices(self, day: date, market: Market) -> pa.Table:
        """Ask for one market's day; otherwise like `prices`."""
        texts = self._ask(_PRICE_PATHS[market], day, _PRICE_FIELDS)
        return price_rows(texts, AnswerOf(SERVICE, "KRX", day, market))

    def listings(self, day: date) -> pa.Table:
        """Ask which stocks are listed on a day, in two calls: rows of `LISTING_SCHEMA`.

        Raises:
            PlatformError: As `prices`.
        """
        return _both(
            lambda market: listing_rows(
                self._ask(_LISTING_PATHS[market], day, _LISTING_FIELDS),
                AnswerOf(SERVICE, "KRX", day, market),
            ),
            LISTING_SCHEMA,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, path: str, day: date, fields: Mapping[str, str]) -> Mapping[str, Any]:
        if not self.is_configured:
            raise ConfigurationError(
                "KRX_AUTH_KEY is not set, so the exchange cannot be asked",
                "Get a key at openapi.krx.co.kr and set it, or try `make demo`",
            )
        try:
            response = self._http.get(path, params={"basDd": f"{day:%Y%m%d}"})
        except httpx.HTTPError as error:
            raise RetryableError(
                f"{SERVICE} did not answer {path} of {day}: {type(error).__name__}",
                "Check the network and KRX_BASE_URL",
            ) from None
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response, path, day)
        return _texts(response.content, path, day, fields)


def _both(ask: Callable[[Market], pa.Table], schema: pa.Schema) -> pa.Table:
    with ThreadPoolExecutor(len(MARKETS)) as pool:
        answers = list(pool.map(ask, MARKETS))
    return pa.concat_tables([schema.empty_table(), *answers])


def _texts(body: bytes, path: str, day: date, fields: Mapping[str, str]) -> Mapping[str, Any]:
    """Every value of an answer, a text each, a column a field."""
    row = pa.struct([(name, pa.string()) for name in fields.values()])
    try:
        answer = pa_json.read_json(
            BytesIO(body),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(body) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=pa.schema([(_BLOCK, pa.list_(row))]),
                newlines_in_values=True,
                unexpected_field_behavior="ignore",
            ),
        )
    except pa.ArrowInvalid:
        raise _unreadable(path, day) from None
    blocks: Any = answer.column(_BLOCK)
    if len(blocks) != 1 or blocks.null_count:
        raise _unreadable(path, day)
    rows = blocks.combine_chunks().flatten()
    columns = zip(fields, rows.flatten(), strict=True)
    return {name: pa.chunked_array([column]) for name, column in columns}


def _unreadable(path: str, day: date) -> RetryableError:
    return RetryableError(
        f"{SERVICE} answered {path} of {day} with something cut or not of the documented shape",
        "Ask again; if it stays, the exchange has changed its answers",
    )


def _refusal(response: httpx.Response, path: str, day: date) -> PlatformError:
    status, words = response.status_code, response.text
    if status == HTTPStatus.UNAUTHORIZED and "Unauthorized API Call" in words:
        return ConfigurationError(
            f"{SERVICE} has not approved {path} for this key",
            "Apply for that service at openapi.krx.co.kr: each is approved by itself",
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ConfigurationError(f"{SERVICE} refuses the key", _KEY_REMEDY)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RetryableError(
            f"{SERVICE} has had enough calls", "It takes 10,000 a day, counted anew at midnight"
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RetryableError(f"{SERVICE} failed at {path} of {day}: HTTP {status}")
    return PermanentError(f"{SERVICE} refused {path} of {day}: HTTP {status}", "Check KRX_BASE_URL")

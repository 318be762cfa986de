"""A stand-in for data.go.kr's stock prices, in its exact shapes, over the made-up market.

Errors come as XML whatever was asked for; a single row comes as an object, no rows as an empty
text. What it answers is made up.
"""

import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from aiohttp import web

from batch_platform.sandbox.krx_server import is_over
from batch_platform.sandbox.made_up_market import MarketDay, market_day
from batch_platform.sandbox.market_faults import FaultSwitches, MarketFault

PREFIX = "/1160100/service/"
_PATH = "GetStockSecuritiesInfoService/getStockPriceInfo"
_ERRORS = {
    MarketFault.BAD_KEY: (30, "SERVICE_KEY_IS_NOT_REGISTERED_ERROR"),
    MarketFault.NOT_APPROVED: (20, "SERVICE_ACCESS_DENIED_ERROR"),
    MarketFault.QUOTA: (22, "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR"),
}

Row = dict[str, str]


class PublicDataServer:
    """The data portal.

    Args:
        key: The one it accepts; any when empty.
        is_published: Whether it has a day's data.

    Attributes:
        switches: What goes wrong.
        amend: Changes the rows of a day before they are sent.
    """

    def __init__(self, key: str = "", is_published: Callable[[date], bool] = is_over) -> None:
        self._key = key
        self._is_published = is_published
        self.switches = FaultSwitches()
        self.amend: Callable[[Sequence[Row]], Sequence[Row]] = lambda rows: rows

    def application(self) -> web.Application:
        """The server, to be served by whoever makes it."""
        application = web.Application()
        application.router.add_get(PREFIX + _PATH, self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = request.query.get("basDt", "")
        self.switches.calls.append(("getStockPriceInfo", asked))
        fault = self.switches.of(_PATH)
        given = request.query.get("serviceKey", "")
        if not given or (self._key and given != self._key):
            fault = MarketFault.BAD_KEY
        if fault is not None and fault in _ERRORS:
            # Errors of the gateway are XML with status 200.
            return web.Response(text=_error(*_ERRORS[fault]), content_type="text/xml")
        rows = [] if fault is MarketFault.EMPTY else self._rows(asked)
        size, page = (int(request.query.get(name, "1")) for name in ("numOfRows", "pageNo"))
        shown = rows[(page - 1) * size : page * size]
        if fault is MarketFault.FEWER_ROWS:
            shown = shown if page == 1 else []
        body = json.dumps(_answer(shown, len(rows), size, page), ensure_ascii=False).encode()
        return await self.switches.play(request, fault, body, "application/json")

    def _rows(self, asked: str) -> Sequence[Row]:
        try:
            day = date.fromisoformat(asked)
        except ValueError:
            return []
        found = market_day(day) if self._is_published(day) else None
        return self.amend(price_items(found)) if found else []


def price_items(day: MarketDay) -> list[Row]:
    """Every row of a day, and one of KONEX, which nobody here asks about."""
    columns = (
        day.close,
        day.change,
        day.open,
        day.high,
        day.low,
        day.volume,
        day.value,
        day.shares,
        day.market_cap,
    )
    figures = zip(*(column.tolist() for column in columns), strict=True)
    rows = [
        {
            "basDt": f"{day.date:%Y%m%d}",
            "srtnCd": stock.ticker,
            "isinCd": stock.isin,
            "itmsNm": stock.name,
            "mrktCtg": stock.market,
            "clpr": str(close),
            "vs": str(change),
            "fltRt": _rate(rate),
            "mkp": str(opening),
            "hipr": str(high),
            "lopr": str(low),
            "trqu": str(volume),
            "trPrc": str(value),
            "lstgStCnt": str(shares),
            "mrktTotAmt": str(cap),
        }
        for stock, rate, (close, change, opening, high, low, volume, value, shares, cap) in zip(
            day.stocks, day.change_rate.tolist(), figures, strict=True
        )
    ]
    return [*rows, rows[0] | {"srtnCd": "899990", "mrktCtg": "KONEX"}]


def _answer(shown: Sequence[Row], total: int, size: int, page: int) -> dict[str, Any]:
    items: object = {"item": shown[0] if len(shown) == 1 else list(shown)} if shown else ""
    body = {"numOfRows": size, "pageNo": page, "totalCount": total, "items": items}
    header = {"resultCode": "00", "resultMsg": "NORMAL SERVICE."}
    return {"response": {"header": header, "body": body}}


def _rate(rate: float) -> str:
    """As the portal writes it: without a zero before the point (`-.25`)."""
    return f"{rate:.2f}".replace("-0.", "-.").removeprefix("0") or "0"


def _error(code: int, message: str) -> str:
    return (
        "<OpenAPI_ServiceResponse><cmmMsgHeader><errMsg>SERVICE ERROR</errMsg>"
        f"<returnAuthMsg>{message}</returnAuthMsg><returnReasonCode>{code}</returnReasonCode>"
        "</cmmMsgHeader></OpenAPI_ServiceResponse>"
    )

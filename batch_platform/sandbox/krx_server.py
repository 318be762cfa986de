"""A stand-in for the Korea Exchange's Open API, in its exact shapes, over the made-up market.

Every value is a text; a suspended stock has `"0"` for what it did not have; a closed day, and one
that is not published, is an empty list. What it answers is made up.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from aiohttp import web

from batch_platform.sandbox.made_up_market import KOSPI_PLACES, PLACES, MarketDay, market_day
from batch_platform.sandbox.market_faults import FaultSwitches, MarketFault

PREFIX = "/svc/apis/"
_ZONE = ZoneInfo("Asia/Seoul")
_PLACES = {"stk": slice(0, KOSPI_PLACES), "ksq": slice(KOSPI_PLACES, PLACES)}
_MARKETS = {"stk": "KOSPI", "ksq": "KOSDAQ"}
_UNAUTHORIZED = {
    MarketFault.BAD_KEY: "Unauthorized Key",
    MarketFault.NOT_APPROVED: "Unauthorized API Call",
}

Row = dict[str, str]


def is_over(day: date) -> bool:
    """Whether a day is published: on the morning after it."""
    return day < datetime.now(_ZONE).date()


class KrxServer:
    """The exchange.

    Args:
        key: The one it accepts; any when empty.
        is_published: Whether it has a day's data.

    Attributes:
        switches: What goes wrong.
        amend: Changes the rows of an answer before they are sent: (path, rows) → rows.
    """

    def __init__(self, key: str = "", is_published: Callable[[date], bool] = is_over) -> None:
        self._key = key
        self._is_published = is_published
        self.switches = FaultSwitches()
        self.amend: Callable[[str, Sequence[Row]], Sequence[Row]] = lambda _path, rows: rows

    def application(self) -> web.Application:
        """The server, to be served by whoever makes it."""
        application = web.Application()
        application.router.add_get(PREFIX + "sto/{service}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        service, asked = request.match_info["service"], request.query.get("basDd", "")
        self.switches.calls.append((service, asked))
        fault = self.switches.of(service)
        given = request.headers.get("AUTH_KEY", "")
        if not given or (self._key and given != self._key):
            fault = MarketFault.BAD_KEY
        if fault is not None and fault in _UNAUTHORIZED:
            return web.json_response(
                {"respMsg": _UNAUTHORIZED[fault], "respCode": "401"}, status=401
            )
        if fault is MarketFault.QUOTA:
            return web.Response(status=429, text="Too Many Requests")
        rows = [] if fault is MarketFault.EMPTY else self._rows(service, asked)
        if fault is MarketFault.FEWER_ROWS:
            rows = rows[: len(rows) // 2]
        body = json.dumps({"OutBlock_1": rows}, ensure_ascii=False).encode()
        return await self.switches.play(request, fault, body, "application/json")

    def _rows(self, service: str, asked: str) -> Sequence[Row]:
        try:
            day = date.fromisoformat(asked)
        except ValueError:
            return []
        found = market_day(day) if self._is_published(day) else None
        if found is None:
            return []
        code, _, kind = service.partition("_")
        if code not in _PLACES or kind not in _KINDS:
            return []
        return self.amend(service, _KINDS[kind](found, code))


def price_rows(day: MarketDay, code: str) -> list[Row]:
    """`stk_bydd_trd` (code `stk`) or `ksq_bydd_trd` (`ksq`)."""
    places, market = _PLACES[code], _MARKETS[code]
    columns = (
        day.close,
        day.change,
        day.open,
        day.high,
        day.low,
        day.volume,
        day.value,
        day.market_cap,
        day.shares,
    )
    figures = zip(*(column[places].tolist() for column in columns), strict=True)
    rates = day.change_rate[places].tolist()
    return [
        {
            "BAS_DD": f"{day.date:%Y%m%d}",
            "ISU_CD": stock.ticker,
            "ISU_NM": stock.name,
            "MKT_NM": market,
            "SECT_TP_NM": stock.section or "-",
            "TDD_CLSPRC": str(close),
            "CMPPREVDD_PRC": str(change),
            "FLUC_RT": f"{rate:.2f}",
            "TDD_OPNPRC": str(opening),
            "TDD_HGPRC": str(high),
            "TDD_LWPRC": str(low),
            "ACC_TRDVOL": str(volume),
            "ACC_TRDVAL": str(value),
            "MKTCAP": str(cap),
            "LIST_SHRS": str(shares),
        }
        for stock, rate, (close, change, opening, high, low, volume, value, cap, shares) in zip(
            day.stocks[places], rates, figures, strict=True
        )
    ]


def listing_rows(day: MarketDay, code: str) -> list[Row]:
    """`stk_isu_base_info` (code `stk`) or `ksq_isu_base_info` (`ksq`)."""
    places, market = _PLACES[code], _MARKETS[code]
    return [
        {
            "ISU_CD": stock.isin,
            "ISU_SRT_CD": stock.ticker,
            "ISU_NM": f"{stock.name}{'' if stock.is_preferred else '보통주'}",
            "ISU_ABBRV": stock.name,
            "ISU_ENG_NM": stock.name_en,
            "LIST_DD": f"{stock.listing_date:%Y%m%d}",
            "MKT_TP_NM": market,
            "SECUGRP_NM": "주권",
            "SECT_TP_NM": stock.section,
            "KIND_STKCERT_TP_NM": "구형우선주" if stock.is_preferred else "보통주",
            "PARVAL": str(stock.par_value_krw),
            "LIST_SHRS": str(shares),
        }
        for stock, shares in zip(day.stocks[places], day.shares[places].tolist(), strict=True)
    ]


_KINDS: Mapping[str, Callable[[MarketDay, str], list[Row]]] = {
    "bydd_trd": price_rows,
    "isu_base_info": listing_rows,
}

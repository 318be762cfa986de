"""A stand-in for OpenDART, in its exact shapes, over the made-up companies' statements.

A failure is a status in a body that comes with HTTP 200; amounts are texts with commas; the
directory is a zip of XML. What it answers is made up.
"""

import asyncio
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from aiohttp import web

from batch_platform.sandbox.made_up_statements import (
    Company,
    Figures,
    companies,
    figures,
    filings,
)
from batch_platform.sandbox.market_faults import FaultSwitches

PREFIX = "/api/"
_ZONE = ZoneInfo("Asia/Seoul")
_QUARTERS = {"11013": 1, "11012": 2, "11014": 3, "11011": 4}
_REPORT_CODES = {quarter: code for code, quarter in _QUARTERS.items()}
_STATEMENTS = {
    "BS": "재무상태표",
    "IS": "손익계산서",
    "CF": "현금흐름표",
    "SCE": "자본변동표",
}
_BASES = {"CFS": "연결재무제표", "OFS": "재무제표"}
_MOST_COMPANIES = 100
_UNLISTED = 40
_MESSAGES = {
    "000": "정상",
    "010": "등록되지 않은 키입니다.",
    "011": "사용할 수 없는 키입니다.",
    "012": "접근할 수 없는 IP입니다.",
    "013": "조회된 데이타가 없습니다.",
    "014": "파일이 존재하지 않습니다.",
    "020": "요청 제한을 초과하였습니다.",
    "021": "조회 가능한 회사 개수가 초과하였습니다.(최대 100건)",
    "100": "필드의 부적절한 값입니다.",
    "101": "부적절한 접근입니다.",
    "800": "시스템 점검으로 인한 서비스가 중지 중입니다.",
    "900": "정의되지 않은 오류가 발생하였습니다.",
    "901": "사용자 계정의 개인정보 보유기간이 만료되어 사용할 수 없는 키입니다.",
}

Row = dict[str, str]


def today_in_seoul() -> date:
    """The office's day."""
    return datetime.now(_ZONE).date()


class OpenDartServer:
    """The disclosure office.

    Args:
        key: The one it accepts; any when empty.
        today: Its day: what was received later is not there yet.
        most_companies: How many companies of the market it knows; all by default.

    Attributes:
        switches: What goes wrong with connections and bodies.
        statuses: What the next calls answer, in order; `000` for one that goes well.
        amend: Changes the rows of an answer before they are sent: (name, rows) → rows.
    """

    def __init__(
        self,
        key: str = "",
        today: Callable[[], date] = today_in_seoul,
        most_companies: int | None = None,
    ) -> None:
        self._key = key
        self._most = most_companies
        self.today = today
        self.switches = FaultSwitches()
        self.statuses: list[str] = []
        self.amend: Callable[[str, Sequence[Row]], Sequence[Row]] = lambda _name, rows: rows

    def application(self) -> web.Application:
        """The server, to be served by whoever makes it."""
        application = web.Application()
        application.router.add_get(PREFIX + "{name}", self._answer)
        return application

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name, query = request.match_info["name"], request.query
        self.switches.calls.append((name, query.get("corp_code", "")))
        status = self.statuses.pop(0) if self.statuses else "000"
        given = query.get("crtfc_key", "")
        if not given or (self._key and given != self._key):
            status = "010"
        body, content_type = b"", "application/json"
        if status == "000":
            status, body, content_type = await asyncio.to_thread(self._content, name, query)
        if status != "000":
            body, content_type = _refusal(name, status)
        return await self.switches.play(request, self.switches.of(name), body, content_type)

    def _content(self, name: str, query: Mapping[str, str]) -> tuple[str, bytes, str]:
        if name == "corpCode.xml":
            return "000", _directory(self.today(), self._most), "application/x-msdownload"
        corp_codes = [code for code in query.get("corp_code", "").split(",") if code]
        year, quarter = query.get("bsns_year", ""), _QUARTERS.get(query.get("reprt_code", ""))
        if not corp_codes or not year.isdigit() or quarter is None:
            return "100", b"", ""
        if len(corp_codes) > _MOST_COMPANIES:
            return "021", b"", ""
        known = _by_corp_code(self.today())
        asked = [known[code] for code in corp_codes if code in known]
        if name == "fnlttMultiAcnt.json":
            rows = [row for each in asked for row in self._main(each, int(year), quarter)]
        elif name == "fnlttSinglAcntAll.json" and query.get("fs_div") in _BASES:
            rows = self._all(asked, int(year), quarter, query["fs_div"])
        else:
            return "100" if name == "fnlttSinglAcntAll.json" else "101", b"", ""
        rows = self.amend(name, rows)
        if not rows:
            return "013", b"", ""
        answer = {"status": "000", "message": _MESSAGES["000"], "list": list(rows)}
        return "000", json.dumps(answer, ensure_ascii=False).encode(), "application/json"

    def _main(self, company: Company, year: int, quarter: int) -> Iterator[Row]:
        report = self._report(company, year, quarter)
        if report is not None:
            for basis in ("CFS", "OFS"):
                if basis == "OFS" or company.has_consolidated:
                    yield from report.main_rows(basis)

    def _all(self, asked: Sequence[Company], year: int, quarter: int, basis: str) -> list[Row]:
        report = self._report(asked[0], year, quarter) if len(asked) == 1 else None
        if report is None or (basis == "CFS" and not asked[0].has_consolidated):
            return []
        return list(report.all_rows(basis))

    def _report(self, company: Company, year: int, quarter: int) -> "_Report | None":
        received = [
            each for each in filings(company, year, quarter) if each.received_date <= self.today()
        ]
        if not received:
            return None
        newest = received[-1]
        return _Report(company, year, quarter, newest.receipt_no, newest.is_correction)


@dataclass(frozen=True, slots=True)
class _Report:
    """A report as the office words it."""

    company: Company
    year: int
    quarter: int
    receipt_no: str
    is_correction: bool

    def main_rows(self, basis: str) -> Iterator[Row]:
        """The main accounts: fourteen lines, ten of a financial company."""
        wording = _Wording(self, basis)
        for account, attribute in _MAIN_BALANCE:
            if not (self.company.is_finance and account in _CURRENT_ACCOUNTS):
                yield wording.balance_row(account, attribute)
        for account, attribute in _MAIN_INCOME:
            yield wording.flow_row("IS", account, attribute)

    def all_rows(self, basis: str) -> Iterator[Row]:
        """Every account, with the taxonomy's ids; no `fs_div`, as at the office."""
        wording = _Wording(self, basis)
        for kind, accounts in _ALL_ACCOUNTS.items():
            for account, attribute, account_id in accounts:
                if self.company.is_finance and account in _CURRENT_ACCOUNTS:
                    continue
                if kind == "BS":
                    row = wording.balance_row(account, attribute)
                else:
                    row = wording.flow_row(kind, account, attribute)
                del row["fs_div"], row["fs_nm"], row["stock_code"]
                yield row | {"account_id": account_id, "account_detail": "-"}

    def figures(self, basis: str, year: int, quarter: int) -> Figures:
        """A quarter's figures as this report has them."""
        is_corrected = self.is_correction and (year, quarter) == (self.year, self.quarter)
        return _cached_figures(self.company, year, quarter, basis == "CFS", is_corrected)


class _Wording:
    """A report's lines on one basis: what they share is put together once."""

    def __init__(self, report: _Report, basis: str) -> None:
        company, year, quarter = report.company, report.year, report.quarter
        self._is_annual = quarter == 4
        self._lines = 0
        self._shared = {
            "rcept_no": report.receipt_no,
            "reprt_code": _REPORT_CODES[quarter],
            "bsns_year": str(year),
            "corp_code": company.corp_code,
            "stock_code": company.stock.ticker,
            "fs_div": basis,
            "fs_nm": _BASES[basis],
            "currency": "KRW",
        }
        self._ends: list[tuple[str, str, str, Figures]] = []
        self._spans: list[tuple[str, str, str, Sequence[Figures]]] = []
        names = ("thstrm", "frmtrm", "bfefrmtrm") if self._is_annual else ("thstrm", "frmtrm")
        for back, name in enumerate(names):
            then, title = year - back, f"제 {year - 1980 - back} 기"
            # An interim balance sheet is compared with the last year's end.
            last = quarter if back == 0 else 4
            end = f"{company.period_end(then, last):%Y.%m.%d} 현재"
            self._ends.append((name, title, end, report.figures(basis, then, last)))
            first, end_day = company.year_start(then), company.period_end(then, quarter)
            span = f"{first:%Y.%m.%d} ~ {end_day:%Y.%m.%d}"
            quarters = [report.figures(basis, then, each) for each in range(1, quarter + 1)]
            self._spans.append((name, title, span, quarters))

    def balance_row(self, account: str, attribute: str) -> Row:
        """A line of the balance sheet."""
        row = self._row("BS", account)
        for name, title, end, figures_then in self._ends:
            row[f"{name}_nm"] = title
            row[f"{name}_dt"] = end
            row[f"{name}_amount"] = _written(getattr(figures_then, attribute))
        return row

    def flow_row(self, kind: str, account: str, attribute: str) -> Row:
        """A line of another statement; interim reports give cash flows for the year so far only."""
        row = self._row(kind, account)
        for name, title, span, quarters in self._spans:
            amounts = [getattr(each, attribute) for each in quarters]
            row[f"{name}_nm"] = title
            row[f"{name}_dt"] = span
            if self._is_annual or kind == "CF":
                row[f"{name}_amount"] = _written(sum(amounts))
            else:
                row[f"{name}_amount"] = _written(amounts[-1])
                row[f"{name}_add_amount"] = _written(sum(amounts))
        return row

    def _row(self, kind: str, account: str) -> Row:
        self._lines += 1
        return {
            **self._shared,
            "sj_div": kind,
            "sj_nm": _STATEMENTS[kind],
            "account_nm": account,
            "ord": str(self._lines),
        }


@lru_cache(maxsize=65_536)
def _cached_figures(
    company: Company, year: int, quarter: int, is_consolidated: bool, is_corrected: bool
) -> Figures:
    return figures(
        company, year, quarter, is_consolidated=is_consolidated, is_corrected=is_corrected
    )


_CURRENT_ACCOUNTS = {"유동자산", "비유동자산", "유동부채", "비유동부채"}
_MAIN_BALANCE = (
    ("유동자산", "current_assets"),
    ("비유동자산", "non_current_assets"),
    ("자산총계", "assets"),
    ("유동부채", "current_liabilities"),
    ("비유동부채", "non_current_liabilities"),
    ("부채총계", "liabilities"),
    ("자본금", "capital"),
    ("이익잉여금", "retained_earnings"),
    ("자본총계", "equity"),
)
_MAIN_INCOME = (
    ("매출액", "revenue"),
    ("영업이익", "operating_income"),
    ("법인세차감전 순이익", "pretax_income"),
    ("당기순이익(손실)", "net_income"),
    ("총포괄손익", "comprehensive_income"),
)
_ALL_BALANCE = (
    ("유동자산", "current_assets", "ifrs-full_CurrentAssets"),
    ("현금및현금성자산", "cash", "ifrs-full_CashAndCashEquivalents"),
    ("비유동자산", "non_current_assets", "ifrs-full_NoncurrentAssets"),
    ("자산총계", "assets", "ifrs-full_Assets"),
    ("유동부채", "current_liabilities", "ifrs-full_CurrentLiabilities"),
    ("비유동부채", "non_current_liabilities", "ifrs-full_NoncurrentLiabilities"),
    ("부채총계", "liabilities", "ifrs-full_Liabilities"),
    (
        "지배기업의 소유주에게 귀속되는 자본",
        "owners_equity",
        "ifrs-full_EquityAttributableToOwnersOfParent",
    ),
    ("자본금", "capital", "ifrs-full_IssuedCapital"),
    ("이익잉여금", "retained_earnings", "ifrs-full_RetainedEarnings"),
    ("자본총계", "equity", "ifrs-full_Equity"),
)
_ALL_INCOME = (
    ("매출액", "revenue", "ifrs-full_Revenue"),
    ("영업이익(손실)", "operating_income", "dart_OperatingIncomeLoss"),
    ("법인세비용차감전순이익(손실)", "pretax_income", "ifrs-full_ProfitLossBeforeTax"),
    ("당기순이익(손실)", "net_income", "ifrs-full_ProfitLoss"),
    (
        "지배기업의 소유주에게 귀속되는 당기순이익(손실)",
        "owners_net_income",
        "ifrs-full_ProfitLossAttributableToOwnersOfParent",
    ),
    ("총포괄손익", "comprehensive_income", "ifrs-full_ComprehensiveIncome"),
)
_ALL_CASH_FLOW = (
    (
        "영업활동현금흐름",
        "operating_cash_flow",
        "ifrs-full_CashFlowsFromUsedInOperatingActivities",
    ),
    (
        "투자활동현금흐름",
        "investing_cash_flow",
        "ifrs-full_CashFlowsFromUsedInInvestingActivities",
    ),
    (
        "재무활동현금흐름",
        "financing_cash_flow",
        "ifrs-full_CashFlowsFromUsedInFinancingActivities",
    ),
)
_ALL_EQUITY = (
    ("당기순이익(손실)", "net_income", "ifrs-full_ProfitLoss"),
    ("소유주에 대한 배분", "paid_out", "ifrs-full_DecreaseThroughDistributionsToOwnersEquity"),
)

_ALL_ACCOUNTS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "BS": _ALL_BALANCE,
    "IS": _ALL_INCOME,
    "CF": _ALL_CASH_FLOW,
    "SCE": _ALL_EQUITY,
}


def _written(amount: int) -> str:
    return f"{amount:,}" if amount else "-"


@lru_cache(maxsize=4)
def _by_corp_code(day: date) -> Mapping[str, Company]:
    """Everybody who is or was listed up to a day, a look at each year's last."""
    ends = [date(year, 12, 28) for year in range(2015, day.year)]
    return {each.corp_code: each for end in [*ends, day] for each in companies(end)}


@lru_cache(maxsize=4)
def _directory(day: date, most: int | None) -> bytes:
    """`corpCode.xml`: the listed companies, and unlisted ones, whose stock code is a blank."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<result>"]
    entries = [
        (each.corp_code, each.stock.name, each.stock.ticker, each.stock.listing_date)
        for each in companies(day)[:most]
    ]
    unlisted = [
        (f"8{number:07d}", f"가상비상장{number}", " ", date(2017, 6, 30))
        for number in range(_UNLISTED)
    ]
    for corp_code, name, ticker, changed in [*unlisted, *entries]:
        lines += [
            "    <list>",
            f"        <corp_code>{corp_code}</corp_code>",
            f"        <corp_name>{escape(name)}</corp_name>",
            f"        <stock_code>{ticker}</stock_code>",
            f"        <modify_date>{changed:%Y%m%d}</modify_date>",
            "    </list>",
        ]
    lines.append("</result>")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CORPCODE.xml", "\n".join(lines))
    return content.getvalue()


def _refusal(name: str, status: str) -> tuple[bytes, str]:
    """A status other than `000`: XML for the directory, JSON for the rest."""
    message = _MESSAGES.get(status, "정의되지 않은 오류가 발생하였습니다.")
    if name.endswith(".xml"):
        xml = f"<result><status>{status}</status><message>{escape(message)}</message></result>"
        return xml.encode(), "application/xml"
    return (
        json.dumps({"status": status, "message": message}, ensure_ascii=False).encode(),
        "application/json",
    )

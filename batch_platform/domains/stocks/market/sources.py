"""Who is asked for a day, in which order, and what counts as an answer.

The exchange first; data.go.kr when the exchange fails or has not published. Nothing is used of
half an answer: both markets, in plausible number, or nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from batch_platform.core.errors import ConfigurationError, PlatformError, RetryableError
from batch_platform.domains.stocks.market.logic import implausible_count, missing_markets
from batch_platform.domains.stocks.market.models import Waiting
from batch_platform.gateways.krx import KrxClient
from batch_platform.gateways.market_rows import MARKETS, Market, rows_by_market
from batch_platform.gateways.public_data import PublicDataClient

Ask = Callable[[], pa.Table]


@dataclass(frozen=True, slots=True)
class MarketSources:
    """The services that know the market."""

    krx: KrxClient
    public_data: PublicDataClient

    def require_one(self) -> None:
        """Refuse to begin when nobody can be asked.

        Raises:
            ConfigurationError: Neither service has a key.
        """
        if not (self.krx.is_configured or self.public_data.is_configured):
            raise ConfigurationError(
                "Neither KRX_AUTH_KEY nor PUBLIC_DATA_SERVICE_KEY is set,"
                " so nobody can be asked for prices",
                "Get a key at openapi.krx.co.kr (free, non-commercial use), or try `make demo`",
            )

    def prices(self, day: date) -> Iterator[tuple[str, Ask]]:
        """Each service with a key and how to ask it for a day's prices."""
        if self.krx.is_configured:
            yield "KRX", lambda: self.krx.prices(day)
        if self.public_data.is_configured:
            yield "PUBLIC_DATA", lambda: self.public_data.prices(day)

    def listings(self, day: date) -> Iterator[tuple[str, Ask]]:
        """Each service with a key and how to ask it for a day's stocks."""
        if self.krx.is_configured:
            yield "KRX", lambda: self.krx.listings(day)
        if self.public_data.is_configured:
            yield "PUBLIC_DATA", lambda: self.public_data.listings(day)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole day from one service.

    Attributes:
        warnings: Why a service before it was passed over.
    """

    table: pa.Table
    source: str
    rows: Mapping[Market, int]
    warnings: tuple[str, ...] = ()


def first_whole_answer(
    day: date, services: Iterator[tuple[str, Ask]], before: Mapping[Market, int]
) -> Answer | Waiting:
    """Ask one service after the other for a trading day.

    Args:
        day: A trading day.
        services: In the order in which they are asked.
        before: Market → stocks of the trading day before; empty when that is not known.

    Returns:
        The first whole answer; `Waiting` when nobody has published the day.

    Raises:
        PlatformError: The first service failed, and no other had an answer. (When the first has
            not published, a failure of another changes nothing: the day is awaited.)
    """
    first_failure: PlatformError | None = None
    said: list[str] = []
    for source, ask in services:
        try:
            table = ask()
            rows = rows_by_market(table)
            missing = missing_markets(rows)
            if len(missing) == len(MARKETS):
                said.append(f"{source} has not published it")
                continue
            if missing:
                said.append(f"{source} has published no {', '.join(missing)}")
                continue
            if implausible := implausible_count(rows, before):
                raise RetryableError(
                    f"{source} gave a {day} that cannot be whole: {implausible}",
                    "If it is right, run again with the count accepted (--accept-count)",
                )
        except PlatformError as failure:
            if not said:
                first_failure = failure
            said.append(str(failure))
            continue
        return Answer(table, source, rows, tuple(said))
    if first_failure is not None:
        raise first_failure
    return Waiting(day, "; ".join(said))

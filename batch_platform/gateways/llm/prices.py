"""What tokens cost: the `genai-prices` table, offline, and files that replace its entries.

A model that no table knows costs 0 and says so; no price is ever guessed. A price file is JSON:
`{"version": "…", "models": {"<model>": {"currency": "KRW" | "USD", "input_per_million": 1250,
"output_per_million": 5000}}}`. An entry with `"is_confirmed": false` may be wrong, and the ledger
says so beside every cost that was worked out with it.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Literal

import genai_prices
from pydantic import BaseModel, ValidationError

from batch_platform.core.errors import ConfigurationError

UNKNOWN = "unknown"

_MILLION = 1_000_000


class _Entry(BaseModel):
    currency: Literal["KRW", "USD"]
    input_per_million: float
    output_per_million: float
    is_confirmed: bool = True


class _Table(BaseModel):
    version: str
    models: dict[str, _Entry]


@dataclass(frozen=True, slots=True)
class Price:
    """What one model's tokens cost.

    Attributes:
        table: Name and version of the table the price is from; `unknown` when none has the model.
    """

    table: str
    input_usd: float
    output_usd: float
    krw_per_usd: float

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """Dollars of a call."""
        return input_tokens * self.input_usd + output_tokens * self.output_usd

    def krw(self, input_tokens: int, output_tokens: int) -> float:
        """Won of a call."""
        return self.usd(input_tokens, output_tokens) * self.krw_per_usd


def price_of(provider: str, model: str, krw_per_usd: float, override: Path | None = None) -> Price:
    """Look a model's price up: in the override file, in the shipped file, in `genai-prices`.

    Args:
        model: Its name, as in a request.
        provider: The provider's id at `genai-prices`, or one that it does not have.
        krw_per_usd: Won for one dollar.
        override: Price file that goes first.

    Raises:
        ConfigurationError: The override file cannot be read.
    """
    tables = [_read(override)] if override is not None else []
    tables.append(_shipped())
    for table in tables:
        entry = table.models.get(model)
        if entry is not None:
            usd = 1.0 if entry.currency == "USD" else 1 / krw_per_usd
            return Price(
                table.version if entry.is_confirmed else f"{table.version} (unconfirmed)",
                entry.input_per_million / _MILLION * usd,
                entry.output_per_million / _MILLION * usd,
                krw_per_usd,
            )
    try:
        input_usd = _genai_usd(provider, model, input_tokens=_MILLION)
        output_usd = _genai_usd(provider, model, output_tokens=_MILLION)
    except LookupError:
        return Price(UNKNOWN, 0.0, 0.0, krw_per_usd)
    return Price(f"genai-prices-{version('genai-prices')}", input_usd, output_usd, krw_per_usd)


def _genai_usd(
    provider: str, model: str, *, input_tokens: int = 0, output_tokens: int = 0
) -> float:
    usage = genai_prices.Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    price = genai_prices.calc_price(usage, model_ref=model, provider_id=provider)
    return float(price.total_price) / _MILLION


@lru_cache(maxsize=1)
def _shipped() -> _Table:
    return _Table.model_validate_json(
        (files("batch_platform.gateways.llm") / "prices.json").read_text("utf-8")
    )


def _read(path: Path) -> _Table:
    try:
        return _Table.model_validate(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ConfigurationError(
            f"The price file {path} cannot be read ({type(error).__name__})",
            "Mend it or unset LLM_PRICES_FILE",
        ) from error

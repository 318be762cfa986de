"""What a materialization tells the webserver: table metadata, counts, cost, duration, a preview.

Metadata keys are the ones the webserver knows (`dagster/row_count`, …) or plain English words.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from batch_platform.core.settings import Settings

MetadataValue = str | int | float | dg.MetadataValue[Any]
_PREVIEW_CELL_LENGTH = 60


def table_metadata(table: str, columns: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    """Metadata of an asset that is a table.

    Args:
        table: `schema.table` in the platform's database.
        columns: Name → (PostgreSQL type, what it says).
    """
    return {
        "dagster/table_name": table,
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name, type=kind, description=meaning)
                for name, (kind, meaning) in columns.items()
            ]
        ),
    }


def materialized(
    *,
    rows: int,
    seconds: float,
    is_made_up: bool,
    preview: str = "",
    details: Mapping[str, MetadataValue] | None = None,
) -> dg.MaterializeResult[Any]:
    """Report a partition that was written.

    Args:
        rows: Rows (or messages, or files) in the partition now.
        seconds: How long it took.
        is_made_up: Whether the sandbox fed it.
        preview: Markdown; see `markdown_table`.
        details: Further figures of the asset.
    """
    made = MadePartition(rows, seconds, preview, details or {})
    return dg.MaterializeResult(metadata=_metadata(made, is_made_up))


@dataclass(frozen=True)
class MadePartition:
    """One partition that was written; attributes as the arguments of `materialized`."""

    rows: int
    seconds: float
    preview: str = ""
    details: Mapping[str, MetadataValue] = field(default_factory=dict[str, MetadataValue])


def materialized_partitions(
    context: dg.AssetExecutionContext, made: Mapping[str, MadePartition], *, is_made_up: bool
) -> dg.MaterializeResult[Any]:
    """Report the partitions of a run that makes a range: each gets its own figures.

    Args:
        context: The step's.
        made: Partition → what became of it.
        is_made_up: Whether the sandbox fed it.
    """
    for partition, each in made.items():
        context.add_asset_metadata(
            _metadata(each, is_made_up), asset_key=context.asset_key, partition_key=partition
        )
    return dg.MaterializeResult()


def _metadata(made: MadePartition, is_made_up: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": made.rows,
        "seconds": round(made.seconds, 3),
        **made.details,
    }
    if is_made_up:
        metadata["made_up"] = "Sandbox data: nothing here is real"
    if made.preview:
        metadata["preview"] = dg.MetadataValue.md(made.preview)
    return metadata


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; cells are cut at 60 characters and cannot break out of their cell."""
    lines = [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def run_url(settings: Settings, run_id: str) -> str:
    """Where a run can be seen in the webserver."""
    return f"{settings.platform.webserver_url.rstrip('/')}/runs/{run_id}"


def stopwatch() -> Callable[[], float]:
    """Start measuring; the returned function tells the seconds since."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    if len(text) > _PREVIEW_CELL_LENGTH:
        text = text[: _PREVIEW_CELL_LENGTH - 1] + "…"
    for character in "\\`|*_[]<>":
        text = text.replace(character, "\\" + character)
    return text

"""Imports as the command does them, but with a test's own Dagster instance."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import dagster as dg

from batch_platform.cli import import_work
from batch_platform.core.days import utc_now
from batch_platform.core.settings import Settings
from batch_platform.gateways.import_book import (
    ImportBook,
    Importer,
    ImportPlan,
    ImportRecord,
    chosen,
)
from batch_platform.gateways.platform_db import PlatformDb
from batch_platform.orchestration.import_records import record_import


def bring_in(
    system: str,
    importer: Importer,
    *,
    db: PlatformDb,
    instance: dg.DagsterInstance,
    skips_bad: bool = False,
) -> ImportPlan:
    """Plan an import, write all of it and tell Dagster; nothing when a row is bad."""
    book, plan = ImportBook(db), importer.plan(lambda _done, _total, _note="": None)
    wanted = chosen(plan, skips_bad=skips_bad)
    if wanted:
        number = book.begin(
            system, ["export"], by="test", refused_rows=0, is_made_up=True, now=utc_now()
        )
        for partition in wanted:
            importer.write(partition, number, "import")
        run_id = record_import(instance, book.standing(number), book.partitions(number))
        book.finish(number, run_id, utc_now())
    return plan


def take_back(
    record: ImportRecord, *, db: PlatformDb, settings: Settings, instance: dg.DagsterInstance
) -> int:
    """Undo an import."""

    @contextmanager
    def opened(_settings: Settings) -> Iterator[dg.DagsterInstance]:
        yield instance

    with patch.object(import_work, "opened_instance", opened):
        return import_work.take_back(record, db, settings)


def made_partitions(instance: dg.DagsterInstance, asset: str) -> set[str]:
    """Partitions of an asset that Dagster shows as made."""
    return instance.get_materialized_partitions(dg.AssetKey(asset.split("/")))

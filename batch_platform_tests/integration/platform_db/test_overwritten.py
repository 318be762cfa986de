"""The ledger of overwritten partitions: what an incremental backup takes."""

from datetime import date

import psycopg
import pyarrow as pa
import pytest

from batch_platform.gateways.platform_db import PlatformDb


def test_an_overwritten_partition_is_noted_in_its_own_transaction(platform_db: PlatformDb) -> None:
    with platform_db.connect("test") as connection:
        connection.execute("CREATE TABLE days (day date, kind text, n int)")
    rows = pa.record_batch([[date(2026, 11, 1)], ["a"], [1]], names=["day", "kind", "n"])
    where = {"day": date(2026, 11, 1), "kind": "a"}
    for _ in range(2):
        with platform_db.replacing("test/days", "2026-11-01") as transaction:
            transaction.overwrite("public.days", where, [rows])
    noted = "SELECT table_name, partition FROM operations.overwritten_partitions"
    expected = [("public.days", {"day": "2026-11-01", "kind": "a"})]
    assert platform_db.fetch_all(noted) == expected

    # A transaction that fails leaves no note: nothing was overwritten.
    def fails() -> None:
        with platform_db.replacing("test/days", "2026-11-02") as transaction:
            transaction.overwrite("public.days", {**where, "day": date(2026, 11, 2)}, [])
            transaction.append("public.nothing", [rows])

    with pytest.raises(psycopg.errors.UndefinedTable):
        fails()
    assert platform_db.fetch_all(noted) == expected

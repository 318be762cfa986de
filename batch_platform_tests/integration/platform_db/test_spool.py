"""Rows that wait on disk until a partition is complete."""

from pathlib import Path

import pyarrow as pa
import pytest

from batch_platform.core.errors import RetryableError
from batch_platform.gateways.platform_db import Spool, spool

FULL = Path("/dev/full")


def test_a_full_disk_is_told_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_: FULL.open("r+b"))
    with Spool(pa.schema([("text", pa.string())])) as rows:
        rows.add({"text": "x" * 100_000})
        with pytest.raises(RetryableError, match=r"temporary files .* is full.*TMPDIR"):
            list(rows.batches())

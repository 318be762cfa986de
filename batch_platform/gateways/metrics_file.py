"""`metrics.json`: a JSON line for each thing measured, in the form that the old system wrote.

What watches it reads `timestamp` and one of the topics (`backup`, `daily_price_update`). Tables
and pages with more figures are elsewhere.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

METRICS_NAME = "metrics.json"


def append_metrics(home: Path, moment: datetime, topic: str, figures: Mapping[str, float]) -> None:
    """Append a line; several processes may do so at once.

    Args:
        home: The platform's folder, in which the file is.
        moment: When it was measured.
        topic: What it is about, e.g. `backup`.
        figures: Its figures, with units in their names.
    """
    line = json.dumps({"timestamp": moment.isoformat(), topic: dict(figures)}) + "\n"
    home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(home / METRICS_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        # One write: lines of two processes do not mix.
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)

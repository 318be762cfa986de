"""The form in which every benchmark ends: one JSON line, and exit 1 when an aim is missed."""

import json
import sys
from collections.abc import Mapping

Figure = Mapping[str, object]


def report(figures: Mapping[str, Figure]) -> None:
    """Print the figures' line and end the process: 0 when all aims are met, otherwise 1."""
    missed = [name for name, figure in figures.items() if not _is_met(figure)]
    for name in missed:
        print(f"missed: {name} is {figures[name]['value']}, aim {figures[name]['aim']}")
    print(json.dumps({"figures": figures}))
    sys.exit(1 if missed else 0)


def _is_met(figure: Figure) -> bool:
    value, aim = float(str(figure["value"])), float(str(figure["aim"]))
    return value <= aim if figure["better"] == "lower" else value >= aim

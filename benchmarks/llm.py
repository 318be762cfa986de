"""The model engine against its limits and its peers: `python -m benchmarks.llm`, by hand.

Wants a quiet machine. About eight minutes, the first time some more to install the peers. `--only`
measures a part, `--quick` with fewer turns and shorter windows.
"""

import argparse
import os

from rich.console import Console

from benchmarks.figures import Figure, report
from benchmarks.llm_limits import limits_figures
from benchmarks.llm_memory import memory_figures
from benchmarks.llm_processes import processes_figures
from benchmarks.llm_throughput import throughput_figures

PARTS = ("throughput", "limits", "processes", "memory")


def main() -> None:
    """Measure what is asked for; end with the figures' line, exit 1 when an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.llm", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer turns, shorter windows")
    asked = parser.parse_args()
    console = Console(width=120, highlight=False)
    figures: dict[str, Figure] = {}
    for part in asked.only or PARTS:
        load = os.getloadavg()[0]
        console.rule(f"{part} (load {load:.1f} on {os.cpu_count()} cores)", align="left")
        figures.update(_measured(part, console, quick=asked.quick))
    report(figures)


def _measured(part: str, console: Console, *, quick: bool) -> dict[str, Figure]:
    match part:
        case "throughput":
            return dict(throughput_figures(console, quick=quick))
        case "limits":
            return dict(limits_figures(console))
        case "processes":
            return dict(processes_figures(console, quick=quick))
        case _:
            return dict(memory_figures(console, quick=quick))


if __name__ == "__main__":
    main()

"""The fortunes domain against its limits: `python -m benchmarks.fortunes [--small]`, by hand.

Quiet machine; about four minutes. `--small` tries it out in half a minute.
"""

import sys

from rich.console import Console

from benchmarks.figures import report
from benchmarks.fortunes_api import api_figures
from benchmarks.fortunes_throughput import throughput_figures

if __name__ == "__main__":
    is_small = "--small" in sys.argv[1:]
    console = Console(width=110)
    figures = {
        **throughput_figures(console, small=is_small),
        **api_figures(console, small=is_small),
    }
    report(figures)

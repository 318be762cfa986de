"""Fills the demo's source databases with sample data up to a day; what is there stays as it is.

Run as `python -m batch_platform.sandbox.sample_sources HOME LAST_DAY`.
"""

import sys
from datetime import date
from pathlib import Path

from batch_platform.sandbox.leased import sample_source
from batch_platform.sandbox.sample_chats import write_sqlite


def main() -> None:
    """Write what is missing."""
    home, last_day = Path(sys.argv[1]), date.fromisoformat(sys.argv[2])
    write_sqlite(sample_source(home), last_day)


if __name__ == "__main__":
    main()

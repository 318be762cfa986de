"""Fills the demo's source databases with sample data up to a day; what is there stays as it is.

Run as `python -m batch_platform.sandbox.sample_sources HOME LAST_DAY`.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

from batch_platform.sandbox import sample_chats, sample_patients, sample_posts, sample_users
from batch_platform.sandbox.leased import (
    sample_patients_source,
    sample_posts_source,
    sample_source,
    sample_users_source,
)


def main() -> None:
    """Write what is missing."""
    home, last_day = Path(sys.argv[1]), date.fromisoformat(sys.argv[2])
    sample_chats.write_sqlite(sample_source(home), last_day)
    sample_users.write_sqlite(sample_users_source(home), last_day + timedelta(days=1))
    sample_patients.write_sqlite(sample_patients_source(home), last_day)
    sample_posts.write_csv(sample_posts_source(home), last_day)


if __name__ == "__main__":
    main()

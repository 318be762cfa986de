"""How long landing a day of 1,000,000 chats takes against reading its rows alone.

The limit is the platform's own reader that drops what it reads, in the same process just after; a
plain server-side cursor with the driver's types is the peer. The chats are in a MariaDB and go into
an embedded PostgreSQL, both on this machine and started for the purpose.
"""

import statistics

from batch_platform_tests.large_day import ROWS, LargeDay, fill_large_day, land_in_a_process
from batch_platform_tests.mariadb import running_mariadb
from benchmarks.figures import report
from benchmarks.scratch_database import scratch_database

TURNS = 3
AIM = 1.5
MEMORY_AIM_MB = 512


def extraction_figure(rows: int = ROWS, turns: int = TURNS) -> dict[str, dict[str, float | str]]:
    """Measure, print what was measured, and return the figures by name.

    Returns:
        `extraction_ratio`: median over the turns of landing to reading alone;
        `extraction_cursor_ratio`: the same to a plain server-side cursor; `extraction_peak_mb`.
    """
    measured: list[LargeDay] = []
    with running_mariadb() as server:
        fill_large_day(server, rows)
        for _ in range(turns):
            with scratch_database() as db:
                measured.append(land_in_a_process(server, db, with_cursor=True))
    ratio = statistics.median(one.landing_seconds / one.reading_seconds for one in measured)
    cursor = statistics.median(one.cursor_seconds or 0.0 for one in measured)
    to_cursor = statistics.median(one.landing_seconds for one in measured) / cursor
    peak = max(one.peak_mb for one in measured)
    growth = max(one.growth_mb for one in measured)
    print(f"landing {rows:,} chats from MariaDB, {turns} turns, medians")
    for words, seconds in (
        ("a plain server-side cursor, rows dropped", [cursor]),
        ("the platform's reader, rows dropped", [one.reading_seconds for one in measured]),
        ("landing the day", [one.landing_seconds for one in measured]),
    ):
        print(f"  {words:<42} {statistics.median(seconds):6.2f} s")
    print(f"  ratio to reading {ratio:.2f}, to the cursor {to_cursor:.2f}")
    print(f"  peak memory {peak:.0f} MB, of which the day's rows {growth:.0f} MB")
    return {
        "extraction_ratio": {"value": round(ratio, 3), "aim": AIM, "better": "lower"},
        "extraction_cursor_ratio": {"value": round(to_cursor, 3), "aim": AIM, "better": "lower"},
        "extraction_peak_mb": {"value": round(peak, 1), "aim": MEMORY_AIM_MB, "better": "lower"},
    }


if __name__ == "__main__":
    report(extraction_figure())

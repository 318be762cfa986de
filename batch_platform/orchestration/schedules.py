"""What a domain says about a schedule that it declares, beside when it is due.

A schedule declared in code is seen in the webserver as any other; `operations.schedules` notes its
times in the table of occurrences and launches its runs.
"""

MISSED_TAG = "batch_platform/missed"
"""Tag of a schedule: what becomes of the times at which the platform was down."""

MAKE_UP_FOR_ALL = {MISSED_TAG: "all"}
"""Every day (month) that was missed is made, the oldest first: what is missing stays missing."""

MAKE_UP_FOR_LATEST = {MISSED_TAG: "latest"}
"""Only the last missed time runs: what it makes stands for those before."""

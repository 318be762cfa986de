"""The chats domain against its limits: `python -m benchmarks.chats`, by hand, on a quiet machine.

Each part is a ratio to its bare limit measured in the same run; MariaDB must be installed.
"""

from benchmarks.chats_classification import classification_figure, paced_figure
from benchmarks.chats_extraction import extraction_figure
from benchmarks.chats_report import report_figure
from benchmarks.figures import report

if __name__ == "__main__":
    report({**extraction_figure(), **classification_figure(), **report_figure(), **paced_figure()})

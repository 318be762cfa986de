"""How commands talk to a person: tables, bars, one line for an error. Korean; no decisions here."""

import getpass
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from batch_platform.core.progress import ProgressReport

_WIDTH_OF_A_FILE = 240
"""Columns of a line that goes to a file or a pipe: a path there must not be broken in two."""

out = Console()
"""What a command was asked for; safe to pipe."""

err = Console(stderr=True)
"""Progress, warnings and errors."""

for _console in (out, err):
    if not _console.is_terminal:
        _console.width = _WIDTH_OF_A_FILE

MADE_UP = "[yellow]데모: 모든 데이터와 답변은 가상(샌드박스)입니다[/yellow]"


def marked(markup: str) -> Text:
    """A cell with colours: `marked("[green]정상[/green]")`. Other cells are shown as they are."""
    return Text.from_markup(markup)


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Sequence[int] = (),
) -> None:
    """Print a table; `right` names the columns, by index, that are numbers."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else escape(str(cell)) for cell in row))
    out.print(table)


def show_error(sentence: str) -> None:
    """Print the one line that ends a command, or that a part of it failed with."""
    err.print(f"[bold red]오류[/bold red] {escape(' '.join(sentence.split()))}", soft_wrap=True)


def person() -> str:
    """Who types: the name that a change is noted under."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "command line"


class WarningLines(logging.Handler):
    """Prints a warning of the platform's own as one line on the error stream, and only once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record that was not printed before."""
        sentence = " ".join(record.getMessage().split())
        if sentence not in self._shown:
            self._shown.add(sentence)
            err.print(f"[bold yellow]주의[/bold yellow] {escape(sentence)}", soft_wrap=True)


class ProgressBars:
    """A bar a step, made when the step first reports."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, step: str) -> ProgressReport:
        """The report that draws one step's bar."""
        task: TaskID | None = None

        def report(done: int, total: int | None, note: str = "") -> None:
            nonlocal task
            if task is None:
                task = self._progress.add_task(step, total=total, note="")
            self._progress.update(task, completed=done, total=total, note=note)

        return report


@contextmanager
def progress_bars() -> Iterator[ProgressBars]:
    """Draw bars on the error stream while the block runs; nothing when that is no terminal."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with progress:
        yield ProgressBars(progress)

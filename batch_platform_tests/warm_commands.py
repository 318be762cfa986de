"""The command line in processes that need not import Dagster and pandas anew: two seconds each.

They are forked from one that has imported what the platform uses, but nothing of the platform: its
own modules are read by each command, with that command's environment. Tests that send signals, or
that look at processes, start the installed script instead.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PACKAGES = [
    "aiohttp", "alembic.command", "dagster", "dagster_postgres", "holidays", "httpx", "openai",
    "openpyxl", "pandas", "psycopg", "pyarrow.parquet", "pydantic_settings", "rich.progress",
    "rich.table", "sqlalchemy", "typer",
]  # fmt: skip


def run_warm(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, seconds: float
) -> tuple[int, str, str]:
    """Run `batch-platform` with arguments; return its exit code, output and errors.

    Raises:
        TimeoutError: It did not end in time; it is killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PACKAGES)
    with tempfile.TemporaryDirectory() as temporary:
        out, err = Path(temporary, "out"), Path(temporary, "err")
        process = context.Process(
            target=_command, args=[list(arguments), dict(environment), folder, out, err]
        )
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{arguments} did not end in {seconds} s: {out.read_text()}")
        return process.exitcode, out.read_text(), err.read_text()


def _command(
    arguments: list[str], environment: dict[str, str], folder: Path, out: Path, err: Path
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    for stream, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["batch-platform", *arguments]
    from batch_platform.cli.main import main

    sys.exit(main())

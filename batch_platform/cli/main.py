"""`batch-platform`: every command of the platform under one roof.

Commands are thin: they read options, call the domains or operations, and show what came of it in
Korean. Only this file decides how an error ends a command. What is slow to import (Dagster, Arrow,
SQLAlchemy) is imported by the command that needs it: `--help` answers at once.
"""

import gc
import importlib.metadata
import logging
import sys
from typing import Annotated

import typer

from batch_platform.cli import (
    alerts,
    backups,
    chats,
    config,
    costs,
    deadlines,
    deployment,
    emotions,
    fortunes,
    imports,
    interventions,
    platform,
    quarantine,
    retention,
    schedules,
    stocks,
    tokens,
    workers,
)
from batch_platform.cli.console import WarningLines, err, out, show_error
from batch_platform.core.errors import ConfigurationError, PlatformError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130
_DEBUG = "--debug"

app = typer.Typer(
    name="batch-platform",
    help="야간 배치 플랫폼: 분류, 보고서, 메일을 한 곳에서 실행하고 확인합니다.",
    epilog="처음이라면: batch-platform demo  →  batch-platform up",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(chats.app, name="chats")
app.add_typer(fortunes.app, name="fortunes")
app.add_typer(backups.app, name="backups")
app.add_typer(interventions.app, name="interventions")
app.add_typer(emotions.app, name="emotions")
app.add_typer(stocks.app, name="stocks")
app.add_typer(backups.snapshots_app, name="snapshots")
app.add_typer(config.app, name="config")
app.add_typer(schedules.app, name="schedules")
app.add_typer(alerts.app, name="alerts")
app.add_typer(deadlines.app, name="deadlines")
app.add_typer(tokens.app, name="tokens")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(retention.app, name="retention")
app.add_typer(deployment.app, name="deploy")
app.add_typer(imports.app, name="import")
app.command(epilog="예: batch-platform costs   |   batch-platform costs --days 30 --json")(
    costs.costs
)
app.command(
    epilog="예: batch-platform worker   |   batch-platform worker --queue llm --concurrency 2"
)(workers.worker)
app.command(epilog="예: batch-platform cluster   |   batch-platform cluster --workers 4")(
    workers.cluster
)
platform.register(app)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        out.print(f"batch-platform {importlib.metadata.version('batch-platform')}", highlight=False)
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool,
        typer.Option(_DEBUG, help="기록과 스택 트레이스를 보입니다. 명령 뒤에 써도 됩니다."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="버전을 보입니다."),
    ] = False,
) -> None:
    """야간 배치 플랫폼: 분류, 보고서, 메일을 한 곳에서 실행하고 확인합니다."""
    # The first is read by `main`, wherever in the line it stands, the second by its callback.
    del debug, version


def main() -> None:
    """Run a command; an error ends it with one line that says what is wrong and what to do.

    Exit codes: 0 done, 1 failed, 2 wrong options or settings, 130 ended with Ctrl-C.
    """
    # What a command imports stays: looking for garbage in it, as often as Python does by itself, is
    # a seventh of a command's time.
    gc.set_threshold(50_000, 20, 50)
    arguments = [argument for argument in sys.argv[1:] if argument != _DEBUG]
    is_debug = len(arguments) < len(sys.argv) - 1
    log = logging.getLogger("batch_platform")
    log.setLevel(logging.DEBUG if is_debug else logging.WARNING)
    log.addHandler(WarningLines())
    try:
        app(arguments)
    except PlatformError as error:
        if is_debug:
            raise
        show_error(str(error))
        sys.exit(EXIT_CONFIGURATION if isinstance(error, ConfigurationError) else EXIT_FAILED)
    except SystemExit as end:
        # Typer makes this of Ctrl-C.
        if end.code == EXIT_INTERRUPTED:
            err.print("중단했습니다. 끝난 일은 저장되어 있고, 다시 실행하면 이어서 합니다.")
        raise


if __name__ == "__main__":
    main()

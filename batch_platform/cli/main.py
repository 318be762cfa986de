"""`batch-platform`: every command of the platform under one roof.

Commands are thin: they read options, call the domains or operations, and show what came of it in
Korean. Only this file decides how an error ends a command.
"""

import sys
from typing import Annotated

import typer

from batch_platform.cli import chats, config, platform
from batch_platform.cli.console import err
from batch_platform.core.errors import ConfigurationError, PlatformError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130

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
app.add_typer(config.app, name="config")
platform.register(app)


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="오류가 나면 스택 트레이스를 보입니다.")] = False,
) -> None:
    """Read the options that all commands share."""
    # Read again by `main`, which Typer does not hand a context.
    del debug


def main() -> None:
    """Run a command; an error ends it with one line that says what is wrong and what to do."""
    is_debug = "--debug" in sys.argv
    try:
        app(standalone_mode=True)
    except PlatformError as error:
        if is_debug:
            raise
        err.print(f"[bold red]오류[/bold red] {_escaped(str(error))}", soft_wrap=True)
        sys.exit(EXIT_CONFIGURATION if isinstance(error, ConfigurationError) else EXIT_FAILED)
    except KeyboardInterrupt:
        err.print("중단했습니다. 끝난 일은 저장되어 있고, 다시 실행하면 이어서 합니다.")
        sys.exit(EXIT_INTERRUPTED)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()

"""`python -m batch_platform.sandbox --home DIR`: every service of the sandbox in one process."""

import argparse
import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from batch_platform.core.errors import PlatformError
from batch_platform.sandbox.services import running_services

_PARENT_POLL_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; says the ports in a line of JSON when all is ready."""
    parser = argparse.ArgumentParser(
        prog="python -m batch_platform.sandbox",
        description="Local stand-ins for the model, the mail server and others: all made up.",
    )
    parser.add_argument("--home", type=Path, required=True, help="folder of mails and ports")
    parser.add_argument(
        "--model-delay", type=float, default=0.0, help="seconds that the model takes for an answer"
    )
    parser.add_argument(
        "--end-with-parent",
        action="store_true",
        help="end when the process that started this one has gone, even if it was killed",
    )
    asked = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(asked.home, asked.model_delay, asked.end_with_parent))
    except (PlatformError, OSError) as error:
        sys.stderr.write(f"The sandbox cannot start: {error}\n")
        return 2
    return 0


async def _serve(home: Path, model_delay_seconds: float, is_bound_to_parent: bool) -> None:
    parent = os.getppid()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with running_services(home, model_delay_seconds=model_delay_seconds) as addresses:
        sys.stdout.write(json.dumps({"made_up": True, **asdict(addresses)}) + "\n")
        sys.stdout.flush()
        while not ended.is_set() and not (is_bound_to_parent and os.getppid() != parent):
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _PARENT_POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m batch_platform.sandbox --home DIR`: every service of the sandbox in one process."""

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from batch_platform.core.errors import PlatformError
from batch_platform.sandbox.services import running_services


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
    asked = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(asked.home, asked.model_delay))
    except (PlatformError, OSError) as error:
        sys.stderr.write(f"The sandbox cannot start: {error}\n")
        return 2
    return 0


async def _serve(home: Path, model_delay_seconds: float) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with running_services(home, model_delay_seconds=model_delay_seconds) as addresses:
        sys.stdout.write(json.dumps({"made_up": True, **asdict(addresses)}) + "\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    sys.exit(main())

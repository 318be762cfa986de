"""A service to lease in tests: `python service.py FOLDER IDLE_SECONDS [fails|is-killed-once]`."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from batch_platform.core.errors import ConfigurationError, PlatformError
from batch_platform.gateways.leased_process import ServiceFolder, serve


class Counter:
    """Counts its starts in a file."""

    def __init__(self, folder: Path, fails: bool) -> None:
        self._file = folder / "starts"
        self._fails = fails

    def start(self) -> Mapping[str, object]:
        if self._fails:
            raise ConfigurationError("The service has no port", "Give it one")
        with self._file.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return {"answer": 42}

    def keep_alive(self) -> None:
        return None

    def stop(self) -> None:
        (self._file.parent / "stopped").touch()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if "is-killed-once" in sys.argv and not (folder / "was killed").exists():
        (folder / "was killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        serve(ServiceFolder(folder), Counter(folder, "fails" in sys.argv), float(sys.argv[2]))
    except PlatformError as error:
        sys.exit(str(error))

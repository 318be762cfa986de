"""The API in a process of its own for a load run: prints its port, serves until its input ends.

Run as `python -m benchmarks.fortunes_api_server`, the database's URL on the first line of input.
"""

import socket
import sys
import threading

from batch_platform.api.application import create_app
from batch_platform.api.server import server_of
from batch_platform.core.settings import load_settings
from batch_platform.gateways.platform_db import PlatformDb


def main() -> None:
    """Serve."""
    url = sys.stdin.readline().strip()
    server = server_of(create_app(load_settings(), open_db=lambda: PlatformDb(url)))

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=end_with_input, daemon=True).start()
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()

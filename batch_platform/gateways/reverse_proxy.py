"""nginx in front of webserver and API, as one process of a folder of its own.

What passes and what does not is in `deploy/proxy/batch-platform.conf.template`, the same file that
containers and plain hosts use; here it is only filled in and the program found.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from batch_platform.core.errors import ConfigurationError
from batch_platform.core.settings import PROJECT_ROOT

WEBSERVER_PREFIX = "/dagster"
"""`--path-prefix` of the webserver that operators use."""

VIEWER_PREFIX = "/view"
"""`--path-prefix` of the webserver with `--read-only` that viewers use."""

TEMPLATES = PROJECT_ROOT / "deploy" / "proxy"
_SITE = "batch-platform.conf"
_MAIN = "nginx.conf"
_NAME = re.compile(r"\$\{(PROXY_[A-Z_]+)\}")
_ADDRESS = re.compile(r"(?:(?P<host>[\w.*-]+|\[[0-9A-F:]+\]):)?(?P<port>\d{1,5})", re.ASCII | re.I)
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class ProxyAddresses:
    """Who listens where, each as host:port.

    Attributes:
        listen: The one address that people and programs use.
        api: The API's.
        webserver: Of Dagster's webserver, started with `--path-prefix /dagster`.
        viewer: Of a second one, started with `--path-prefix /view --read-only`.
    """

    listen: str
    api: str
    webserver: str
    viewer: str


def site_configuration(
    addresses: ProxyAddresses,
    *,
    access_log: str = "/dev/stdout",
    error_log: str = "stderr",
    tls: str = "/etc/nginx/batch-platform-tls/*.conf",
) -> str:
    """The part of nginx's configuration that belongs into its http block.

    Args:
        addresses: Who listens where.
        access_log: File of a line a request, without queries; `off` for none.
        error_log: File of what nginx itself cannot do.
        tls: Files, which need not exist, that add a listener with TLS.

    Raises:
        ConfigurationError: An address is none.
    """
    for name, address in asdict(addresses).items():
        _require_address(address, may_be_port=name == "listen")
    return _filled(
        _SITE,
        {
            "PROXY_LISTEN": addresses.listen,
            "PROXY_API": addresses.api,
            "PROXY_WEBSERVER": addresses.webserver,
            "PROXY_VIEWER": addresses.viewer,
            "PROXY_ACCESS_LOG": access_log,
            "PROXY_ERROR_LOG": error_log,
            "PROXY_TLS": tls,
        },
    )


def _require_address(address: str, *, may_be_port: bool) -> None:
    found = _ADDRESS.fullmatch(address)
    if (
        found is None
        or not (found["host"] or may_be_port)
        or not 1 <= int(found["port"]) <= _HIGHEST_PORT
    ):
        raise ConfigurationError(
            f"{address!r} is no address", "Write it as host:port, like 127.0.0.1:8080"
        )


def prepared_proxy(folder: Path, addresses: ProxyAddresses) -> Sequence[str]:
    """Write the configuration into a folder; return the command that serves by it, in front.

    SIGTERM ends it at once, SIGQUIT once what is under way has been answered.

    Raises:
        ConfigurationError: nginx is not installed.
    """
    nginx = nginx_program()
    folder.mkdir(parents=True, exist_ok=True)
    site = site_configuration(addresses, tls=f"{folder}/tls/*.conf")
    (folder / _SITE).write_text(site)
    (folder / _MAIN).write_text(_filled(_MAIN, {"PROXY_FOLDER": str(folder)}))
    return [nginx, "-p", str(folder), "-c", _MAIN, "-e", "stderr", "-g", "daemon off;"]


def nginx_program() -> str:
    """Path of nginx.

    Raises:
        ConfigurationError: It is not installed.
    """
    # Debian keeps it where an ordinary user's PATH does not look.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ConfigurationError("nginx is not installed", "Run apt install nginx-light")
    return found


def _filled(name: str, values: Mapping[str, str]) -> str:
    template = (TEMPLATES / f"{name}.template").read_text(encoding="utf-8")
    return _NAME.sub(lambda match: values[match[1]], template)

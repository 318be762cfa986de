"""`batch-platform debug-info`: what a helper needs to see, in one file that is safe to send.

Everything goes through one redactor: settings are masked, and the values of secrets and personal
data are taken out of every line. No row of a domain's table is in it.
"""

import importlib.metadata
import json
import platform as machine
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from batch_platform.cli.config import masked
from batch_platform.cli.reach import reach_everything
from batch_platform.core.errors import PlatformError
from batch_platform.core.redaction import redactor
from batch_platform.core.settings import Settings, unknown_variables
from batch_platform.gateways.files import atomic_file
from batch_platform.gateways.platform_db.migrations import current_revision
from batch_platform.gateways.platform_services import open_platform_db
from batch_platform.operations.incidents.store import IncidentBook

LOG_LINES = 1000
_PACKAGES = ("batch-platform", "dagster", "dagster-postgres", "psycopg", "sqlalchemy", "openai")


def write_bundle(settings: Settings, file: Path, now: datetime) -> list[str]:
    """Write the bundle.

    What cannot be read is in it as the sentence that says why: a bundle is asked for when something
    is broken.

    Args:
        settings: The active profile's.
        file: The ZIP file to write, readable by its owner only.
        now: The time, for the bundle's own note.

    Returns:
        Names of what it holds.

    Raises:
        ConfigurationError: The file cannot be written there.
    """
    redact = redactor(settings)
    with atomic_file(file, setting="--output") as temporary:
        temporary.chmod(0o600)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in _parts(settings, now):
                bundle.writestr(name, redact(text))
            return bundle.namelist()


def _parts(settings: Settings, now: datetime) -> Iterator[tuple[str, str]]:
    yield "versions.json", _json({"written_at": now.isoformat(), **_versions()})
    yield (
        "settings.txt",
        "".join(
            f"{variable}={masked(value)}\n" for _, variable, _, value, _ in settings.variables()
        )
        + "".join(f"# unknown: {name}\n" for name in unknown_variables()),
    )
    yield (
        "status.json",
        _json(
            [
                {"what": each.what, "state": each.state, "note": each.note}
                for each in reach_everything(settings)
            ]
        ),
    )
    yield "database.json", _or_why_not(lambda: _json(_database(settings)))
    for log in sorted((settings.home / "logs").glob("*.log")):
        yield f"logs/{log.name}", _last_lines(log)


def _versions() -> dict[str, Any]:
    return {
        "python": machine.python_version(),
        "system": machine.platform(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _database(settings: Settings) -> dict[str, Any]:
    db = open_platform_db(settings)
    ((server,),) = db.fetch_all("SHOW server_version")
    book = IncidentBook(db)
    return {
        "server_version": server,
        "revision": current_revision(db),
        "unsent_messages": book.unsent_count(),
        "open_incidents": [asdict(each) for each in book.open_incidents()],
    }


def _or_why_not(read: Callable[[], str]) -> str:
    try:
        return read()
    except PlatformError as error:
        return f"{error}\n"


def _last_lines(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return "".join(deque(lines, LOG_LINES))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n"

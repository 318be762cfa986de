"""Which world a process works in, live or demo, and the file its settings come from."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from batch_platform.core.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parents[3]
"""The checkout: `dagster.yaml`, `migrations/` and `.env` are beside the package."""

PROFILE_VARIABLE = "BATCH_PLATFORM_PROFILE"
ENV_FILE_VARIABLE = "BATCH_PLATFORM_ENV_FILE"
SECRETS_VARIABLE = "BATCH_PLATFORM_SECRETS"
LIVE_VARIABLES = (
    "PLATFORM_DATABASE_URL",
    "ENGINE_FOR_SQLALCHEMY",
    "DATABASE_URL",
    "INTERVENTIONS_DATABASE_URL",
    "KRX_AUTH_KEY",
    "OPENDART_API_KEY",
    "BATCH_PLATFORM_HOME",
    ENV_FILE_VARIABLE,
    SECRETS_VARIABLE,
)


class Profile(StrEnum):
    """Which world the platform works in; the two share no database and no folder."""

    LIVE = "live"
    DEMO = "demo"


def active_profile(environ: Mapping[str, str] = os.environ, root: Path = PROJECT_ROOT) -> Profile:
    """Tell which profile a process works in.

    Said by `BATCH_PLATFORM_PROFILE`; otherwise the demo's, if somebody asked for a demo here and
    nothing at all was configured for the live platform (no `.env`, no address in the environment).

    Raises:
        ConfigurationError: The variable names no profile.
    """
    said = environ.get(PROFILE_VARIABLE)
    if said:
        try:
            return Profile(said)
        except ValueError:
            raise ConfigurationError(
                f"{PROFILE_VARIABLE}={said!r} is no profile", "Use live or demo"
            ) from None
    is_configured = (root / ".env").exists() or any(environ.get(name) for name in LIVE_VARIABLES)
    if not is_configured and demo_env_file(root).exists():
        return Profile.DEMO
    return Profile.LIVE


def demo_env_file(root: Path = PROJECT_ROOT) -> Path:
    """The settings that `batch-platform demo` writes, and the only ones that the demo reads."""
    return root / "var" / "demo" / "demo.env"


def env_file() -> Path:
    """The file that the active profile's settings come from; it need not exist.

    For the live platform that is `.env`, or what `BATCH_PLATFORM_ENV_FILE` names: several platforms
    can share a checkout, and a test need not read a developer's.
    """
    if active_profile() is Profile.DEMO:
        return demo_env_file()
    return Path(os.environ.get(ENV_FILE_VARIABLE) or PROJECT_ROOT / ".env")

"""Addresses of the local stand-ins."""

from pathlib import Path

from batch_platform.core.settings.section import Section, variable


class SandboxSettings(Section):
    """Addresses of the local stand-ins. Set by the demo, never by hand on a live platform."""

    home: Path | None = variable("SANDBOX_HOME", None, "Folder of the sandbox's data and ports")
    model_delay_seconds: float = variable(
        "SANDBOX_MODEL_DELAY_SECONDS", 0.05, "Time the sandbox's model takes to answer", ge=0
    )

"""How a workflow tells how far it is, without knowing who listens. Pure."""

from typing import Protocol


class ProgressReport(Protocol):
    """Called by a workflow as often as it likes; cheap."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Tell how far the work is; `total` is None while nobody knows."""
        ...


def unheard(done: int, total: int | None, note: str = "") -> None:
    """A `ProgressReport` that nobody hears."""

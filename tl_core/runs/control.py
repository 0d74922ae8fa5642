"""How a run is asked to stop: by a flag in memory, or by a file in its folder that any process can leave."""

from pathlib import Path
from typing import Protocol

STOP_REQUEST = "stop.request"


class RunControl(Protocol):
    """What a run looks at before every step."""

    @property
    def stopped(self) -> bool:
        """Whether the run should keep what is best so far and end."""
        ...


class MemoryControl:
    """A flag for a run in the same process."""

    def __init__(self) -> None:
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether stop() was called."""
        return self._stopped

    def stop(self) -> None:
        """Ask the run to end after its current step."""
        self._stopped = True


class FileControl:
    """A file in the run's folder, obeyed by whatever process executes the run; a signal handler may call stop()."""

    def __init__(self, folder: Path) -> None:
        self._request = folder / STOP_REQUEST
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether this process or any other one asked to stop."""
        self._stopped = self._stopped or self._request.exists()
        return self._stopped

    def stop(self) -> None:
        """Ask the run to end after its current step; every process sees it."""
        self._stopped = True
        self._request.touch()

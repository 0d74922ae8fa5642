"""Every error that a person can meet.

GraftError              one clear sentence, and a hint what to do next
├── UsageError          a command or a name that does not exist
│   └── UnnamedNetwork  weights that do not say which network they belong to
├── DataError           a source that cannot become a data set
│   └── UnclearError    a source that could be read in several ways; the hint says how to choose one
├── ImportCancelled     an import that somebody stopped; nothing of it is kept
├── BackboneError       weights that are missing, or do not fit their architecture
├── DownloadError       weights that cannot be downloaded
├── DownloadCancelled   a download that somebody stopped; it goes on from there when it is asked for again
├── PlanError           a plan that cannot be read or executed
├── WorkspaceError      the place on disk: full, gone, not writable
├── RunError            a run that cannot start, or ended badly
└── ExportError         a bundle that cannot be written or read
"""


class GraftError(Exception):
    """One clear sentence, and a `hint` what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(GraftError):
    """A command, an option or a name that does not exist."""


class DataError(GraftError):
    """A source that cannot become a data set."""


class UnclearError(DataError):
    """A source that could be read in several ways; the hint says how to choose one."""


class ImportCancelled(GraftError):
    """An import that somebody stopped; a progress callback raises it, and nothing of the import is kept."""

    def __init__(self, message: str = "The import was cancelled.", hint: str = "Nothing was kept of it.") -> None:
        super().__init__(message, hint)


class BackboneError(GraftError):
    """Weights that are missing, or do not fit their architecture."""


class UnnamedNetwork(UsageError):
    """Weights that do not say which network they belong to: a person has to name it."""


class DownloadError(GraftError):
    """Weights that cannot be downloaded: no network, no access, nothing there, or a fault on the way."""


class DownloadCancelled(GraftError):
    """A download that was stopped: what has arrived is kept for the next time."""

    def __init__(
        self,
        message: str = "The download was stopped.",
        hint: str = "What has arrived is kept: the same command goes on from there.",
    ) -> None:
        super().__init__(message, hint)


class PlanError(GraftError):
    """A plan that cannot be read or executed."""


class WorkspaceError(GraftError):
    """The place on disk is full, gone or not writable."""


class RunError(GraftError):
    """A run that cannot start, or ended badly."""


class ExportError(GraftError):
    """A bundle that cannot be written or read."""

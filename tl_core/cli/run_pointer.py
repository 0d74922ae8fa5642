"""A small file in the `train --out` folder that names the run which fills it, so that `resume` finds that run."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from tl_core.errors import RunError, UsageError, WorkspaceError
from tl_core.runs.store import RunState, RunStore
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

POINTER = "run.json"


@dataclass(frozen=True)
class RunPointer:
    """The run whose model goes into a folder, and the workspace of that run."""

    workspace: Path
    run: str

    def state(self) -> RunState | None:
        """Return the state of the run, or None if it no longer exists."""
        if not self.workspace.is_dir():
            return None
        try:
            return RunStore(Workspace(self.workspace)).state(self.run)
        except (RunError, WorkspaceError):
            return None


def read_pointer(out: Path) -> RunPointer | None:
    """Return the pointer in a folder, or None if there is none."""
    try:
        return load(RunPointer, read_json(out / POINTER))
    except (OSError, ValueError):
        return None


def write_pointer(out: Path, pointer: RunPointer) -> None:
    """Write into `out`, created if missing, which run fills it. Raises UsageError if that is not possible."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / POINTER, dump(pointer))
    except (OSError, WorkspaceError) as error:
        raise UsageError(f"The folder {out} cannot be written.", "Name another one, or free some space.") from error


def clear_pointer(out: Path) -> None:
    """Remove the pointer, and the folder if it is then empty."""
    (out / POINTER).unlink(missing_ok=True)
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()


def command(out: Path) -> str:
    """Return the command that resumes the training into `out`."""
    return f"python -m tl_core resume {shlex.quote(str(out))}"

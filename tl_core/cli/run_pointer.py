"""A small file in the folder that `train --out` will fill: which run fills it, so that `resume` finds it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tl_core.errors import RunError, UsageError, WorkspaceError
from tl_core.runs.store import RunState, RunStore
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

POINTER = "run.json"


@dataclass(frozen=True)
class RunPointer:
    """The run whose model belongs into a folder, and the workspace that it is in."""

    workspace: Path
    run: str

    def state(self) -> RunState | None:
        """Return how the run stands, None where it is gone."""
        if not self.workspace.is_dir():
            return None
        try:
            return RunStore(Workspace(self.workspace)).state(self.run)
        except (RunError, WorkspaceError):
            return None


def read_pointer(out: Path) -> RunPointer | None:
    """Return the mark in a folder, None where there is none."""
    try:
        return load(RunPointer, read_json(out / POINTER))
    except (OSError, ValueError, ValidationError):
        return None


def write_pointer(out: Path, pointer: RunPointer) -> None:
    """Note in `out`, made where it is missing, which run fills it. Raises UsageError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / POINTER, dump(pointer))
    except (OSError, WorkspaceError) as error:
        raise UsageError(f"The folder {out} cannot be written.", "Name another one, or free some space.") from error


def clear_pointer(out: Path) -> None:
    """Remove the mark, and the folder where it holds nothing else."""
    (out / POINTER).unlink(missing_ok=True)
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()


def command(out: Path) -> str:
    """Return what to type to go on with the training into `out`."""
    return f"python -m tl_core resume {shlex.quote(str(out))}"

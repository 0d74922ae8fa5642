"""`resume`: continue a training that ended early; the result is the same as without the interruption."""

import argparse
from pathlib import Path

from tl_core.cli.console import Console
from tl_core.cli.run_pointer import RunPointer, read_pointer
from tl_core.cli.running import resume_here
from tl_core.cli.train import deliver, hint_to_resume
from tl_core.errors import RunError, UsageError
from tl_core.runs.store import RunState
from tl_core.workspace import Workspace


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Continue from the last checkpoint, and copy the bundle out. Raises UsageError if there is nothing to resume."""
    out: Path = arguments.out
    pointer, state = find(out)
    workspace = Workspace(pointer.workspace)
    if state.resumable:
        with hint_to_resume(workspace, state.id, out, console):
            state = resume_here(workspace, state.id, console)
    elif state.status == "failed":
        raise RunError(state.reason, state.hint)
    return deliver(workspace, state, out, arguments.json, console)


def find(out: Path) -> tuple[RunPointer, RunState]:
    """Return the run that `out` waits for. Raises UsageError."""
    pointer = read_pointer(out)
    if pointer is None:
        raise UsageError(*_nothing(out))
    state = pointer.state()
    if state is None:
        raise UsageError(f"The run that was to fill {out} was deleted.", "Start again with `train`.")
    if state.status == "queued":
        raise UsageError("This training waits for its turn in the app already.", "Start the app, or stop it there.")
    if state.status == "running":
        raise UsageError(f"The training into {out} is still going.", "Let it go on, or stop it with Ctrl-C first.")
    return pointer, state


def _nothing(out: Path) -> tuple[str, str]:
    if (out / "weights.safetensors").is_file():
        return f"The folder {out} holds a finished model, so there is nothing to resume.", ""
    if not out.exists():
        return f"There is no folder {out}.", "Name the folder that was given to `train --out`."
    return f"No training into {out} was interrupted.", "Name the folder that was given to `train --out`."

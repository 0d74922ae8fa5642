"""Execute a run in this process, in the app's run folder, and show its progress."""

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from types import FrameType

from tl_core.cli.console import Console, duration
from tl_core.errors import RunError
from tl_core.runs import process
from tl_core.runs.control import FileControl
from tl_core.runs.events import (
    EpochDone,
    Noted,
    PhaseStarted,
    PlanEdited,
    Progress,
    RunEvent,
    RunPaused,
    RunResumed,
    StepDone,
)
from tl_core.runs.failure import LOG
from tl_core.runs.history import describe_event
from tl_core.runs.record import record
from tl_core.runs.store import RunState, RunStore
from tl_core.runs.task import Task
from tl_core.workspace import Workspace


def run_here(workspace: Workspace, task: Task, console: Console) -> RunState:
    """Execute a task to its end. Ctrl-C stops it and keeps the best weights; a second Ctrl-C ends it at once.

    Raises RunError if it fails.
    """
    return follow(workspace, begin(workspace, task), console)


def resume_here(workspace: Workspace, run_id: str, console: Console) -> RunState:
    """Resume a run that ended early. Raises RunError if it cannot be resumed, or if it fails."""
    RunStore(workspace).resume(run_id, owner=process.identify(os.getpid()))
    return follow(workspace, run_id, console)


def begin(workspace: Workspace, task: Task) -> str:
    """Write a new run as the work of this process, and return its id."""
    return RunStore(workspace).create(task, owner=process.identify(os.getpid()))


def follow(workspace: Workspace, run_id: str, console: Console) -> RunState:
    """Execute this process's run to its end, and show its progress. Raises RunError if it fails."""
    from tl_core.jobs import execute

    store = RunStore(workspace)
    folder, task = store.folder(run_id), store.task(run_id)
    control = FileControl(folder)
    with store.claim(run_id) as claimed, _ctrl_c(control, console), _logging_to(folder / LOG):
        if not claimed:
            raise RunError("Another process is at work on this run.", "Wait until it has ended.")
        for event in record(execute(task, workspace, folder, control), folder):
            show(event, console)
    state = store.state(run_id)
    if state.status == "failed":
        hint = state.hint
        if (folder / LOG).exists() and LOG in hint:
            hint = f"The details are in {folder / LOG}."
        raise RunError(state.reason, hint)
    return state


def run_to_end(workspace: Workspace, task: Task, console: Console) -> RunState:
    """Execute a task whose partial result is useless. Raises KeyboardInterrupt if it was stopped."""
    state = run_here(workspace, task, console)
    if state.status == "stopped":
        raise KeyboardInterrupt
    return state


def show(event: RunEvent, console: Console) -> None:
    """Show one event on the progress line."""
    match event:
        case Progress():
            console.stage(event.stage, event.done, event.total)
        case PhaseStarted():
            console.moving(event.name, f"Phase {event.index + 1}: {event.name}")
        case StepDone():
            left = duration(event.seconds_left)
            text = (
                f"Step {event.step:,} of {event.steps:,}, loss {event.loss:.3f}, {event.items_per_second:.0f} items/s"
            )
            console.moving("training", f"{text}, {left} left", last=event.step == event.steps)
        case EpochDone():
            console.moving("training", f"Epoch {event.epoch + 1}{_accuracies(event)}")
        case RunPaused() | RunResumed() | PlanEdited():
            console.note(describe_event(event))
        case Noted() if event.finding.level != "info":
            console.note(f"{event.finding.message} {event.finding.hint}".strip())


def _accuracies(event: EpochDone) -> str:
    both = {"training": event.train, "validation": event.validation}
    return "".join(f", {name} accuracy {of['accuracy']:.3f}" for name, of in both.items() if "accuracy" in of)


@contextlib.contextmanager
def _ctrl_c(control: FileControl, console: Console) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) ask the run to stop, and a second one interrupt."""

    def stop(number: int, frame: FrameType | None) -> None:
        if control.stopped:
            raise KeyboardInterrupt
        control.stop()
        console.note("Stopping after this step; press Ctrl-C again to end at once.")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _logging_to(path: os.PathLike[str]) -> Iterator[None]:
    """Send what the engine logs to the run's own log instead of the terminal."""
    handler = logging.FileHandler(path, delay=True, encoding="utf-8")
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()

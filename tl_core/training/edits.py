"""Requests that a phase follows between two steps: to pause, and to change what learns at which rate."""

import math
import time
from collections.abc import Generator, Sequence

from tl_core.layers import HEAD, titles
from tl_core.plan import Phase, check, with_rate
from tl_core.runs.control import Edit
from tl_core.runs.events import Noted, PlanEdited, RunEvent, RunPaused, RunResumed
from tl_core.training.parts import RunParts
from tl_core.training.phase import PhaseState
from tl_core.training.resume import write_checkpoint
from tl_core.training.run_state import Events, raise_if_stopped
from tl_core.types import Finding

POLL = 0.2
"""Seconds between two looks of a paused run at its control."""


def follow_requests(state: PhaseState) -> Generator[RunEvent, None, bool]:
    """Pause while asked to, and apply the edits that are due; return whether the phase should end here."""
    parts, index = state.parts, state.index
    raise_if_stopped(parts.control)
    if parts.control.paused:
        write_checkpoint(parts, index, state)
        yield from pause(parts, index, state.epoch)
    for edit in edits_due(parts, index):
        parts.edited.edits_applied = max(parts.edited.edits_applied, edit.number)
        if (finding := refusal(parts, index, edit)) is not None:
            yield Noted(finding)
            continue
        yield PlanEdited(edit.number, parts.counter.step, index, edit.action, edit.group, edit.rate)
        if edit.action == "skip":
            parts.best.count_as_gain()  # somebody who skips a phase wants the next one to be trained
            return True
        rate = edit.rate if edit.action == "rate" else None
        parts.edited.plan = with_rate(parts.edited.plan, index, edit.group, rate)
        if rate is not None:
            parts.starting.remember([edit.group])
        yield from state.rebuild()
    return False


def pause(parts: RunParts, index: int, epoch: int) -> Events:
    """Wait until the run is asked to go on, or to stop. The clock stands still."""
    now = parts.clock.now()
    yield RunPaused(parts.counter.step)
    while parts.control.paused and not parts.control.stopped:
        time.sleep(POLL)
    parts.clock.set(now)
    raise_if_stopped(parts.control)
    yield RunResumed(parts.counter.step, index, epoch, restarted=False)


def refuse_edits(parts: RunParts, index: int) -> Events:
    """Refuse every edit that is requested while a head is solved."""
    for edit in edits_due(parts, index):
        parts.edited.edits_applied = max(parts.edited.edits_applied, edit.number)
        message = "The head is being solved in one piece, so nothing in this phase can be changed while it runs."
        yield Noted(_finding(message, "Wait for the next phase, or stop the run."))


def edits_due(parts: RunParts, index: int) -> Sequence[Edit]:
    """Return the edits to apply before the next step, in order; those of the job come at the steps that they name."""
    applied, step = parts.edited.edits_applied, parts.counter.step
    of_job = [edit for edit in parts.job.edits if edit.number > applied]
    due = [edit for edit in of_job if (edit.phase, edit.step) <= (index, step)]
    edits = [Edit(edit.number, edit.action, edit.group, edit.rate) for edit in due]
    if len(due) < len(of_job):  # the control repeats requests that the job has already, but these must wait
        return edits
    last = max((edit.number for edit in parts.job.edits), default=0)
    return [*edits, *parts.control.edits(max(applied, last))]


def refusal(parts: RunParts, index: int, edit: Edit) -> Finding | None:
    """Return why an edit cannot be applied, None where it can."""
    if edit.action == "skip":
        return None
    plan, freezer = parts.edited.plan, parts.freezer
    if edit.action == "freeze":
        return _refusal_to_freeze(parts, plan.phases[index], edit.group)
    if edit.rate is None or not math.isfinite(edit.rate):
        message = f"The request to change {_title(parts, edit.group)} names no rate."
        return _finding(message, "A rate is a number above 0.")
    if not any(freezer.may_learn(name) for name in freezer.owned.get(edit.group, [""])):
        message = f"There is no adapter in {_title(parts, edit.group)}, so nothing in it can learn."
        return _finding(message, "Start a run whose plan names this group.")
    place = (f"phases/{index}/lr/{edit.group}",)
    findings = check(with_rate(plan, index, edit.group, edit.rate), [group.name for group in parts.job.spec.groups])
    blocking = [finding for finding in findings if finding.level == "stop" and finding.items == place]
    return _finding(blocking[0].message, blocking[0].hint) if blocking else None


def _refusal_to_freeze(parts: RunParts, phase: Phase, group: str) -> Finding | None:
    owned = parts.freezer.owned
    if group not in owned:
        return _finding(f"There is no layer group {group!r} to freeze.", f"There are: {', '.join(owned)}.")
    if group not in phase.lr:
        return _finding(f"{_title(parts, group)} is frozen already.", "Nothing was changed.")
    if len(phase.lr) == 1:
        message = f"Only {_title(parts, group)} learns, so it cannot be frozen."
        return _finding(message, "To end the phase, skip it.")
    if group == HEAD and parts.head.untrained:
        return _finding("The head has not learned for a whole epoch yet, so it cannot be frozen.", "Wait for its end.")
    return None


def _title(parts: RunParts, group: str) -> str:
    """Return what a layer group is called on the pages."""
    return titles(parts.freezer.owned).get(group, repr(group))


def _finding(message: str, hint: str) -> Finding:
    return Finding("warn", "edit", message, f"{hint} The run goes on as it was.")

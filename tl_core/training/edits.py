"""Requests that a phase obeys between two steps: to wait, and to change what learns at which rate."""

import math
import time
from collections.abc import Generator, Sequence

from tl_core.layers import HEAD, titles
from tl_core.plan import Phase, check, with_rate
from tl_core.runs.control import Edit
from tl_core.runs.events import Noted, PlanEdited, RunEvent, RunPaused, RunResumed
from tl_core.training.phase_state import PhaseState
from tl_core.training.run import Run
from tl_core.training.state import capture
from tl_core.types import Finding

LOOK = 0.2
"""Seconds between two looks of a run that waits."""

Events = Generator[RunEvent, None, None]


def obey(descent: PhaseState) -> Generator[RunEvent, None, bool]:
    """Wait while asked to, and make the edits that are due; returns whether the phase is to end here."""
    run, index = descent.run, descent.index
    run.check()
    if run.control.paused:
        if run.job.checkpoints:
            run.checkpoints.write(capture(run, index, descent))
        yield from wait(run, index, descent.epoch)
    for edit in due(run, index):
        run.obeyed = max(run.obeyed, edit.number)
        if (wrong := refusal(run, index, edit)) is not None:
            yield Noted(wrong)
            continue
        yield PlanEdited(edit.number, run.step, index, edit.action, edit.group, edit.rate)
        if edit.action == "skip":
            return True
        rate = edit.rate if edit.action == "rate" else None
        run.plan = with_rate(run.plan, index, edit.group, rate)
        if rate is not None:
            run.remember([edit.group])
        yield from descent.rebuild()
    return False


def wait(run: Run, index: int, epoch: int) -> Events:
    """Wait until the run is asked to go on, or to stop; the time does not count."""
    now = run.now()
    yield RunPaused(run.step)
    while run.control.paused and not run.control.stopped:
        time.sleep(LOOK)
    run.set_time(now)
    run.check()
    yield RunResumed(run.step, index, epoch, restarted=False)


def refuse(run: Run, index: int) -> Events:
    """Pass over every edit that is asked for while a head is solved."""
    for edit in due(run, index):
        run.obeyed = max(run.obeyed, edit.number)
        message = "The head is being solved as a whole, so nothing of this phase can be changed while it runs."
        yield Noted(_finding(message, "Wait for the next phase, or stop the run."))


def due(run: Run, index: int) -> Sequence[Edit]:
    """Return the edits to make before the next step, in order: those known beforehand at their own steps."""
    known = [edit for edit in run.job.edits if edit.number > run.obeyed]
    here = [edit for edit in known if (edit.phase, edit.step) <= (index, run.step)]
    last = max((edit.number for edit in run.job.edits), default=0)
    told = [Edit(edit.number, edit.action, edit.group, edit.rate) for edit in here]
    # a request that the log has already comes again from the control, but not before its step
    return told if len(here) < len(known) else [*told, *run.control.edits(max(run.obeyed, last))]


def refusal(run: Run, index: int, edit: Edit) -> Finding | None:
    """Return why an edit cannot be made, None where it can."""
    if edit.action == "skip":
        return None
    phase, groups = run.plan.phases[index], [group.name for group in run.job.spec.groups]
    if edit.action == "rate":
        if edit.rate is None or not math.isfinite(edit.rate):
            message = f"The request to change {_told(run, edit.group)} names no rate."
            return _finding(message, "A rate is a number above 0.")
        changed = with_rate(run.plan, index, edit.group, edit.rate)
        if not any(run.freezer.may_learn(name) for name in run.freezer.owned.get(edit.group, [""])):
            hint = "Start a run whose plan names this group."
            return _finding(f"There is no adapter in {_told(run, edit.group)}, so nothing in it can learn.", hint)
        places = (f"phases/{index}/lr/{edit.group}",)
        wrong = [f for f in check(changed, groups) if f.level == "stop" and f.items == places]
        return _finding(wrong[0].message, wrong[0].hint) if wrong else None
    return _no_freeze(run, phase, edit.group)


def _no_freeze(run: Run, phase: Phase, group: str) -> Finding | None:
    if group not in run.freezer.owned:
        hint = f"There are: {', '.join(run.freezer.owned)}."
        return _finding(f"There is no layer group {group!r} to freeze.", hint)
    if group not in phase.lr:
        return _finding(f"Frozen already: {_told(run, group)}.", "Nothing was changed.")
    if len(phase.lr) == 1:
        return _finding(f"Only {_told(run, group)} learns, so it cannot be frozen.", "To end the phase, skip it.")
    if group == HEAD and run.fresh:
        return _finding("The head has not learned a whole epoch yet, so it cannot be frozen.", "Wait for its end.")
    return None


def _told(run: Run, group: str) -> str:
    """Return how a person knows a layer group."""
    return titles(run.freezer.owned).get(group, repr(group))


def _finding(message: str, hint: str) -> Finding:
    return Finding("warn", "edit", message, f"{hint} The run goes on as it was.")

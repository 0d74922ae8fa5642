"""The history of a run over all its attempts: only the work that was not lost when it was resumed."""

from collections.abc import Iterable

from tl_core.runs.events import (
    EpochDone,
    LayerStats,
    PhaseSkipped,
    PhaseStarted,
    PlanEdited,
    RunEnded,
    RunEvent,
    RunPaused,
    RunResumed,
    RunStarted,
    StepDone,
)


def is_lost(event: RunEvent, resumed: RunResumed) -> bool:
    """Return whether `event`, of an earlier attempt, is work after the checkpoint that `resumed` continues from."""
    match event:
        case EpochDone() | LayerStats():
            return (event.phase, event.epoch) >= (resumed.phase, resumed.epoch)
        case StepDone():
            return event.step > resumed.step
        case PhaseStarted() | PhaseSkipped():
            return event.index > resumed.phase
        case RunEnded():
            return True
    return False


def kept_events(events: Iterable[RunEvent]) -> list[RunEvent]:
    """Return the events of all work that was not lost, in order; work that was done again appears once.

    If an attempt starts a phase again, or the whole run because nothing was saved, the later events count.
    """
    kept: list[RunEvent] = []
    for event in events:
        match event:
            case RunResumed(restarted=True):
                kept = [old for old in kept if not is_lost(old, event)]
            case RunStarted():
                kept = [old for old in kept if isinstance(old, PlanEdited)]
            case PhaseStarted():
                kept = [old for old in kept if not (isinstance(old, PhaseStarted) and old.index == event.index)]
        kept.append(event)
    return kept


def edits(events: Iterable[RunEvent]) -> tuple[PlanEdited, ...]:
    """Return the changes that were made during the run, each request once, in order of their numbers."""
    by_number = {event.number: event for event in events if isinstance(event, PlanEdited)}
    return tuple(by_number[number] for number in sorted(by_number))


def describe_event(event: PlanEdited | RunPaused | RunResumed) -> str:
    """Return a sentence about an event that a person caused during a run.

    Compares class names, not classes: a hot-reloaded module has new classes.
    """
    match type(event).__name__, event:
        case "RunPaused", _:
            return f"Paused after step {event.step:,}."
        case "RunResumed", _ if getattr(event, "restarted", False):
            return f"Resumed from the checkpoint of step {event.step:,}."
        case "RunResumed", _:
            return f"Resumed after step {event.step:,}."
    return _edit_in_words(event)  # type: ignore[arg-type]


def _edit_in_words(event: PlanEdited) -> str:
    if event.action == "skip":
        return f"Phase {event.phase + 1} was ended by hand after step {event.step:,}."
    how = "is frozen" if event.action == "freeze" else f"learns at the rate {event.rate:g}"
    return f"Since step {event.step + 1:,}, {event.group} {how}: changed by hand."

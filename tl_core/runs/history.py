"""What of a run's log counts: without what an interrupted attempt did after the checkpoint that was gone on from."""

from collections.abc import Iterable

from tl_core.runs.events import (
    EpochDone,
    LayerStats,
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
    """Whether `event`, from an earlier attempt, tells of work after the checkpoint that `resumed` goes on from."""
    match event:
        case EpochDone() | LayerStats():
            return (event.phase, event.epoch) >= (resumed.phase, resumed.epoch)
        case StepDone():
            return event.step > resumed.step
        case PhaseStarted():
            return event.index > resumed.phase
        case RunEnded():
            return True
    return False


def kept_events(events: Iterable[RunEvent]) -> list[RunEvent]:
    """Return the events of the work that counts, in order: what was done twice appears once.

    A phase that an attempt begins again, and a run that begins again because nothing was saved, replace themselves.
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
    """Return what was changed while the run went on, each request once, by its number."""
    found = {event.number: event for event in events if isinstance(event, PlanEdited)}
    return tuple(found[number] for number in sorted(found))


def describe_event(event: PlanEdited | RunPaused | RunResumed) -> str:
    """Return a sentence about what somebody did to a run while it went on.

    Tells the events apart by name, because a module that was loaded anew has classes of its own.
    """
    match type(event).__name__, event:
        case "RunPaused", _:
            return f"Paused after step {event.step:,}."
        case "RunResumed", _ if getattr(event, "restarted", False):
            return f"Went on from what was saved after step {event.step:,}."
        case "RunResumed", _:
            return f"Went on after step {event.step:,}."
    return _edit_in_words(event)  # type: ignore[arg-type]


def _edit_in_words(event: PlanEdited) -> str:
    if event.action == "skip":
        return f"Phase {event.phase + 1} was ended by hand after step {event.step:,}."
    how = "is frozen" if event.action == "freeze" else f"learns at the rate {event.rate:g}"
    return f"Since step {event.step + 1:,}, {event.group} {how}: changed by hand."

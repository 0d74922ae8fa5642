"""What of a run's log counts: without what an interrupted attempt did after the checkpoint that was gone on from."""

from collections.abc import Iterable

from tl_core.runs.events import (
    EpochDone,
    LayerStats,
    PhaseStarted,
    PlanEdited,
    RunEnded,
    RunEvent,
    RunResumed,
    RunStarted,
    StepDone,
)


def lost(event: RunEvent, resumed: RunResumed) -> bool:
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


def surviving(events: Iterable[RunEvent]) -> list[RunEvent]:
    """Return the events of the work that counts, in order: what was done twice appears once.

    A phase that an attempt begins again, and a run that begins again because nothing was saved, replace themselves.
    """
    kept: list[RunEvent] = []
    for event in events:
        match event:
            case RunResumed(restarted=True):
                kept = [old for old in kept if not lost(old, event)]
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

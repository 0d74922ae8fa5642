"""The state of a training over all its attempts, so that a resumed run does not repeat finished work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tl_core.runs import event_log
from tl_core.runs.events import EpochDone, PlanEdited, RunEnded, RunEvent, RunResumed
from tl_core.runs.history import edits, kept_events
from tl_core.runs.record import EVENTS_FILE
from tl_core.runs.store import TRAINED
from tl_core.types import dump, load
from tl_core.workspace import read_json, write_json


@dataclass(frozen=True)
class _Trained:
    """How a training ended whose result was not measured yet."""

    ended: RunEnded
    validation: Mapping[str, float]
    seconds: float


@dataclass
class ResumeState:
    """The finished epochs and the seconds of training so far; `ended` is set once the training is over."""

    epochs: list[RunEvent] = field(default_factory=list)
    edits: tuple[PlanEdited, ...] = ()
    begun: bool = False
    seconds: float = 0.0
    ended: RunEnded | None = None
    _validation: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> "ResumeState":
        """Read the state from a run's folder; it is empty for a first attempt."""
        events = event_log.read(folder / EVENTS_FILE)[0]
        epochs = [event for event in kept_events(events) if isinstance(event, EpochDone)]
        progress = cls([*epochs], edits(events), bool(events), sum(event.seconds for event in epochs))
        try:
            trained = load(_Trained, read_json(folder / TRAINED))
        except (OSError, ValueError):
            return progress
        progress.ended, progress.seconds, progress._validation = trained.ended, trained.seconds, trained.validation
        return progress

    def take(self, event: RunEvent) -> None:
        """Update the state with an event of this attempt."""
        if isinstance(event, EpochDone | RunResumed):
            self.epochs = kept_events([*self.epochs, event])
        elif isinstance(event, RunEnded):
            self.ended = event

    @property
    def validation(self) -> Mapping[str, float]:
        """The validation metrics of the best weights."""
        kept = (e.validation for e in reversed(self.epochs) if isinstance(e, EpochDone) and e.best)
        return self._validation or next(kept, {})

    def save(self, folder: Path) -> None:
        """Save that the training is over. Raises WorkspaceError."""
        assert self.ended is not None
        write_json(folder / TRAINED, dump(_Trained(self.ended, self.validation, self.seconds)))

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tl_core.runs.events import (
    EpochDone,
    LayerStats,
    PhaseSkipped,
    PhaseStarted,
    PlanEdited,
    RunEnded,
    RunResumed,
    StepDone,
)
from tl_core.runs.history import describe_event, edits, kept_events

STEPS = 3  # in an epoch
EPOCHS = 2  # in a phase


def work(start: int, end: int) -> list:
    """Return the events of a three-phase run from step `start` to `end`; a resumed phase starts anew."""
    events = []
    for step in range(start, end):
        phase, within = divmod(step, STEPS * EPOCHS)
        if within == 0 or step == start:
            events.append(PhaseStarted(phase, f"phase {phase}", EPOCHS, {"head": 0.1}, STEPS * EPOCHS, at=0))
        events.append(StepDone(phase, step + 1, 18, 1.0, {}, 1.0, 1.0, at=0))
        if (step + 1) % STEPS == 0:
            events.append(EpochDone(phase, within // STEPS, {}, {}, 1.0, False, at=0))
            events.append(LayerStats(phase, within // STEPS, {}, at=0))
    return events


@given(st.lists(st.tuples(st.integers(1, 18), st.integers(0, 18)), max_size=4))
def test_repeated_work_counts_once(attempts):
    """Attempts are killed and resumed from an earlier epoch; the kept events are those of one whole run."""
    events, at = [], 0
    for killed_at, resumed_from in attempts:
        killed = min(18, max(at, killed_at))
        events += work(at, killed)
        at = min(resumed_from, killed) // STEPS * STEPS
        phase, within = divmod(at, STEPS * EPOCHS)
        events.append(RunResumed(at, phase, within // STEPS, restarted=True, at=0))
    events += work(at, 18)
    counted = [event for event in kept_events(events) if not isinstance(event, RunResumed)]
    for kind in (StepDone, EpochDone, LayerStats):
        assert [e for e in counted if isinstance(e, kind)] == [e for e in work(0, 18) if isinstance(e, kind)]
    assert [e.index for e in counted if isinstance(e, PhaseStarted)] == [0, 1, 2]


def test_a_pause_keeps_all_events_and_drops_an_earlier_end():
    events = [*work(0, 5), RunResumed(5, 0, 1, restarted=False)]
    assert kept_events(events) == events
    failed = [*work(0, 5), RunEnded("failed", "Because."), RunResumed(5, 0, 1, restarted=True)]
    assert RunEnded not in {type(event) for event in kept_events(failed)}


def test_a_phase_skipped_in_two_attempts_counts_once():
    skipped = PhaseSkipped(2, "phase 2", at=0)
    events = [*work(0, 12), skipped, RunResumed(9, 1, 1, restarted=True), *work(9, 12), skipped]
    assert [event for event in kept_events(events) if isinstance(event, PhaseSkipped)] == [skipped]


def test_a_repeated_edit_counts_once():
    first, second = PlanEdited(1, 4, 0, "rate", "head", 0.1), PlanEdited(2, 9, 1, "skip")
    assert edits([first, second, RunResumed(6, 1, 0, True), replace(second, at=0)])[0] == first
    assert [edit.number for edit in edits([first, second, second])] == [1, 2]


def test_resuming_is_described_in_words():
    again = RunResumed(12, 0, 1, restarted=False)
    assert describe_event(again) == "Resumed after step 12."
    assert describe_event(replace(again, restarted=True)) == "Resumed from the checkpoint of step 12."

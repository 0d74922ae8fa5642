import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tl_core.plan import Head, Phase, Reason, TransferPlan
from tl_core.runs import event_log
from tl_core.runs.events import (
    EVENTS,
    CheckpointSaved,
    EpochDone,
    Noted,
    PhaseSkipped,
    PhaseStarted,
    Progress,
    RunEnded,
    RunEvent,
    RunStarted,
    StepDone,
)
from tl_core.types import Finding

words = st.text(max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**9)
rates = st.dictionaries(words, numbers, max_size=3)
phases = st.builds(Phase, name=words, epochs=counts, lr=rates, patience=st.none() | counts)
plans = st.builds(
    TransferPlan,
    backbone=words,
    strategy=words,
    phases=st.lists(phases, max_size=2).map(tuple),
    head=st.builds(Head, tap=st.none() | words),
    why=st.lists(st.builds(Reason, text=words, source=words), max_size=2).map(tuple),
)
levels = st.sampled_from(["info", "warn", "stop"])
findings = st.builds(Finding, level=levels, code=words, message=words, items=st.lists(words, max_size=2).map(tuple))
events = st.one_of(
    st.builds(
        RunStarted,
        at=numbers,
        kind=words,
        plan=st.none() | plans,
        groups=st.dictionaries(words, counts, max_size=3),
        device=words,
        seed=counts,
        items=st.dictionaries(words, counts, max_size=3),
    ),
    st.builds(Progress, at=numbers, stage=words, done=counts, total=counts),
    st.builds(PhaseSkipped, at=numbers, index=counts, name=words),
    st.builds(PhaseStarted, at=numbers, index=counts, name=words, epochs=counts, lr=rates, steps=counts),
    st.builds(
        StepDone,
        at=numbers,
        phase=counts,
        step=counts,
        steps=counts,
        loss=numbers,
        lr=rates,
        items_per_second=numbers,
        seconds_left=numbers,
    ),
    st.builds(
        EpochDone,
        at=numbers,
        phase=counts,
        epoch=counts,
        train=rates,
        validation=rates,
        seconds=numbers,
        best=st.booleans(),
    ),
    st.builds(CheckpointSaved, at=numbers, path=words, score=numbers),
    st.builds(Noted, at=numbers, finding=findings),
    st.builds(RunEnded, at=numbers, status=st.sampled_from(["done", "stopped", "failed"]), reason=words, hint=words),
)


@given(events)
def test_every_event_reads_back_as_itself(event: RunEvent):
    line = event_log.encode(event)
    assert line.count(b"\n") == 1
    assert event_log.decode(line) == event


def test_every_event_class_is_registered():
    subclasses = {cls.__name__: cls for cls in RunEvent.__subclasses__()}
    assert subclasses == EVENTS


@settings(max_examples=40, deadline=None)
@given(st.lists(events, max_size=6), st.data())
def test_reading_by_cursor_meets_each_event_once(tmp_path_factory, written, data):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    seen, cursor = [], 0
    for event in written:
        event_log.append(path, event)
        if data.draw(st.booleans()):
            new, cursor = event_log.read(path, cursor)
            seen += new
    seen += event_log.read(path, cursor)[0]
    assert seen == written


def test_a_loss_that_is_not_a_number_survives(tmp_path):
    event = StepDone(0, 1, 2, math.nan, {"head": 0.1}, 1.0, math.inf)
    event_log.append(tmp_path / "e", event)
    (event_read,), _ = event_log.read(tmp_path / "e")
    assert math.isnan(event_read.loss)
    assert event_read.seconds_left == math.inf


def test_a_torn_last_line_waits_for_its_rest(tmp_path):
    path = tmp_path / "e"
    event_log.append(path, Progress("reading", 1, 2))
    line = event_log.encode(Progress("reading", 2, 2))
    with open(path, "ab") as file:
        file.write(line[:10])
    first, cursor = event_log.read(path)
    assert [event.done for event in first] == [1]
    with open(path, "ab") as file:
        file.write(line[10:])
    assert [event.done for event in event_log.read(path, cursor)[0]] == [2]


def test_a_torn_line_loses_only_itself(tmp_path):
    path = tmp_path / "e"
    event_log.append(path, Progress("reading", 1, 2))
    with open(path, "ab") as file:
        file.write(b'{"event":"RunEnd')
    event_log.append(path, RunEnded("stopped", "Asked to."))
    events, _ = event_log.read(path)
    assert [type(event) for event in events] == [Progress, RunEnded]
    assert event_log.last_end(path) == events[-1]


def test_damaged_lines_and_unknown_events_are_skipped(tmp_path):
    path = tmp_path / "e"
    path.write_bytes(b'\x00\xff\n[1]\n"x"\n{"event":"Unheard"}\n{"event":"Progress","done":"many"}\n{}\n')
    event_log.append(path, Progress("reading", 1, 2))
    assert [type(event) for event in event_log.read(path)[0]] == [Progress]
    assert event_log.last_end(path) is None


def test_an_end_after_a_long_log_is_found(tmp_path):
    path = tmp_path / "e"
    for i in range(2000):
        event_log.append(path, Progress("reading", i, 2000))
    assert event_log.last_end(path) is None
    event_log.append(path, RunEnded("done", "Finished."))
    assert path.stat().st_size > event_log.TAIL
    assert event_log.last_end(path).status == "done"


def test_a_missing_log_is_empty(tmp_path):
    assert event_log.read(tmp_path / "none", 7) == ([], 7)
    assert event_log.last_end(tmp_path / "none") is None

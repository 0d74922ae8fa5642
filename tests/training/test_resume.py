"""A run that is interrupted and gone on with ends with the bits of one that was not."""

import random
from dataclasses import replace

import pytest

from tests.training.helpers import SOLVED, descent, make_job, spec_of
from tl_core.plan import Head, Loss, Penalty, Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, PhaseStarted, RunEnded, RunPaused, RunResumed, RunStarted
from tl_core.strategies import STRATEGIES, Setting
from tl_core.training.loop import train

EPOCHS = 3


class PausesAt(MemoryControl):
    """Asks to wait from the n-th look on."""

    def __init__(self, looks):
        super().__init__()
        self.left = looks

    @property
    def paused(self):
        self.left -= 1
        return self.left < 0


def strategy_plan(name, dataset):
    """The strategy's plan for the tiny backbone, with few epochs."""
    spec, train_rows = spec_of(dataset), dataset.rows("train")
    groups = tuple(group.name for group in spec.groups)
    setting = Setting(spec.name, dataset.modality, groups, len(train_rows), len(dataset.classes), 4)
    plan = STRATEGIES[name].make(setting)
    return replace(plan, phases=tuple(replace(p, epochs=min(p.epochs, EPOCHS)) for p in plan.phases), batch_size=4)


def told(events):
    """What every epoch said; a later attempt's word stands."""
    found = {}
    for event in events:
        if isinstance(event, EpochDone):
            found[event.phase, event.epoch] = (event.train, event.validation, event.best)
    return dict(sorted(found.items()))


def weights(job):
    return (job.folder / "best.safetensors").read_bytes()


def whole(job):
    """Run without an interruption."""
    events = list(train(job, MemoryControl()))
    assert events[-1].status == "done", events[-1]
    assert not (job.folder / "checkpoints").exists()
    return events


def attempt(job, control, last):
    """Take the events up to the first for which `last` holds, and drop the run there, as if it had been killed."""
    events = []
    running = train(job, control)
    for event in running:
        events.append(event)
        if last(event, len(events)) and not isinstance(event, RunEnded):
            break
    running.close()
    return events


def in_pieces(job, seed):
    """Kill the run again and again after a few events, or in a pause, until it comes to its end."""
    chance, events = random.Random(seed), []
    job = replace(job, resume=True)
    for _ in range(60):
        control = PausesAt(chance.randint(0, 12)) if chance.random() < 0.5 else MemoryControl()
        count = chance.randint(2, 30)
        more = attempt(job, control, lambda event, n, count=count: isinstance(event, RunPaused) or n >= count)
        events += more
        if isinstance(more[-1], RunEnded):
            return events
    raise AssertionError("The run makes no progress.")


def same_as_whole(make, seed):
    """Compare a run in pieces with one in one piece; `make` gets the folder's name."""
    plain = make("whole")
    expected, pieces = whole(plain), make("pieces")
    events = in_pieces(pieces, seed)
    assert events[-1].status == "done", events[-1]
    assert weights(pieces) == weights(plain)
    assert told(events) == told(expected)
    assert not (pieces.folder / "checkpoints").exists()
    return events


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_goes_on_as_if_nothing_had_happened(name, data, request):
    dataset = request.getfixturevalue(data)
    plan = strategy_plan(name, dataset)

    def make(folder):
        job = make_job(dataset, plan.phases, folder=folder, publish=0.0)
        return replace(job, plan=plan)

    same_as_whole(make, f"{name} {data}")


VARIANTS = {
    "l2_sp": {"penalties": (Penalty("l2_sp", 0.01),)},
    "mixup": {"loss": Loss("balanced", 0.1, 0.4)},
    "dropout": {"head": Head("mlp", 8, 0.5)},
    "random": {"init": "random"},
}


def phases_of_all_kinds(dataset):
    """A head, one layer group with it, all of them on some items drawn anew, and a head again with patience."""
    groups = [group.name for group in spec_of(dataset).groups]
    return [
        Phase("head", 2, {"head": 1e-2}),
        descent([groups[-1], "head"], 2),
        replace(descent([*groups, "head"], 2, draws=15), name="all"),
        Phase("last", 2, {"head": 1e-3}, patience=1),
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_whatever_the_plan_asks_for_goes_on_exactly(name, tiny_texts):
    phases = phases_of_all_kinds(tiny_texts)

    def make(folder):
        job = make_job(tiny_texts, phases, folder=folder, publish=0.0)
        return replace(job, plan=replace(job.plan, **VARIANTS[name]))

    same_as_whole(make, name)


def test_a_run_that_goes_on_says_where(tiny_images):
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"], 3)], publish=0.0)
    attempt(job, MemoryControl(), lambda event, _: isinstance(event, EpochDone) and event.phase == 1 and event.epoch)
    events = list(train(replace(job, resume=True), MemoryControl()))
    assert isinstance(events[0], RunResumed)
    assert (events[0].phase, events[0].epoch, events[0].restarted) == (1, 1, True)
    assert [event.index for event in events if isinstance(event, PhaseStarted)] == [1]
    assert [(e.phase, e.epoch) for e in events if isinstance(e, EpochDone)] == [(1, 1), (1, 2)]
    assert not any(isinstance(event, RunStarted) for event in events)


def test_without_a_checkpoint_the_run_starts_anew(tiny_images):
    job = make_job(tiny_images, [descent(["head"], 1)], resume=True)
    events = whole(job)
    assert isinstance(events[0], RunStarted)

"""A run that is interrupted and resumed ends with the same bits as one that was not interrupted."""

import errno
import os
import random
import shutil
from dataclasses import replace

import pytest

from tests.penalties.helpers import equipped
from tests.training.helpers import SOLVED, descent, make_job, spec_of
from tl_core.backbones import prepared
from tl_core.penalties import PENALTIES
from tl_core.plan import Augment, Head, Loss, Penalty, Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, PhaseStarted, RunEnded, RunPaused, RunResumed, RunStarted
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training import checkpoints, resume, run_state
from tl_core.training import job as job_module
from tl_core.training.job import Teacher
from tl_core.training.loop import train
from tl_core.training.parts import make_parts
from tl_core.training.phase import PhaseState
from tl_core.training.step import Stepper
from tl_core.types import dump

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
    task_info = TaskInfo(spec.name, dataset.modality, groups, len(train_rows), len(dataset.classes), 4)
    plan = STRATEGIES[name].make(task_info)
    return replace(plan, phases=tuple(replace(p, epochs=min(p.epochs, EPOCHS)) for p in plan.phases), batch_size=4)


def epoch_results(events):
    """The results of every epoch; where an epoch was repeated, the last ones."""
    results = {}
    for event in events:
        if isinstance(event, EpochDone):
            results[event.phase, event.epoch] = (event.train, event.validation, event.best)
    return dict(sorted(results.items()))


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
    for more_patient in range(60):  # a preparation that says much has to be got through as well
        control = PausesAt(chance.randint(0, 12)) if chance.random() < 0.5 else MemoryControl()
        count = chance.randint(2, 30) + 5 * more_patient
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
    same_end(pieces, plain, events, expected)
    return events


def same_end(job, plain, events, expected):
    """Compare an interrupted run with the `plain` one, and the results of its epochs with those of `expected`."""
    assert events[-1].status == "done", events[-1]
    assert weights(job) == weights(plain)
    assert epoch_results(events) == epoch_results(expected)
    assert not (job.folder / "checkpoints").exists()


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_resumes_as_if_nothing_had_happened(name, data, request):
    dataset = request.getfixturevalue(data)
    plan, teacher = strategy_plan(name, dataset), None
    if any("teacher" in PENALTIES[penalty.name].needs for penalty in plan.penalties):
        first = make_job(dataset, [SOLVED], folder="teacher")
        whole(first)
        teacher = Teacher(first.spec, first.plan, first.folder)

    def make(folder):
        job = make_job(dataset, plan.phases, folder=folder, publish=0.0, teacher=teacher)
        return replace(job, plan=plan)

    same_as_whole(make, f"{name} {data}")


@pytest.mark.parametrize("name", list(PENALTIES))
def test_every_penalty_resumes_exactly(name, tiny_images, workspace):
    """Those with helper networks and with what they found out before the first step among them."""
    groups = ["stem", "middle", "top", "head"]
    everything = Phase("all", 2, dict.fromkeys(groups, 1e-3))
    phases = (SOLVED, descent(["top", "head"], 2), everything, Phase("last", 1, {"head": 1e-3}))
    job = equipped(tiny_images, workspace, phases)
    job = replace(job, plan=replace(job.plan, penalties=(Penalty(name, PENALTIES[name].strength),)))

    def make(folder):
        (job.folder.parent / folder).mkdir()
        return replace(job, folder=job.folder.parent / folder)

    same_as_whole(make, name)


VARIANTS = {
    "l2_sp": {"penalties": (Penalty("l2_sp", 0.01),)},
    "mixup": {"loss": Loss("balanced", 0.1, 0.4)},
    "dropout": {"head": Head("mlp", 8, 0.5)},
    "random": {"init": "random"},
    "bfloat16": {"precision": "bfloat16"},
}


PICTURES = {"views": Augment("light", 2), "anew": Augment("light")}


@pytest.mark.parametrize("name", PICTURES)
def test_varied_pictures_vary_alike(name, tiny_images):
    phases = phases_of_all_kinds(tiny_images)

    def make(folder):
        job = make_job(tiny_images, phases, folder=folder, publish=0.0)
        return replace(job, plan=replace(job.plan, augment=PICTURES[name]))

    same_as_whole(make, name)


@pytest.mark.parametrize("name", ["mmd", "replay"])
def test_views_go_with_penalties_that_read_other_items(name, tiny_images, workspace):
    """The second of two phases that have the penalty caches views alone, and no item that they are views of."""
    phases = (SOLVED, descent(["middle", "top", "head"], 1), Phase("less", 2, {"top": 1e-3, "head": 1e-3}))
    job = equipped(tiny_images, workspace, phases)
    plan = replace(job.plan, penalties=(Penalty(name, 1.0),), augment=Augment("light", 2))

    def make(folder):
        (job.folder.parent / folder).mkdir()
        return replace(job, plan=plan, folder=job.folder.parent / folder)

    same_as_whole(make, name)


def phases_of_all_kinds(dataset):
    """A head; one layer group with it; all groups on items that are drawn in each epoch; a head again with patience."""
    groups = [group.name for group in spec_of(dataset).groups]
    return [
        Phase("head", 2, {"head": 1e-2}),
        descent([groups[-1], "head"], 2),
        replace(descent([*groups, "head"], 2, draws=15), name="all"),
        Phase("last", 2, {"head": 1e-3}, patience=1),
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_of_a_plan_resumes_exactly(name, tiny_texts):
    phases = phases_of_all_kinds(tiny_texts)

    def make(folder):
        job = make_job(tiny_texts, phases, folder=folder, publish=0.0)
        return replace(job, plan=replace(job.plan, **VARIANTS[name]))

    same_as_whole(make, name)


@pytest.mark.parametrize("data", ["tiny_images", "tiny_texts"])
def test_a_head_that_is_solved_after_the_backbone_has_learned(data, request):
    dataset = request.getfixturevalue(data)
    groups = [group.name for group in spec_of(dataset).groups]
    phases = [descent([groups[-1], "head"], 2), replace(SOLVED, name="again"), replace(descent([*groups], 1), name="a")]
    same_as_whole(lambda folder: make_job(dataset, phases, folder=folder, publish=0.0), data)


@pytest.mark.parametrize("seed", range(2))
def test_steps_that_were_halved_stay_so(tiny_images, monkeypatch, seed):
    """The first attempt at step 8 runs out of memory; an attempt that begins after it knows."""
    take, short = Stepper.step, []

    def greedy(stepper, *args):
        if stepper.counter.step == 8 and stepper.micro_batches.count == 1:
            short.append(stepper)
            raise MemoryError
        return take(stepper, *args)

    monkeypatch.setattr(Stepper, "step", greedy)
    phases = [descent(["stem", "middle", "top", "head"], 3, interpolate_weights=True), Phase("last", 1, {"head": 1e-3})]
    same_as_whole(lambda folder: make_job(tiny_images, phases, folder=folder, publish=0.0), seed)
    assert short


def test_a_resumed_run_says_where_it_resumes(tiny_images):
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"], 3)], publish=0.0)
    attempt(job, MemoryControl(), lambda event, _: isinstance(event, EpochDone) and event.phase == 1 and event.epoch)
    events = list(train(replace(job, resume=True), MemoryControl()))
    assert isinstance(events[0], RunResumed)
    assert (events[0].phase, events[0].epoch, events[0].restarted) == (1, 1, True)
    assert [event.index for event in events if isinstance(event, PhaseStarted)] == [1]
    assert [(e.phase, e.epoch) for e in events if isinstance(e, EpochDone)] == [(1, 1), (1, 2)]
    assert not any(isinstance(event, RunStarted) for event in events)


def test_without_a_checkpoint_the_run_starts_again(tiny_images):
    job = make_job(tiny_images, [descent(["head"], 1)], resume=True)
    events = whole(job)
    assert isinstance(events[0], RunStarted)


def interrupted(dataset, folder="run"):
    """A job that was killed in the second epoch of its second phase."""
    job = make_job(dataset, [SOLVED, descent(["top", "head"], 3)], folder=folder, publish=0.0, resume=True)
    attempt(job, MemoryControl(), lambda event, _: isinstance(event, EpochDone) and event.phase == 1 and event.epoch)
    return job


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tiny_images, file, how):
    plain = make_job(tiny_images, [SOLVED, descent(["top", "head"], 3)], folder="plain", publish=0.0)
    whole(plain)
    job = interrupted(tiny_images)
    *_, last = sorted((job.folder / "checkpoints").iterdir())
    path = last / file
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if how == "cut" else data[:-9] + b"?" + data[-8:])
    events = whole(job)
    assert (events[0].phase, events[0].epoch) == (1, 0)
    assert weights(job) == weights(plain)


def test_another_plan_does_not_go_on_from_this_ones_state(tiny_images):
    job = interrupted(tiny_images)
    (ended,) = list(train(replace(job, seed=job.seed + 1), MemoryControl()))
    assert ended.status == "failed"
    assert "another plan" in ended.reason


def test_a_checkpoint_from_before_recalibration_existed_resumes(tiny_images, monkeypatch):
    """Such checkpoints do not mention recalibration, neither in the plan's digest nor in its phases."""
    plain = make_job(tiny_images, [SOLVED, descent(["top", "head"], 3)], folder="plain", publish=0.0)
    whole(plain)

    def of_then(value):
        plain_value = dump(value)
        for phase in plain_value.get("phases", [plain_value]):
            if phase.pop("recalibrate_norm", None) is not None:
                phase["blend"] = phase.pop("interpolate_weights")
        return plain_value

    with monkeypatch.context() as then:
        then.setattr(job_module, "dump", of_then)
        then.setattr(run_state, "dump", of_then)
        job = interrupted(tiny_images)
    (file, *_) = job.folder.glob("checkpoints/*/state.json")
    assert not any(name in file.read_text() for name in ("adapt", "recalibrate_norm", "interpolate_weights"))
    assert isinstance(whole(job)[0], RunResumed)
    assert weights(job) == weights(plain)


def test_another_teacher_does_not_go_on_from_this_ones_state(tiny_images):
    teachers = [make_job(tiny_images, [SOLVED], folder=name) for name in ("first", "second")]
    for job in teachers:
        whole(job)
    first, second = (Teacher(job.spec, job.plan, job.folder) for job in teachers)
    job = make_job(tiny_images, [descent(["top", "head"], 3)], publish=0.0, resume=True, teacher=first)
    job = replace(job, plan=replace(job.plan, penalties=(Penalty("distill", PENALTIES["distill"].strength),)))
    attempt(job, MemoryControl(), lambda event, _: isinstance(event, EpochDone) and event.epoch)
    (ended,) = list(train(replace(job, teacher=second), MemoryControl()))
    assert (ended.status, "teacher" in ended.reason) == ("failed", True)
    assert isinstance(whole(job)[0], RunResumed)


def test_a_full_disk_ends_the_run_with_a_clear_message_and_it_resumes_once_there_is_space(tiny_images, monkeypatch):
    plain = make_job(tiny_images, [SOLVED, descent(["top", "head"], 3)], folder="plain", publish=0.0)
    whole(plain)
    job = make_job(tiny_images, plain.plan.phases, publish=0.0, resume=True)
    fill, written = checkpoints._fill, []

    def full(folder, snapshot):
        written.append(folder)
        if len(written) > 2:
            (folder / "state.safetensors").write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fill(folder, snapshot)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_fill", full)
        events = list(train(job, MemoryControl()))
    assert (events[-1].status, bool(events[-1].hint)) == ("failed", True)
    assert "disk is full" in events[-1].reason
    assert len(list((job.folder / "checkpoints").iterdir())) == 2
    assert isinstance(whole(job)[0], RunResumed)
    assert weights(job) == weights(plain)


def test_a_picture_that_becomes_unreadable_is_named_and_the_run_resumes_once_it_is_readable(tiny_images, monkeypatch):
    monkeypatch.setattr(prepared, "SPARE", 2**62)  # nothing is kept, so that every picture is read in every epoch
    everything = descent(["stem", "middle", "top", "head"], 3)
    plain, job = (make_job(tiny_images, [SOLVED, everything], folder=name, publish=0.0) for name in ("plain", "run"))
    expected, events = whole(plain), []
    broken = tiny_images.folder / tiny_images.items["path"].iloc[tiny_images.rows("train")[3]]
    picture = broken.read_bytes()
    for event in train(job, MemoryControl()):
        events.append(event)
        if isinstance(event, EpochDone) and (event.phase, event.epoch) == (1, 0):
            broken.write_bytes(picture[: len(picture) // 2])
    assert events[-1].status == "failed"
    assert broken.name in events[-1].reason
    assert "Import" in events[-1].hint
    broken.write_bytes(picture)
    events += whole(replace(job, resume=True))
    (resumed,) = (event for event in events if isinstance(event, RunResumed))
    assert (resumed.phase, resumed.epoch) == (1, 1)
    same_end(job, plain, events, expected)


def test_a_folder_that_is_deleted_meanwhile_ends_the_run_and_stays_deleted(tiny_images, caplog):
    job = make_job(tiny_images, [SOLVED, descent(["top", "head"], 3)], publish=0.0)
    for event in train(job, MemoryControl()):
        if isinstance(event, PhaseStarted) and event.index == 1:
            shutil.rmtree(job.folder)
    assert event.status == "failed"
    assert "could not be written" in event.reason
    assert not job.folder.exists()
    assert "Traceback" not in caplog.text


def test_the_gradient_norm_of_the_last_step_is_kept(tiny_images):
    job = make_job(tiny_images, [descent(["top", "head"])], publish=0.0)
    attempt(job, MemoryControl(), lambda event, _: isinstance(event, EpochDone) and event.epoch == 1)
    norms = []
    for left_out in ("", "gradient_norm"):
        parts = make_parts(job, MemoryControl())
        saved = checkpoints.Checkpoints(job.folder).latest()
        saved.facts["phase_state"].pop(left_out, None)
        resume.restore(parts, saved)
        state = PhaseState(parts, 0)
        list(state.begin(saved))
        norms.append(float(state.gradient_norm))
        parts.provider.close()
    assert norms[0] > 0
    assert norms[1] == 0.0, "checkpoints that earlier versions wrote have none"

import contextlib
from dataclasses import replace

import pytest

from tl_core.advice.probe_report import read_probe
from tl_core.backbones import speed
from tl_core.backbones.spec import BACKBONES
from tl_core.data.dataset import Dataset
from tl_core.data.holdout_log import holdout_uses
from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError, RunError
from tl_core.evaluation.leakage import read_leakage
from tl_core.evaluation.result_files import (
    bundle_folder,
    ensemble_folder,
    read_curve,
    read_report,
    write_curve,
    write_report,
)
from tl_core.export.bundle import load_bundle
from tl_core.export.ensemble import load_ensemble
from tl_core.jobs import execute
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, Noted, Progress, RunEnded, RunEvent
from tl_core.runs.process import Owner
from tl_core.runs.record import record
from tl_core.runs.store import TRAINED, RunStore
from tl_core.runs.task import Task
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training.best_weights import FILE
from tl_core.training.checkpoints import Checkpoints
from tl_core.workspace import read_json


def plan_of(strategy: str, dataset: Dataset, backbone: str, **options) -> TransferPlan:
    spec = BACKBONES[backbone]
    task_info = TaskInfo(backbone, spec.modality, tuple(g.name for g in spec.groups), 20, len(dataset.classes), 5)
    return STRATEGIES[strategy].make(task_info, options)


def run(workspace, task: Task, control: MemoryControl | None = None) -> tuple[str, list[RunEvent]]:
    store = RunStore(workspace)
    run_id = store.create(task)
    folder = store.folder(run_id)
    return run_id, list(record(execute(task, workspace, folder, control or MemoryControl()), folder))


@pytest.fixture
def image_task(tiny_images, tiny_backbones) -> Task:
    plan = plan_of("feature_extraction", tiny_images, tiny_backbones[0])
    return Task("train", tiny_backbones[0], tiny_images.fingerprint, plan=plan)


def test_a_training_leaves_report_bundle_and_key_figures(workspace, image_task, tiny_images):
    run_id, events = run(workspace, image_task)
    assert [type(event) for event in events].count(RunEnded) == 1
    assert events[-1].status == "done", events[-1]
    store = RunStore(workspace)
    report = read_report(store.folder(run_id))
    assert report.run == run_id
    assert [p.row for p in report.predictions] == list(tiny_images.rows("test"))
    assert [c.baseline for c in report.comparisons] == ["classical"]
    assert store.state(run_id).numbers["accuracy"] == report.accuracy.value
    bundle = load_bundle(bundle_folder(store.folder(run_id)))
    assert bundle.report == report


def test_a_run_uses_the_split_of_its_task(workspace, image_task, tiny_images):
    task = replace(image_task, split=SplitSpec(validation=0.2, test=0.4, seed=3))
    run_id, _ = run(workspace, task)
    rows = [p.row for p in read_report(RunStore(workspace).folder(run_id)).predictions]
    assert rows == list(replace(tiny_images, split=task.split).rows("test"))
    assert Dataset.open(tiny_images.folder).split == SplitSpec()


def test_a_text_training_works_too(workspace, tiny_texts, tiny_backbones):
    plan = plan_of("full", tiny_texts, tiny_backbones[1], epochs=1)
    run_id, events = run(workspace, Task("train", tiny_backbones[1], tiny_texts.fingerprint, plan=plan))
    assert events[-1].status == "done", events[-1]
    assert (bundle_folder(RunStore(workspace).folder(run_id)) / "tokenizer.json").exists()


def test_a_scratch_baseline_is_added_to_the_report_and_bundle_of_its_run(
    workspace, image_task, tiny_images, tiny_backbones
):
    first, _ = run(workspace, image_task)
    plan = plan_of("from_scratch", tiny_images, tiny_backbones[0], epochs=2)
    scratch = replace(image_task, plan=plan, budget=30.0, compare_to=first)
    for _ in range(2):  # a second baseline replaces the first
        second, events = run(workspace, scratch)
        assert events[-1].status == "done", events[-1]
    folder = RunStore(workspace).folder(first)
    report = read_report(folder)
    assert [c.baseline for c in report.comparisons] == ["scratch", "classical"]
    assert [finding.code for finding in report.findings].count("ensemble") == 1
    assert "30 seconds" in report.comparisons[0].budget
    assert load_bundle(bundle_folder(folder)).report == report
    both = load_ensemble(ensemble_folder(folder))
    assert [member.report.run for member in both.members] == [first, second]
    assert f"right {both.report.accuracy.value:.1%} of the time" in next(
        finding.message for finding in report.findings if finding.code == "ensemble"
    )
    other = read_report(RunStore(workspace).folder(second))
    assert other.accuracy == report.comparisons[0].other
    assert other.comparisons == ()


def test_a_baseline_for_a_run_that_is_gone_still_ends_well(workspace, image_task):
    task = replace(image_task, compare_to="20260101-000000-000000")
    _, events = run(workspace, task)
    assert events[-1].status == "done"
    assert any(isinstance(event, Noted) and event.finding.code == "no_comparison" for event in events)


def test_a_stop_keeps_the_best_weights_and_still_reports(workspace, tiny_images, tiny_backbones, image_task):
    plan = plan_of("full", tiny_images, tiny_backbones[0], epochs=50)
    control = MemoryControl()
    store = RunStore(workspace)
    task = replace(image_task, plan=plan)
    run_id = store.create(task)
    seen = []
    for event in execute(task, workspace, store.folder(run_id), control):
        seen.append(event)
        if type(event).__name__ == "EpochDone":
            control.stop()
    assert seen[-1].status == "stopped"
    assert read_report(store.folder(run_id)) is not None


def test_a_resumed_training_replaces_its_earlier_result(workspace, tiny_images, tiny_backbones, image_task):
    store, control = RunStore(workspace), MemoryControl()
    plan = plan_of("full", tiny_images, tiny_backbones[0], epochs=3)
    plain, _ = run(workspace, replace(image_task, plan=plan))
    run_id = store.create(replace(image_task, plan=plan), owner=Owner(1, "gone", ""))
    folder = store.folder(run_id)
    for event in record(execute(store.task(run_id), workspace, folder, control), folder):
        if isinstance(event, EpochDone):
            control.stop()
    assert (store.state(run_id).status, store.state(run_id).resumable) == ("stopped", True)
    early = read_report(folder)
    store.resume(run_id)
    assert read_report(folder) == early
    *_, ended = record(execute(store.task(run_id), workspace, folder, MemoryControl()), folder)
    assert ended.status == "done", ended
    uninterrupted, resumed = (bundle_folder(store.folder(name)) / "weights.safetensors" for name in (plain, run_id))
    assert uninterrupted.read_bytes() == resumed.read_bytes()
    first, second = read_report(store.folder(plain)), read_report(folder)
    assert replace(second, run=plain, holdout_uses=()) == replace(first, holdout_uses=())
    assert [use.run for use in second.holdout_uses] == [plain, run_id], "both runs were measured on the same test items"
    assert not store.state(run_id).resumable


@pytest.mark.parametrize("stop", [False, True])
def test_the_end_is_saved_before_the_checkpoints_are_deleted(workspace, image_task, monkeypatch, stop):
    store, control = RunStore(workspace), MemoryControl()
    task = replace(image_task, plan=replace(image_task.plan, phases=(Phase("head", 3, {"head": 1e-2}),)))
    run_id = store.create(task)
    folder, clear, at_end = store.folder(run_id), Checkpoints.clear, []

    def killed(checkpoints, **how):
        if (folder / FILE).exists():
            at_end.append(read_json(folder / TRAINED)["ended"]["status"])
            raise KeyboardInterrupt
        clear(checkpoints, **how)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Checkpoints, "clear", killed)
        for event in record(execute(task, workspace, folder, control), folder):
            if stop and isinstance(event, EpochDone):
                control.stop()
    (status,) = at_end
    assert status == ("stopped" if stop else "done")
    events = list(record(execute(task, workspace, folder, MemoryControl()), folder))
    assert events[-1].status == status
    assert not any(isinstance(event, EpochDone) for event in events), "it is measured, and not trained again"
    assert read_report(folder) is not None


@pytest.mark.parametrize("kind", ["curve", "rates", "layers"])
def test_tuning_jobs_write_no_checkpoints(kind, workspace, tiny_texts, tiny_backbones, monkeypatch):
    written = []
    monkeypatch.setattr(Checkpoints, "write", lambda *arguments: written.append(arguments))
    plan = plan_of("full", tiny_texts, tiny_backbones[1], epochs=2)
    _, events = run(workspace, Task(kind, tiny_backbones[1], tiny_texts.fingerprint, plan=plan, budget=0.2))
    assert events[-1].status == "done", events[-1]
    assert not written
    run(workspace, Task("train", tiny_backbones[1], tiny_texts.fingerprint, plan=plan))
    assert written, "else this test would prove nothing"


def test_a_probe_leaves_evidence_and_the_cheap_arms_of_the_curve(workspace, tiny_texts, tiny_backbones):
    task = Task("probe", tiny_backbones[1], tiny_texts.fingerprint)
    _, events = run(workspace, task)
    assert events[-1].status == "done", events[-1]
    assert {event.stage for event in events if isinstance(event, Progress)} >= {"features", "comparing depths"}
    report = read_probe(workspace, tiny_texts, tiny_backbones[1])
    assert report.fingerprint == tiny_texts.fingerprint
    curve = read_curve(workspace, task)
    assert [arm.name for arm in curve.arms] == ["transfer", "classical"]
    assert read_curve(workspace, replace(task, split=SplitSpec(seed=1))) is None
    again = run(workspace, task)[1]
    assert again[-1].status == "done"


def test_every_measured_model_is_a_holdout_use(workspace, image_task, tiny_images):
    runs = [run(workspace, task)[0] for task in (image_task, image_task, replace(image_task, split=SplitSpec(seed=3)))]
    assert [(look.run, look.why) for look in holdout_uses(tiny_images)] == [(run_id, "report") for run_id in runs[:2]]
    for count, run_id in zip((1, 2, 1), runs, strict=True):
        report = read_report(RunStore(workspace).folder(run_id))
        assert len(report.holdout_uses) == count
        assert report.holdout_uses[-1].run == run_id
    assert [look.run for look in holdout_uses(replace(tiny_images, split=SplitSpec(seed=3)))] == runs[2:]


def test_a_probe_measures_leakage_if_there_are_copies(workspace, tiny_backbones, tmp_path):
    lines = [f"{text},{'ab'[n % 2]}" for n in range(40) for text in (f"note {n} of many", f"Note {n} of MANY!")]
    for name, rows, expected in (("twice", lines, True), ("once", lines[::2], False)):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(rows))
        dataset = import_data(str(tmp_path / f"{name}.csv"), workspace)
        _, events = run(workspace, Task("probe", tiny_backbones[1], dataset.fingerprint))
        assert events[-1].status == "done"
        score = read_leakage(workspace, dataset, tiny_backbones[1])
        assert (score is not None) == expected
        assert [look.why for look in holdout_uses(dataset)] == [f"curve of {tiny_backbones[1]}"]
        if score:
            assert score.repeated == score.items == len(dataset.rows("train", "validation"))


def test_a_stopped_probe_keeps_nothing_and_says_so(workspace, tiny_texts, tiny_backbones):
    control = MemoryControl()
    control.stop()
    _, events = run(workspace, Task("probe", tiny_backbones[1], tiny_texts.fingerprint), control)
    assert events[-1].status == "stopped"
    assert read_probe(workspace, tiny_texts, tiny_backbones[1]) is None


def test_the_scratch_arm_joins_the_curve_with_its_budget(workspace, tiny_texts, tiny_backbones):
    task = Task("curve", tiny_backbones[1], tiny_texts.fingerprint, budget=0.2)
    run(workspace, replace(task, kind="probe"))
    _, events = run(workspace, task)
    assert events[-1].status == "done", events[-1]
    curve = read_curve(workspace, task)
    assert {arm.name for arm in curve.arms} == {"transfer", "classical", "scratch"}
    assert curve.arm("scratch").points
    assert "0 s" in curve.arm("scratch").budget


def test_incomplete_arms_are_measured_again(workspace, tiny_texts, tiny_backbones):
    task = Task("curve", tiny_backbones[1], tiny_texts.fingerprint, budget=0.2)
    run(workspace, replace(task, kind="probe"))
    whole = read_curve(workspace, task)
    write_curve(workspace, task, replace(whole, arms=tuple(replace(a, points=a.points[:1]) for a in whole.arms)))
    run(workspace, task)
    assert [(arm.name, arm.points) for arm in read_curve(workspace, task).arms[:2]] == [
        (arm.name, arm.points) for arm in whole.arms
    ]


def test_a_baseline_is_only_compared_on_the_same_data(workspace, image_task):
    first, _ = run(workspace, image_task)
    folder = RunStore(workspace).folder(first)
    write_report(folder, replace(read_report(folder), fingerprint="other"))
    _, events = run(workspace, replace(image_task, compare_to=first))
    assert any(isinstance(event, Noted) and event.finding.code == "no_comparison" for event in events)


def test_a_speed_test_is_saved(workspace, tiny_backbones, monkeypatch):
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    assert run(workspace, Task("speed", tiny_backbones[0]))[1][-1].status == "done"
    assert speed.read_speed(workspace, tiny_backbones[0]) is not None


def test_a_run_that_cannot_start_says_why(workspace, image_task):
    folder = RunStore(workspace).folder(RunStore(workspace).create(image_task))
    for task, error, words in (
        (replace(image_task, fingerprint="gone"), DataError, "not in this workspace"),
        (replace(image_task, plan=None), RunError, "no plan"),
        (replace(image_task, split=SplitSpec(test=0.0)), DataError, "test"),
    ):
        with pytest.raises(error, match=words):
            list(execute(task, workspace, folder, MemoryControl()))

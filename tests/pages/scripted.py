"""A project and runs written by hand through the core's own functions: what the pages are tested against."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tests.tiny import make_images
from tl_core.data.dataset import Dataset
from tl_core.evaluation.metrics import accuracy, confusion_matrix, macro_f1, per_class
from tl_core.evaluation.results import Curve, CurveArm, CurvePoint, Prediction, Report
from tl_core.plan import Phase, TransferPlan
from tl_core.runs import event_log, process
from tl_core.runs.events import (
    CheckpointSaved,
    EpochDone,
    PhaseStarted,
    RunEnded,
    RunEvent,
    RunStarted,
    StepDone,
)
from tl_core.runs.record import EVENTS_FILE
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.types import Estimate, dump
from tl_core.workspace import Workspace, write_json

GROUPS = {"stem": 216, "middle": 1200, "top": 3500, "head": 75}
PLAN = TransferPlan(
    "tiny_image",
    "lp_ft",
    (
        Phase("head", 2, {"head": 1e-2}, schedule="constant"),
        Phase("top layers", 4, {"head": 1e-3, "top": 3e-4}, warmup=0.1, patience=3),
    ),
)


def project(workspace: Workspace, dataset: Dataset, plan: TransferPlan | None = PLAN, run: str = "") -> str:
    """Write a project's draft, so that pages start from it; return its id."""
    from ui.session import Session

    session = Session(
        project="0123abcd",
        dataset=dataset.fingerprint,
        backbone=plan.backbone if plan else "",
        strategy=plan.strategy if plan else "",
        plan=plan,
        run=run,
    )
    write_json(workspace.folder("projects") / "0123abcd.json", dump(session))
    return session.project


def task(dataset: Dataset, plan: TransferPlan = PLAN, **fields: object) -> Task:
    """Return the training of a plan."""
    name = f"{dataset.name} · {plan.backbone}"
    return Task("train", plan.backbone, dataset.fingerprint, dataset.split, plan, name=name, **fields)  # type: ignore


def script(plan: TransferPlan, until: int = 10_000, start: float = 1_790_000_000.0) -> Iterator[RunEvent]:
    """Yield a training that goes well, without its end, for at most `until` steps; ten steps an epoch."""
    steps, step, at = plan.epochs * 10, 0, start
    yield RunStarted("train", plan, GROUPS, "cpu", 0, {"train": 18, "validation": 3, "test": 3}, at=at)
    for index, phase in enumerate(plan.phases):
        yield PhaseStarted(index, phase.name, phase.epochs, phase.lr, phase.epochs * 10, at=at)
        for epoch in range(1, phase.epochs + 1):
            for _ in range(10):
                if step >= until:
                    return
                step, at = step + 1, at + 0.5
                done = step / steps
                rates = {group: rate * (1 - 0.5 * done) for group, rate in phase.lr.items()}
                yield StepDone(index, step, steps, 1.1 * math.exp(-3 * done), rates, 41.0, (steps - step) / 2, at=at)
            train = {"loss": math.exp(-3 * done), "accuracy": 1 - 0.6 * math.exp(-3 * done)}
            checked = {"loss": 0.1 + math.exp(-3 * done), "accuracy": 0.95 - 0.6 * math.exp(-3 * done)}
            yield EpochDone(index, epoch, train, checked, 5.0, True, at=at)
            yield CheckpointSaved("best.safetensors", checked["accuracy"], at=at)


def write_run(store: RunStore, run_task: Task, events: Sequence[RunEvent], alive: bool = False) -> str:
    """Write a run with the given events; `alive` makes this process its worker, else its worker is gone."""
    owner = process.identify(process.os.getpid()) if alive else process.Owner(0, "", "")
    run_id = store.create(run_task, owner)
    for event in events:
        event_log.append(store.folder(run_id) / EVENTS_FILE, event)
    return run_id


def finished(store: RunStore, dataset: Dataset, skill: float = 0.9, seed: int = 0, **fields: object) -> str:
    """Write a run that went well, with its report; `skill` is about its accuracy."""
    run_task = task(dataset, **fields)
    assert run_task.plan
    run_id = write_run(store, run_task, [*script(run_task.plan), RunEnded("done", "All phases are complete.")])
    report = make_report(run_id, dataset, run_task.plan, skill, seed)
    write_json(store.folder(run_id) / "report.json", dump(report))
    values = {"accuracy": report.accuracy, "macro_f1": report.macro_f1}
    store.summarise(run_id, {name: value.value for name, value in values.items()})
    return run_id


def make_report(run_id: str, dataset: Dataset, plan: TransferPlan, skill: float, seed: int = 0) -> Report:
    """Return a report whose predictions are right with probability `skill`."""
    chance, classes = np.random.default_rng(seed), len(dataset.classes)
    rows = dataset.rows("test")
    truth = dataset.labels[rows]
    logits = chance.normal(0, 1, (len(rows), classes))
    right = chance.random(len(rows)) < skill
    logits[np.arange(len(rows)), truth] += np.where(right, 4.0, -4.0)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(truth, predicted, classes)
    ids = dataset.items["id"]
    return Report(
        run=run_id,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        plan=plan,
        accuracy=accuracy(truth, predicted),
        macro_f1=macro_f1(confusion),
        per_class=per_class(confusion, dataset.classes),
        confusion=tuple(tuple(int(n) for n in line) for line in confusion),
        predictions=tuple(
            Prediction(int(row), str(ids.iloc[row]), int(t), int(p), tuple(float(x) for x in q))
            for row, t, p, q in zip(rows, truth, predicted, probabilities, strict=True)
        ),
        validation={"loss": 0.3, "accuracy": 0.9},
    )


def make_curve(dataset: Dataset, scratch: bool = True) -> Curve:
    """Return a curve in which transfer is ahead everywhere."""

    def point(labels: int, value: float, seeds: int) -> CurvePoint:
        scores = tuple(value + 0.01 * (seed - seeds // 2) for seed in range(seeds))
        return CurvePoint(labels, scores, Estimate(value, value - 0.04, value + 0.04, seeds, "seeds"))

    counts = (8, 16, 32, 64, 128)
    arms = [
        CurveArm(
            "transfer",
            "Transfer",
            "linear head on frozen features, 5 seeds",
            tuple(point(n, 0.95 - 0.9 / math.sqrt(n), 5) for n in counts),
        ),
        CurveArm(
            "classical",
            "A classical model",
            "logistic regression on pixels, 5 seeds",
            tuple(point(n, 0.75 - 0.9 / math.sqrt(n), 5) for n in counts),
        ),
    ]
    if scratch:
        arms.append(
            CurveArm(
                "scratch",
                "From scratch",
                "60 s a training, 1 seed",
                tuple(point(n, 0.6 - 0.8 / math.sqrt(n), 1) for n in counts),
            )
        )
    return Curve(dataset.fingerprint, "tiny_image", len(dataset.rows("test")), tuple(arms))


def images(workspace: Workspace, per_class: int = 40) -> Dataset:
    """Return the tiny images, enough of them for a test set that tells something."""
    return make_images(workspace, per_class)


TEXT_PLAN = TransferPlan("tiny_text", "feature_extraction", (Phase("head", 30, {"head": 1.0}, optimizer="lbfgs"),))

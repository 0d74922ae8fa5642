"""Runs and decisions: a run keeps the decisions it began with, even if others are made before it is resumed."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.test_jobs import plan_of, run
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.evaluation.cleaning_effect import read_cleaning_effect
from tl_core.evaluation.result_files import bundle_folder, read_report
from tl_core.export.bundle import load_bundle
from tl_core.export.bundle_metrics import evaluate_bundle
from tl_core.jobs import execute
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone
from tl_core.runs.record import record
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.workspace import read_json


@pytest.fixture
def decided(tiny_images) -> Dataset:
    train, tested = tiny_images.rows("train").tolist(), int(tiny_images.rows("test")[0])
    other = tiny_images.classes[(tiny_images.labels[train[1]] + 1) % 3]
    return tiny_images.decide(
        Decision("drop", (train[0],)),
        Decision("relabel", (train[1],), other),
        Decision("drop", (tested,), confirmed=True, reason="It shows nothing."),
    )


def task_of(dataset: Dataset, backbone: str) -> Task:
    plan = plan_of("lp_ft", dataset, backbone)
    phases = tuple(replace(phase, epochs=2) for phase in plan.phases)
    return Task(
        "train", backbone, dataset.fingerprint, plan=replace(plan, phases=phases), decisions=dataset.pin_decisions()
    )


def weights(folder) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(bundle_folder(folder) / "weights.safetensors")


def test_a_run_trains_and_tests_without_dropped_items(workspace, decided, tiny_backbones, tiny_images):
    run_id, events = run(workspace, task_of(decided, tiny_backbones[0]))
    assert events[0].items == {s: len(decided.rows(s)) for s in ("train", "validation", "test")}
    assert events[0].items["train"] == len(tiny_images.rows("train")) - 1
    report = read_report(RunStore(workspace).folder(run_id))
    assert [p.row for p in report.predictions] == decided.rows("test").tolist()
    assert len(report.predictions) == len(tiny_images.rows("test")) - 1


def test_a_resumed_run_keeps_the_decisions_it_began_with(workspace, decided, tiny_backbones):
    task, store = task_of(decided, tiny_backbones[0]), RunStore(workspace)
    whole = store.folder(run(workspace, task)[0])
    run_id = store.create(task)
    folder = store.folder(run_id)
    events = record(execute(task, workspace, folder, MemoryControl()), folder)
    next(event for event in events if isinstance(event, EpochDone))
    events.close()
    (folder / "owner.json").unlink(missing_ok=True)
    decided.undo(0).decide(Decision("drop", (int(decided.rows("train")[3]),)))
    again = list(record(execute(store.task(run_id), workspace, folder, MemoryControl()), folder))
    assert again[-1].status == "done", again[-1]
    mine, theirs = weights(folder), weights(whole)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert read_report(folder).predictions == read_report(whole).predictions


def test_evaluating_a_bundle_uses_the_test_items_of_its_report(workspace, decided, tiny_backbones):
    run_id, _ = run(workspace, task_of(decided, tiny_backbones[0]))
    folder = RunStore(workspace).folder(run_id)
    later = decided.undo(0)
    again = evaluate_bundle(load_bundle(bundle_folder(folder)), later)
    assert np.isclose(again["accuracy"]["value"], read_report(folder).accuracy.value)
    assert again["accuracy"]["n"] == len(decided.rows("test")) < len(later.rows("test"))
    card = (bundle_folder(folder) / "README.md").read_text()
    assert f"{len(decided.items) - 2} items," in card
    assert "2 items of the source left out, 1 item relabelled." in card


def test_a_bundle_without_decisions_does_not_mention_them(workspace, tiny_images, tiny_backbones):
    run_id, _ = run(workspace, task_of(tiny_images, tiny_backbones[0]))
    bundle = bundle_folder(RunStore(workspace).folder(run_id))
    assert "decisions" not in read_json(bundle / "config.json")
    assert "left out" not in (bundle / "README.md").read_text()


def test_a_check_measures_and_saves_the_effect_of_decisions(workspace, decided, tiny_images, tiny_backbones):
    def check(dataset):
        run(workspace, Task("check", tiny_backbones[0], dataset.fingerprint, decisions=dataset.pin_decisions()))
        return read_cleaning_effect(workspace, dataset, tiny_backbones[0])

    assert check(tiny_images.with_decisions("")) is None
    effect = check(decided)
    assert (effect.relabelled, effect.dropped) == (1, 1)
    assert effect.difference.n == len(tiny_images.rows("train", "validation")) - 2
    only_test = tiny_images.undo(0).decide(Decision("drop", (int(tiny_images.rows("test")[0]),), confirmed=True))
    assert only_test.decisions_digest
    assert check(only_test) is None

"""Second data sets and teachers of a training."""

import shutil
from dataclasses import replace

import pytest

from tests.test_jobs import plan_of
from tests.test_jobs import run as run_task
from tests.tiny import write_dataset
from tl_core.errors import DataError, ExportError, RunError
from tl_core.evaluation.saved import bundle_folder
from tl_core.jobs.others import bring_teacher, open_others
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.training.checkpoints import load_best


@pytest.fixture
def task(tiny_texts, tiny_backbones) -> Task:
    plan = plan_of("feature_extraction", tiny_texts, tiny_backbones[1])
    return Task("train", tiny_backbones[1], tiny_texts.fingerprint, plan=plan)


@pytest.fixture
def finished(workspace, task):
    run_id, events = run_task(workspace, task)
    assert events[-1].status == "done", events[-1]
    return run_id


def other_texts(workspace, classes=3):
    rows = [
        {"id": f"{n}", "text": f"words {n} of another kind", "label": n % classes, "digest": f"other {n}"}
        for n in range(30)
    ]
    return write_dataset(workspace, "others", "text", rows, classes)


def weights(teacher):
    return load_best(teacher.folder, teacher.spec, teacher.plan, 2).state_dict()


def test_a_run_and_its_bundle_are_the_same_teacher(workspace, task, tiny_texts, finished, tmp_path):
    folder = RunStore(workspace).folder(finished)
    away = tmp_path / "away"
    shutil.copytree(bundle_folder(folder), away)
    names = [bring_teacher(workspace, given) for given in (finished, str(folder), str(away), str(away))]
    assert names[0] == names[1] == finished
    assert names[2] == names[3] != finished
    shutil.rmtree(away)  # what was brought in stays
    teachers = [open_others(workspace, replace(task, teacher=name), tiny_texts).teacher for name in names[1:3]]
    first, second = map(weights, teachers)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


def test_second_data_sets_and_a_teacher_reach_the_training(workspace, task, tiny_texts, finished, monkeypatch):
    from tl_core.training import loop

    seen, train = [], loop.train
    monkeypatch.setattr(loop, "train", lambda job, control: seen.append(job) or train(job, control))
    source = other_texts(workspace)
    asked = replace(task, source=source.fingerprint, target=tiny_texts.fingerprint, teacher=finished)
    _, events = run_task(workspace, asked)
    assert events[-1].status == "done", events[-1]
    (job,) = seen
    assert job.source.fingerprint == source.fingerprint
    assert job.target.fingerprint == tiny_texts.fingerprint
    assert job.teacher.folder == RunStore(workspace).folder(finished)
    assert set(job.have) >= {"source", "target", "teacher"}
    assert not job.resume


def test_what_does_not_fit_says_so(workspace, task, tiny_texts, tiny_images, tiny_backbones, finished, tmp_path):
    three = other_texts(workspace)
    unfinished = RunStore(workspace).create(task)
    for asked, dataset, error, words in (
        (replace(task, source="gone"), tiny_texts, DataError, "source data are no longer"),
        (replace(task, target="gone"), tiny_texts, DataError, "target data are no longer"),
        (replace(task, source=tiny_images.fingerprint), tiny_texts, DataError, "source data are images"),
        (replace(task, teacher="20260101-000000-000000"), tiny_texts, RunError, "no longer in this workspace"),
        (replace(task, teacher="bundle-0123456789abcdef"), tiny_texts, RunError, "no longer in this workspace"),
        (replace(task, teacher="../../etc"), tiny_texts, RunError, "no longer in this workspace"),
        (replace(task, teacher=unfinished), tiny_texts, RunError, "has no result"),
        (replace(task, teacher=finished), tiny_images, RunError, "reads texts, but the data are images"),
        (replace(task, teacher=finished), three, RunError, "tells a, b apart, but the data have a, b, c"),
    ):
        with pytest.raises(error, match=words):
            open_others(workspace, asked, dataset)
    with pytest.raises(ExportError, match="not a complete bundle"):
        bring_teacher(workspace, str(tmp_path))
    with pytest.raises(DataError, match="nothing at"):
        bring_teacher(workspace, str(tmp_path / "nowhere"))

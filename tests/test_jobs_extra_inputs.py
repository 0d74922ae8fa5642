"""Extra data sets and teachers of a training."""

import shutil
from dataclasses import replace

import pytest

from tests.test_jobs import plan_of
from tests.test_jobs import run as run_task
from tests.tiny import write_dataset
from tl_core.data.decisions import Decision
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError, ExportError, RunError
from tl_core.evaluation.result_files import bundle_folder, read_report
from tl_core.jobs.extra_inputs import import_teacher, open_extra_inputs
from tl_core.jobs.teacher_check import DATA_GONE, KNOWS_TEST, teacher_findings
from tl_core.runs.events import Noted
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.training.best_weights import load_best


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
    names = [import_teacher(workspace, given) for given in (finished, str(folder), str(away), str(away))]
    assert names[0] == names[1] == finished
    assert names[2] == names[3] != finished
    shutil.rmtree(away)  # what was brought in stays
    teachers = [open_extra_inputs(workspace, replace(task, teacher=name), tiny_texts).teacher for name in names[1:3]]
    first, second = map(weights, teachers)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


def test_extra_data_sets_and_a_teacher_reach_the_training(workspace, task, tiny_texts, finished, monkeypatch):
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


def test_an_extra_input_that_does_not_fit_says_why(
    workspace, task, tiny_texts, tiny_images, tiny_backbones, finished, tmp_path
):
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
        (replace(task, teacher=finished), three, RunError, "classes a, b, but the data have a, b, c"),
    ):
        with pytest.raises(error, match=words):
            open_extra_inputs(workspace, asked, dataset)
    with pytest.raises(ExportError, match="not a complete bundle"):
        import_teacher(workspace, str(tmp_path))
    with pytest.raises(DataError, match="nothing at"):
        import_teacher(workspace, str(tmp_path / "nowhere"))


def shared(tested, learned, *parts) -> int:
    """Count the test texts of one data set that also occur in some parts of another."""
    learned_texts = set(learned.items["text"].iloc[learned.rows(*parts)])
    return sum(text in learned_texts for text in tested.items["text"].iloc[tested.rows("test")])


def test_a_teacher_trained_on_test_items_is_reported_but_not_refused(workspace, task, tiny_texts):
    elsewhere = replace(task, split=SplitSpec(seed=5))
    teacher, _ = run_task(workspace, elsewhere)  # its head learned from train and validation items
    overlap = shared(tiny_texts, tiny_texts.with_split(elsewhere.split), "train", "validation")
    tested = len(tiny_texts.rows("test"))
    assert 0 < overlap < tested
    plan = plan_of("distil", tiny_texts, task.backbone, epochs=1)
    student, events = run_task(workspace, replace(task, plan=plan, teacher=teacher))
    assert events[-1].status == "done", events[-1]
    (note,) = (event.finding for event in events if isinstance(event, Noted) and event.finding.code == KNOWS_TEST)
    assert f"from {overlap} of the {tested} test items" in note.message
    assert note.level == "warn"
    assert note in read_report(RunStore(workspace).folder(student)).findings
    plain, events = run_task(workspace, replace(task, teacher=teacher))  # a plan that listens to no teacher
    assert all(finding.code != KNOWS_TEST for finding in read_report(RunStore(workspace).folder(plain)).findings)


def test_a_teacher_of_the_same_split_knows_no_test_item(workspace, task, tiny_texts, finished):
    bundle = bundle_folder(RunStore(workspace).folder(finished))
    for name in (finished, import_teacher(workspace, str(bundle))):
        assert teacher_findings(workspace, name, tiny_texts) == ()
        (finding,) = teacher_findings(workspace, name, tiny_texts.with_split(SplitSpec(seed=5)))
        assert finding.code == KNOWS_TEST


def test_only_what_the_teacher_learned_from_counts(workspace, tiny_texts, tiny_backbones):
    plan = plan_of("full", tiny_texts, tiny_backbones[1], epochs=1)
    assert {phase.fit_on for phase in plan.phases} == {"train"}
    of_test = set(tiny_texts.rows("test"))
    spec = next(
        spec for spec in (SplitSpec(seed=seed) for seed in range(1, 50))
        if of_test & set(tiny_texts.with_split(spec).rows("validation"))
    )  # fmt: skip
    teacher, _ = run_task(workspace, Task("train", tiny_backbones[1], tiny_texts.fingerprint, spec, plan))
    teacher_data = tiny_texts.with_split(spec)
    overlap = shared(tiny_texts, teacher_data, "train")
    assert overlap < shared(tiny_texts, teacher_data, "train", "validation"), "else the parts could not be told apart"
    (finding,) = teacher_findings(workspace, teacher, tiny_texts)
    assert f"from {overlap} of the" in finding.message
    changed = tiny_texts.decide(Decision("drop", tuple(int(row) for row in tiny_texts.rows("test")[:1]), confirmed=True,
                                     reason="It is none."))  # fmt: skip
    (finding,) = teacher_findings(workspace, teacher, changed)
    assert f"of the {len(tiny_texts.rows('test')) - 1:,} test items" in finding.message


def test_the_same_words_in_another_data_set_are_the_same_items(workspace, task, tiny_texts, finished):
    rows = tiny_texts.items.iloc[tiny_texts.rows("train")[:6]].to_dict("records")
    rows += [{"id": f"n{n}", "text": f"new {n}", "label": n % 2, "digest": f"new {n}"} for n in range(30)]
    other = write_dataset(workspace, "overlapping", "text", [dict(row, given="") for row in rows], 2)
    overlap = shared(other, tiny_texts, "train", "validation")
    (finding,) = teacher_findings(workspace, finished, other)
    assert f"from {overlap} of the" in finding.message


def test_a_teacher_whose_data_are_gone_cannot_be_judged(workspace, tiny_texts, finished, tmp_path):
    name = import_teacher(workspace, str(bundle_folder(RunStore(workspace).folder(finished))))
    shutil.move(tiny_texts.folder, tmp_path / "away")
    vars(tiny_texts)["folder"] = tmp_path / "away"
    for spec in (finished, name):
        (finding,) = teacher_findings(workspace, spec, tiny_texts)
        assert (finding.level, finding.code) == ("info", DATA_GONE)

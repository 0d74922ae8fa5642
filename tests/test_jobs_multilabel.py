"""Multilabel data from end to end: probe, advice, training, report, baseline, curve, bundle."""

from dataclasses import replace

import pytest

from tests.test_jobs import plan_of, run
from tests.tiny import make_multilabel
from tl_core.advice.probe_report import read_probe
from tl_core.advice.rules import advise, task_info_for
from tl_core.backbones.spec import BACKBONES
from tl_core.cli import main
from tl_core.data.profile import profile
from tl_core.errors import DataError, RunError
from tl_core.evaluation.result_files import bundle_folder, read_curve, read_report
from tl_core.export.bundle import load_bundle
from tl_core.jobs.extra_inputs import import_teacher, open_extra_inputs, open_teacher
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from ui import words


@pytest.fixture
def data(workspace, tiny_backbones):
    return make_multilabel(workspace, 120)


def test_a_multilabel_probe_is_scored_by_mean_auc_and_gives_usable_advice(workspace, data):
    task = Task("probe", "tiny_text", data.fingerprint, data.split)
    _, events = run(workspace, task)
    assert events[-1].status == "done", events[-1]
    spec, report = BACKBONES["tiny_text"], read_probe(workspace, data, "tiny_text")
    assert report.metric == "mean AUC"
    assert report.majority == 0.5
    assert 0.5 < report.accuracy.low <= report.accuracy.value, "words of their own are told from others by any features"
    assert report.n_classes == 3
    curve = read_curve(workspace, task)
    assert curve.metric == "mean AUC"
    assert {arm.name for arm in curve.arms} == {"transfer", "classical"}
    described = profile(data)
    assert task_info_for(described, spec, report).multilabel
    advice = advise(described, spec, probe=report)
    assert advice.strategy != "contrastive"
    reasons = " ".join(reason.text for reason in advice.reasons)
    assert "rank an item with a label above one without it" in reasons
    assert "be right" not in reasons


def test_a_multilabel_training_leaves_report_bundle_key_figures_and_a_baseline(workspace, data):
    task = Task("train", "tiny_text", data.fingerprint, plan=plan_of("feature_extraction", data, "tiny_text"))
    first, events = run(workspace, task)
    assert events[-1].status == "done", events[-1]
    store = RunStore(workspace)
    report = read_report(store.folder(first))
    assert [(c.baseline, c.metric) for c in report.comparisons] == [("classical", "mean AUC")]
    numbers = store.state(first).numbers
    assert numbers["auc"] == report.auc.value
    assert words.score_text(numbers) == f"mean AUC {report.auc.value:.1%}"
    assert load_bundle(bundle_folder(store.folder(first))).multilabel
    plan = plan_of("from_scratch", data, "tiny_text", epochs=1)
    _, events = run(workspace, replace(task, plan=plan, budget=30.0, compare_to=first))
    assert events[-1].status == "done", events[-1]
    report = read_report(store.folder(first))
    assert [c.baseline for c in report.comparisons] == ["scratch", "classical"]
    assert any(finding.code == "ensemble" and "mean AUC" in finding.message for finding in report.findings)


def test_a_teacher_and_a_source_must_be_of_the_same_kind(workspace, data, tiny_texts, tmp_path):
    task = Task("train", "tiny_text", data.fingerprint, plan=plan_of("feature_extraction", data, "tiny_text"))
    first, _ = run(workspace, task)
    imported_teacher = import_teacher(workspace, str(bundle_folder(RunStore(workspace).folder(first))))
    for name in (first, imported_teacher):
        assert open_teacher(workspace, name, data).folder.is_dir()
        with pytest.raises(RunError, match="one gives each item one label"):
            open_teacher(workspace, name, replace(data, multilabel=False))
    single = Task("train", "tiny_text", tiny_texts.fingerprint, source=data.fingerprint)
    with pytest.raises(DataError, match="several labels each"):
        open_extra_inputs(workspace, single, tiny_texts)


@pytest.mark.slow
def test_topics_of_texts_with_the_packaged_backbone(workspace, capsys):
    """MiniLM, trained from the command line, recognises three topics that can occur together."""
    data = make_multilabel(workspace, 200)
    name = "all_minilm_l6_v2"
    plan = plan_of("feature_extraction", data, name)
    first, events = run(workspace, Task("train", name, data.fingerprint, plan=plan))
    assert events[-1].status == "done", events[-1]
    folder = RunStore(workspace).folder(first)
    report = read_report(folder)
    assert report.auc.low > 0.8
    bundle = load_bundle(bundle_folder(folder))
    texts = [
        "bread and butter soup from the oven",
        "thunder, rain and a storm",
        "the train, a ticket and a map in snow",
    ]
    predicted = {
        text: {c for c, p in zip(bundle.classes, row, strict=True) if p > 0.5}
        for text, row in zip(texts, bundle.predict(texts), strict=True)
    }
    assert predicted[texts[0]] == {"kitchen"}
    assert predicted[texts[1]] == {"weather"}
    assert "travel" in predicted[texts[2]]
    source = workspace.root / "texts.csv"
    source.write_text("text\n" + "\n".join(f'"{text}"' for text in texts))
    out = workspace.root / "out.csv"
    assert main(["predict", str(bundle_folder(folder)), str(source), "--out", str(out)]) == 0
    assert out.read_text().splitlines()[1].split(",")[1] == "kitchen"

"""The pages for multi-label data: results, subgroups, trying."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import scripted
from tests.pages.conftest import page_text
from tests.pages.test_results import open_results
from tests.pages.test_try import open_try
from tests.tiny import make_multilabel
from tl_core.evaluation.compare import compare
from tl_core.evaluation.report import make_report, true_and_predicted
from tl_core.evaluation.result_files import read_report, write_curve, write_report
from tl_core.runs.events import RunEnded
from tl_core.runs.store import RunStore
from ui.results import slices
from ui.results.classes import answer_table, class_table
from ui.results.comparison import verdict_sentence
from ui.try_out import predictor, single

pytestmark = pytest.mark.usefixtures("tiny_backbones")


@pytest.fixture
def store(workspace):
    return RunStore(workspace)


@pytest.fixture
def data(workspace):
    return make_multilabel(workspace, 200)


def finished(store, dataset):
    """A run that went well: probabilities near the truth, worse for short texts."""
    run_task = scripted.task(dataset, scripted.TEXT_PLAN)
    run = scripted.write_run(store, run_task, [*scripted.script(run_task.plan), RunEnded("done", "Done.")])
    rows = dataset.rows("test")
    truth, short = dataset.targets[rows], (dataset.items["subgroup"] == "short").to_numpy()[rows]
    noise = np.random.default_rng(0).normal(0, 0.25, truth.shape)
    probabilities = np.clip(0.3 + np.where(short, 0.1, 0.5)[:, None] * truth + noise, 0.01, 0.99)
    report = make_report(run, dataset, run_task.plan, probabilities, {"accuracy": 0.9, "loss": 0.3})
    other = np.clip(probabilities[:, ::-1], 0, 1)
    write_report(
        store.folder(run),
        replace(report, comparisons=(compare("classical", "the same", *true_and_predicted(report), other),)),
    )
    store.summarise(run, {"accuracy": report.accuracy.value, "macro_f1": report.macro_f1.value})
    return run


def test_results_show_mean_auc_with_a_row_a_label_and_a_row_a_subgroup(app, workspace, data, store):
    run = finished(store, data)
    write_curve(
        workspace, scripted.task(data, scripted.TEXT_PLAN), replace(scripted.make_curve(data), metric="mean AUC")
    )
    open_results(app, workspace, data, run)
    report = read_report(store.folder(run))
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Mean AUC"] == f"{report.auc.value:.1%}"
    assert metrics["All labels right"] == f"{report.exact.value:.1%}"
    assert "Accuracy" not in metrics
    words = page_text(app)
    assert "Data-efficiency curve: mean AUC for each number of labels" in words
    assert app.segmented_control(key="results_way").options == ["The same number of labels", "The same mean AUC"]
    assert "Results by subgroup: is it as good for everyone?" in [header.value for header in app.header]
    assert report.slices.worst in words
    shown = [frame.value for frame in app.dataframe]
    assert any("length" in frame and set(frame["length"]) == {"short", "long"} for frame in shown)
    assert any("AUC" in frame and frame["Label"].tolist() == list(data.classes) for frame in shown)


def test_the_list_of_runs_does_not_call_the_mean_auc_an_accuracy(app, store, data):
    report = read_report(store.folder(finished(store, data)))
    app.run()
    app.switch_page("../pages/7_runs.py").run()
    assert not app.exception
    assert f"**{report.auc.value:.1%}** mean AUC" in page_text(app)
    assert "accuracy" not in page_text(app)


def test_a_label_without_test_items_is_not_known(data):
    data.targets[data.rows("test"), 1] = 0
    truth = data.targets[data.rows("test")]
    report = make_report("r", data, scripted.TEXT_PLAN, np.clip(truth, 0.1, 0.6), {})
    table = class_table(report)
    assert table["AUC, between"].tolist()[1] == "not known"
    assert pd.isna(table["AUC"].iloc[1])
    assert table["Recall, between"].tolist()[1] == "not known"
    counts = answer_table(report)
    assert counts.iloc[:, 1:].sum(axis=1).tolist() == [len(truth)] * 3
    assert counts["Found (true positive)"].tolist() == truth.sum(axis=0).tolist()


def test_the_chart_of_slices_has_a_point_a_slice(data):
    truth = data.targets[data.rows("test")]
    report = make_report("r", data, scripted.TEXT_PLAN, np.clip(truth, 0.1, 0.6), {})
    figure = slices.slices(report.slices)
    assert list(figure.data[0].y) == ["long", "short"]
    assert list(figure.data[0].x) == [slice_.score.value for slice_ in report.slices.slices]
    assert "Mean AUC by length" in slices.slices_words(report.slices)


def test_a_gain_in_auc_is_not_called_right_answers(store, data):
    comparison = read_report(store.folder(finished(store, data))).comparisons[0]
    assert comparison.metric == "mean AUC"
    assert "right answers" not in verdict_sentence(comparison)


def test_trying_shows_every_label_with_its_probability(app, workspace, data, store, monkeypatch):
    table = pd.DataFrame({"item": ["x"], "predicted": ["a|c"], "kitchen": [0.9], "travel": [0.2], "weather": [0.7]})
    monkeypatch.setattr(predictor, "predict_text", lambda bundle, text, on_progress: predictor.Predictions(table))
    run = finished(store, data)
    bundle = store.folder(run) / "bundle"
    bundle.mkdir()
    for name in ("weights.safetensors", "tokenizer.json"):
        (bundle / name).write_bytes(b"{}")
    app.session_state["try_table"] = ("batch", predictor.Predictions(pd.concat([table, table])))
    open_try(app, workspace, data, run)
    app.text_area(key="try_text").set_value("bread in the rain").run()
    app.button(key="try_go").click().run()
    words = page_text(app)
    assert "### kitchen, weather" in words
    assert "its own probability" in words
    assert "kitchen: 2 · weather: 2 · travel: 0" in words
    app.button(key="try_pick").click().run()
    assert not app.exception
    assert "True labels:" in page_text(app)


def test_of_many_labels_the_predicted_ones_are_drawn(data, monkeypatch):
    probabilities = {f"label {k}": 0.9 if k < 8 else 0.1 for k in range(300)}
    drawn: list[str] = []
    monkeypatch.setattr(single.st, "progress", lambda value, text: drawn.append(text))
    table = pd.DataFrame(
        {"item": ["x"], "predicted": [""], **{name: [chance] for name, chance in probabilities.items()}}
    )
    truth = data.targets[data.rows("test")]
    report = make_report("r", data, scripted.TEXT_PLAN, np.clip(truth, 0.1, 0.6), {})
    single.answer("x", report, None, lambda on_progress: predictor.Predictions(table))
    assert drawn == [f"label {k} · 90.0%" for k in range(8)]


def test_the_name_of_an_item_is_not_markup(data):
    def page(dataset):
        from ui.items import show_items

        show_items(dataset, [0], {}, "items")

    vars(data)["items"] = data.items.assign(id="![seen](http://elsewhere/x.png)")
    shown = AppTest.from_function(page, kwargs={"dataset": data}).run()
    assert not shown.exception
    assert shown.caption[0].value == r"\!\[seen\](http" + "\u2060: /  / elsewhere / x.png)"


def test_no_label_may_be_predicted():
    assert predictor.predicted_labels({"a": 0.4, "b": 0.1}, multilabel=True) == []
    assert predictor.predicted_labels({"a": 0.4, "b": 0.5}, multilabel=True) == []
    assert predictor.predicted_labels({"a": 0.4, "b": 0.1}, multilabel=False) == ["a"]

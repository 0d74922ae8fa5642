from dataclasses import replace

import pytest

from tests.pages import scripted
from tests.pages.conftest import page_text
from tl_core.data.holdout_log import record_holdout_use
from tl_core.evaluation.compare import compare
from tl_core.evaluation.result_files import read_report, write_curve, write_report
from tl_core.evaluation.results import Comparison
from tl_core.runs.store import RunStore
from tl_core.types import Estimate
from ui.results.classes import class_table
from ui.results.comparison import verdict_sentence
from ui.results.predictions import cell_items

pytestmark = pytest.mark.usefixtures("tiny_backbones")


@pytest.fixture
def store(workspace):
    return RunStore(workspace)


@pytest.fixture
def data(workspace):
    return scripted.images(workspace)


def open_results(app, workspace, dataset, run):
    app.query_params["project"] = scripted.project(workspace, dataset, run=run)
    app.run()
    app.switch_page("../pages/5_results.py").run()
    assert not app.exception
    return app


def test_without_a_run_the_page_leads_to_training(app, workspace, data):
    open_results(app, workspace, data, "")
    assert "Nothing trained yet" in page_text(app)
    assert app.button(key="empty_go_train")


def test_a_run_without_a_report_says_that_it_is_still_running(app, workspace, data, store):
    run = scripted.write_run(store, scripted.task(data), [*scripted.script(scripted.PLAN, 5)], alive=True)
    open_results(app, workspace, data, run)
    assert "still running" in page_text(app)


def test_the_headline_has_its_intervals_in_words(app, workspace, data, store):
    run = scripted.finished(store, data)
    open_results(app, workspace, data, run)
    report = read_report(store.folder(run))
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Accuracy"] == f"{report.accuracy.value:.1%}"
    assert metrics["Macro-F1"] == f"{report.macro_f1.value:.1%}"
    words = page_text(app)
    assert f"between {report.accuracy.low:.1%} and {report.accuracy.high:.1%}, n = {report.accuracy.n}" in words
    assert len(app.get("plotly_chart")) == 1


def test_uses_of_the_runs_own_test_items_are_counted(app, workspace, data, store):
    run = scripted.finished(store, data)
    split = store.task(run).split
    record_holdout_use(replace(data, split=split), run, "report")
    for number in range(3):
        record_holdout_use(replace(data, split=replace(split, seed=7)), f"run-{number}", "report")
    open_results(app, workspace, data.change_split(replace(split, seed=7)), run)
    assert "The test items were used once." in page_text(app)


def test_every_class_has_its_row_with_intervals(data):
    report = scripted.make_report("r", data, scripted.PLAN, 0.8)
    table = class_table(report)
    assert list(table["Class"]) == ["a", "b", "c"]
    assert table["Test items"].sum() == len(report.predictions)
    assert table["Recall"][0] == pytest.approx(100 * report.per_class[0].recall.value)
    assert "–" in table["Recall, between"][0]


def test_a_cell_opens_its_items_the_most_confident_first(app, workspace, data, store):
    run = scripted.finished(store, data, skill=0.5)
    open_results(app, workspace, data, run)
    report = read_report(store.folder(run))
    truth, predicted = max(
        ((t, p) for t in range(3) for p in range(3) if t != p), key=lambda cell: report.confusion[cell[0]][cell[1]]
    )
    app.selectbox(key="results_truth_(None, None)").set_value(truth).run()
    app.selectbox(key="results_predicted_(None, None)").set_value(predicted).run()
    assert not app.exception
    items = cell_items(report, truth, predicted)
    assert len(items) == report.confusion[truth][predicted]
    assert f"**{len(items)} test items** of class {'abc'[truth]}, predicted as {'abc'[predicted]}" in page_text(app)
    probabilities = [item.probabilities[predicted] for item in items]
    assert probabilities == sorted(probabilities, reverse=True)


def test_without_a_baseline_the_page_offers_to_start_it(app, workspace, data, store):
    run = scripted.finished(store, data)
    open_results(app, workspace, data, run)
    app.number_input(key="results_seconds").set_value(30).run()
    app.button(key="results_baseline").click().run()
    started = store.list()[0]
    assert (started.task.compare_to, started.task.budget) == (run, 30)
    assert started.task.plan.init == "random"


def test_a_running_baseline_is_shown_with_its_budget(app, workspace, data, store):
    run = scripted.finished(store, data)
    baseline = scripted.task(data, compare_to=run, budget=45.0)
    scripted.write_run(store, baseline, [*scripted.script(scripted.PLAN, 20)], alive=True)
    open_results(app, workspace, data, run)
    assert any("At most 45 s" in bar.text for bar in app.get("progress"))
    assert not [button for button in app.button if button.key == "results_baseline"]


def test_comparisons_say_gain_interval_and_verdict(app, workspace, data, store):
    run = scripted.finished(store, data)
    report = read_report(store.folder(run))
    import numpy as np

    truth = np.array([item.truth for item in report.predictions])
    mine = np.array([item.predicted for item in report.predictions])
    card = compare("scratch", "at most 60 seconds", truth, mine, (truth + 1) % 3)
    write_report(store.folder(run), replace(report, comparisons=(card,)))
    open_results(app, workspace, data, run)
    words = page_text(app)
    assert "more right answers in a hundred than the baseline, between" in words
    assert "at most 60 seconds" in words


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("helps", "more right answers"),
        ("hurts", "fewer right answers"),
        ("no difference shown", "about equally good"),
        ("cannot tell", "More test items would settle it"),
    ],
)
def test_each_verdict_has_its_sentence(verdict, words):
    some = Estimate(0.5, 0.4, 0.6, 20, "")
    assert words in verdict_sentence(
        Comparison("scratch", "t", "b", some, some, Estimate(0.1, 0, 0.2, 20, ""), verdict)
    )


def test_a_gain_on_too_few_items_is_not_called_open():
    some, gain = Estimate(0.5, 0.4, 0.6, 9, ""), Estimate(0.6, 0.34, 0.86, 9, "")
    sentence = verdict_sentence(Comparison("scratch", "t", "b", some, some, gain, "cannot tell"))
    assert "between +34.0 and +86.0 points, but 9 test items are too few to be sure. More test items" in sentence


def test_the_curve_is_read_at_a_number_of_labels_and_at_a_score(app, workspace, data, store):
    write_curve(workspace, scripted.task(data), scripted.make_curve(data))
    run = scripted.finished(store, data)
    open_results(app, workspace, data, run)
    assert len(app.get("plotly_chart")) == 2
    app.slider(key="results_labels").set_value(64).run()
    assert "With 64 labels transfer reaches 83.7%" in page_text(app)
    app.segmented_control(key="results_way").set_value("across").run()
    app.slider(key="results_goal").set_value(72).run()
    assert "72.0% takes about" in page_text(app)


def test_the_scratch_arm_is_started_as_a_background_run(app, workspace, data, store):
    write_curve(workspace, scripted.task(data), scripted.make_curve(data, scratch=False))
    run = scripted.finished(store, data)
    open_results(app, workspace, data, run)
    app.number_input(key="results_budget").set_value(20).run()
    app.button(key="results_scratch_start").click().run()
    started = store.list()[0]
    assert (started.kind, started.task.budget, started.task.fingerprint) == ("curve", 20, data.fingerprint)
    assert any("Waiting for another run to finish" in bar.text for bar in app.get("progress"))


def test_without_a_curve_the_probe_is_offered(app, workspace, data, store):
    run = scripted.finished(store, data)
    open_results(app, workspace, data, run)
    app.button(key="results_probe").click().run()
    assert store.list()[0].kind == "probe"


def test_names_of_classes_are_not_markup(app, workspace, data, store):
    run = scripted.finished(store, data, skill=0.4)
    report = read_report(store.folder(run))
    write_report(store.folder(run), replace(report, classes=("*a*", "<b>b</b>", ":red[c]")))
    open_results(app, workspace, data, run)
    assert "**\\*a\\***" in page_text(app) or "**\\<b\\>" in page_text(app)


def test_a_rerun_reads_nothing_again_where_the_split_was_changed_since(app, workspace, tiny_images, store):
    run = scripted.finished(store, tiny_images)
    record_holdout_use(tiny_images, run, "report")
    tiny_images.change_split(replace(tiny_images.split, seed=7))
    open_results(app, workspace, tiny_images, run)
    assert "used once" in page_text(app), "the test set of the run's own split"
    (tiny_images.folder / "manifest.parquet").unlink()  # a second read would fail
    app.run()
    assert not app.exception
    assert "used once" in page_text(app)

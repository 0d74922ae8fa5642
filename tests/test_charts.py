from dataclasses import replace

import pytest

from tests.pages import scripted
from tl_core.plan import Head, Phase, TransferPlan
from tl_core.runs.events import PhaseStarted
from ui import charts
from ui.components.palette import count_text, rate_text
from ui.components.plan_grid import grid_data
from ui.results import confusion
from ui.runs.live_run import LiveRun
from ui.train import curves
from ui.words import layer_names


@pytest.fixture
def live():
    live = LiveRun()
    for event in scripted.script(scripted.PLAN):
        live.take(event)
    return live


def test_loss_has_a_point_for_each_reported_step_and_each_epoch(live):
    training, validation = curves.loss(live)["series"]
    assert len(training["data"]) == 60
    assert [step for step, _ in validation["data"]] == [10, 20, 30, 40, 50, 60]
    assert training["markLine"]["data"] == [{"xAxis": 20, "name": "top layers"}]


def test_accuracy_is_in_percent_and_counts_epochs_over_the_phases(live):
    training, _ = curves.accuracy(live)["series"]
    assert [epoch for epoch, _ in training["data"]] == [1, 2, 3, 4, 5, 6]
    assert all(0 <= value <= 100 for _, value in training["data"])
    assert "validation" in curves.accuracy_words(live)


def test_a_loss_that_is_not_finite_is_left_out(live):
    live.losses.append((61, float("nan")))
    assert len(curves.loss(live)["series"][0]["data"]) == 60


def test_the_confusion_matrix_can_be_selected_cell_by_cell(tiny_images):
    report = scripted.make_report("r", tiny_images, scripted.PLAN, 0.7)
    figure = confusion.confusion(report)
    cells = figure.data[1]
    assert len(cells.customdata) == 9
    for truth, predicted in cells.customdata:
        assert figure.data[0].text[truth][predicted] == str(report.confusion[truth][predicted])
    assert "3 classes" in confusion.confusion_words(report)


def test_the_curve_carries_every_arm_its_band_and_its_budget(tiny_images):
    curve = scripted.make_curve(tiny_images)
    figure = charts.curve(curve, labels=32)
    lines = [trace for trace in figure.data if trace.name]
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert len(lines) == len(bands) == 3
    assert [line.name for line in lines] == [arm.title for arm in curve.arms]
    assert all(f"{arm.title}: {arm.budget}" in charts.budgets(curve) for arm in curve.arms)
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.shapes[0].x0 == 32


def test_the_grid_has_the_head_on_top_and_rates_in_the_cells():
    data = grid_data(scripted.PLAN, ["stem", "middle", "top"])
    assert [row["name"] for row in data["rows"]] == ["head", "top", "middle", "stem"]
    assert [row["title"] for row in data["rows"]] == [
        "new head",
        "last layers",
        "middle",
        "first layers",
    ]
    assert [cell["state"] for cell in data["rows"][1]["cells"]] == ["frozen", "trainable"]
    assert data["rows"][1]["cells"][1]["rate"] == "0.0003"
    assert data["phases"][1]["epochs"] == "4 epochs"
    assert "10% warm-up" in data["phases"][1]["notes"]


def test_a_layer_of_a_cut_network_is_named_by_its_place_in_the_whole():
    titles = layer_names("efficientnet_lite0", ["stem", "blocks.0", "head"])
    assert [titles[name] for name in ("stem", "blocks.0", "head")] == ["first layers", "block 1 of 7", "new head"]
    assert layer_names("elsewhere", ["blocks.0"]) == {"blocks.0": "block 1 of 1"}


def test_what_lies_above_the_tap_is_not_used():
    phase = Phase("head", 30, {"head": 1.0}, optimizer="lbfgs")
    plan = TransferPlan("tiny_image", "lower_layers", (phase,), head=Head(tap="middle"))
    rows = {row["name"]: row["cells"][0] for row in grid_data(plan, ["stem", "middle", "top"])["rows"]}
    assert rows["top"]["state"] == "unused"
    assert rows["middle"]["state"] == "frozen"
    assert rows["head"] == {"state": "head", "word": "New head", "rate": "solved"}


@pytest.mark.parametrize(("rate", "text"), [(1e-3, "0.001"), (3e-5, "3×10⁻⁵"), (2.5e-6, "2.5×10⁻⁶"), (0.0, "0")])
def test_rates_read_well(rate, text):
    assert rate_text(rate) == text


def test_counts_read_well():
    assert [count_text(n) for n in (940, 12_345, 4_130_000)] == ["940", "12.3 k", "4.13 M"]


def test_the_epochs_ahead_are_those_of_the_phases_to_come(live):
    plan, head = live.started.plan, live.started.plan.phases[0]
    live.ended, live.phase, live.phase_epochs = None, PhaseStarted(1, "top", 4, {}, 40), 2
    solved = replace(head, optimizer="lbfgs", epochs=30)
    live.started = replace(live.started, plan=replace(plan, phases=(solved, replace(head, epochs=4), solved)))
    assert live.epochs_planned == len(live.epochs) + 2 + 1
    assert curves.accuracy(live)["xAxis"]["max"] == live.epochs_planned

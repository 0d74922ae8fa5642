import json
import sys
from dataclasses import replace

import pytest

from tests.tiny import make_multilabel
from tests.training.helpers import SOLVED, epochs, make_job, run
from tl_core.cli import layers as cli
from tl_core.cli.console import Console
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError
from tl_core.evaluation import layer_sweep
from tl_core.evaluation.layer_sweep import sweep_layers
from tl_core.evaluation.results import LayerSweep
from tl_core.plan import Head
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone
from tl_core.statistics.intervals import wilson
from tl_core.training.step import Stepper
from tl_core.types import dump, load
from ui.plan import trial_charts


def swept(job, **fields) -> list[LayerSweep]:
    return [event for event in sweep_layers(job, MemoryControl(), **fields) if isinstance(event, LayerSweep)]


def test_one_score_per_group_and_a_frozen_baseline(tiny_images):
    job = make_job(tiny_images, [SOLVED])
    sweeps = swept(job, steps=6)
    assert [len(sweep.groups) for sweep in sweeps] == [0, 1, 2, 3]
    last = sweeps[-1]
    assert [score.group for score in last.groups] == ["stem", "middle", "top"]
    assert last.total == 3
    n = len(tiny_images.rows("validation"))
    probe = epochs(run(make_job(tiny_images, [SOLVED], folder="probe")))[-1]
    hits = round(probe.validation["accuracy"] * n)
    assert last.baseline.accuracy == wilson(hits, n)
    assert last.baseline.loss == pytest.approx(probe.validation["loss"], rel=1e-6)
    assert load(LayerSweep, json.loads(json.dumps(dump(last)))) == last
    assert swept(job, steps=6)[-1] == last, "the same seed, the same figures"


def test_every_group_gets_the_same_steps_and_trains_only_with_the_head(tiny_images, monkeypatch):
    take, seen = Stepper.step, []

    def spy(stepper, *args):
        model = stepper.model
        moving = {n.split(".")[2] for n, p in model.backbone.named_parameters(prefix="backbone") if p.requires_grad}
        seen.append((*sorted(moving), type(stepper.inputs).__name__))
        return take(stepper, *args)

    monkeypatch.setattr(Stepper, "step", spy)
    (*_, last) = swept(make_job(tiny_images, [SOLVED]), steps=10)
    assert last.steps >= 10
    counts = {key: seen.count(key) for key in seen}
    assert counts == {
        ("stem", "PreparedInputs"): last.steps,
        ("middle", "CachedInputs"): last.steps,
        ("top", "CachedInputs"): last.steps,
    }


def test_the_score_is_taken_after_the_last_step_not_at_the_best_one(tiny_images, monkeypatch):
    train = layer_sweep.train

    def with_known_scores(job, control):
        for event in train(job, control):
            if isinstance(event, EpochDone) and len(job.plan.phases) == 2 and event.phase == 1:
                last = event.epoch + 1 == job.plan.phases[1].epochs
                event = replace(event, validation={"accuracy": 0.0 if last else 1.0, "loss": 9.0 if last else 0.0})
            yield event

    monkeypatch.setattr(layer_sweep, "train", with_known_scores)
    (*_, last) = swept(make_job(tiny_images, [SOLVED]), steps=12)
    assert all((score.accuracy.value, score.loss) == (0.0, 9.0) for score in last.groups)


def test_groups_above_the_tap_are_left_out(tiny_images):
    last = swept(make_job(tiny_images, [SOLVED], head=Head(tap="middle")), steps=2)[-1]
    assert [score.group for score in last.groups] == ["stem", "middle"]


def test_no_more_items_are_used_than_the_steps_need(tiny_texts):
    job = make_job(tiny_texts, [SOLVED])
    assert swept(job, steps=3)[0].items == 12
    assert swept(job, steps=100)[0].items == len(tiny_texts.rows("train"))


def test_nothing_is_written_to_the_run_folder(tiny_images):
    job = make_job(tiny_images, [SOLVED])
    swept(job, steps=2)
    assert not list(job.folder.iterdir())


def test_a_stop_keeps_the_groups_already_measured(tiny_images):
    control = MemoryControl()
    sweeps = []
    for event in sweep_layers(make_job(tiny_images, [SOLVED]), control, steps=4):
        if isinstance(event, LayerSweep):
            sweeps.append(event)
            if len(event.groups) == 1:
                control.stop()
    assert len(sweeps[-1].groups) == 1


def test_multilabel_scores_have_their_own_name(tiny_images, capsys):
    plain = swept(make_job(tiny_images, [SOLVED]), steps=2)[-1]
    multilabel = replace(plain, multilabel=True)
    assert (plain.score, multilabel.score) == ("accuracy", "right answers, each label yes or no")
    for shown, word in ((plain, "Accuracy"), (multilabel, "Right answers, each label yes or no")):
        assert trial_charts.layers(shown, {}).layout.yaxis.title.text == f"{word}, validation items"
        assert trial_charts.layers_words(shown, {}).startswith(f"{word}, with one layer group trained: ")
        cli._print(shown, Console(sys.stdout, sys.stderr))
    first, second = capsys.readouterr().out.split("Validation right answers, each label yes or no, on ")
    assert first.startswith("Validation accuracy, on ")
    assert "accuracy" not in second


def test_a_multilabel_sweep_is_marked_as_such(workspace):
    assert swept(make_job(make_multilabel(workspace), [SOLVED]), steps=2)[-1].multilabel


def test_no_validation_items_is_an_error(tiny_images):
    dataset = replace(tiny_images, split=SplitSpec(validation=0.0))
    with pytest.raises(DataError, match="validation"):
        list(sweep_layers(make_job(dataset, [SOLVED]), MemoryControl()))


def test_an_mlp_head_is_replaced_by_a_linear_one_in_the_sweep(tiny_images):
    plain, mlp = (swept(make_job(tiny_images, [SOLVED], head=head), steps=2)[-1] for head in (Head(), Head("mlp", 8)))
    assert mlp == plain


def test_multilabel_accuracy_counts_every_label(tiny_multilabel):
    sweep = swept(make_job(tiny_multilabel, [SOLVED]), steps=4)[-1]
    n = len(tiny_multilabel.rows("validation"))
    for score in (sweep.baseline, *sweep.groups):
        right = score.accuracy.value * 3 * n
        assert right == pytest.approx(round(right)), "each item takes three answers"
        assert score.accuracy.n == n

"""What the penalties of a run get to see: never the labels, and never the items, that judge it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.penalties.helpers import equipped, prepared, second_images, term_of, with_penalty
from tests.tiny import make_images, write_dataset
from tests.training.helpers import SOLVED, descent, make_job
from tests.training.test_edits import edited, rate, run_with
from tl_core.plan import Penalty, Phase
from tl_core.runs.control import MemoryControl
from tl_core.training.item_index import RunRows
from tl_core.training.loop import train
from tl_core.training.parts import make_parts

TUNE = descent(["top", "head"], 1)
MORE = replace(TUNE, name="more", fit_on="train+validation")


def test_labels_that_judge_the_first_phase_are_not_seen_before_a_later_one_learns_from_them(tiny_images, monkeypatch):
    """The head that is solved for KL does not depend on the labels of the validation items."""
    job = with_penalty(make_job(tiny_images, [TUNE, MORE]), "kl")
    plain, _ = prepared(job)
    make = RunRows.__init__

    def mislabelled(rows, *args):
        make(rows, *args)
        rows.labels[torch.from_numpy(tiny_images.rows("validation"))] = 0

    monkeypatch.setattr(RunRows, "__init__", mislabelled)
    other, _ = prepared(job)
    one, two = (term_of(parts).state() for parts in (plain, other))
    assert set(one["rows"].tolist()) == set(tiny_images.rows("train", "validation"))
    assert torch.equal(one["log_p"], two["log_p"])


def test_a_phase_that_an_edit_thaws_has_every_item_on_record(tiny_images):
    last = Phase("last", 2, {"head": 1e-3}, fit_on="train+validation")
    job = with_penalty(make_job(tiny_images, [TUNE, last]), "kl")
    first = len(tiny_images.rows("train")) // 4 + 1
    events = run_with(job, {first + 2: [rate("top", 1e-3)]})
    assert [(e.phase, e.group) for e in edited(events)] == [(1, "top")]
    assert events[-1].status == "done", events[-1]


def copy_of(dataset, workspace, rows, labels=None):
    """A second data set of some of the run's own items."""
    items = dataset.items.iloc[rows].assign(path=[str(dataset.folder / p) for p in dataset.items["path"].iloc[rows]])
    if labels is not None:
        items["label"] = labels
    return write_dataset(workspace, "copy", "image", items.to_dict("records"), 3)


def test_items_that_judge_the_run_are_in_no_second_data_set(tiny_images, workspace):
    copy = copy_of(tiny_images, workspace, np.arange(len(tiny_images.items)))
    items = make_parts(make_job(tiny_images, [SOLVED, TUNE], source=copy, target=copy), MemoryControl()).rows.items
    own, n = tiny_images.rows("train"), len(tiny_images.items)
    assert items.source.rows.tolist() == (own + n).tolist()
    assert items.source.labels.tolist() == tiny_images.labels[own].tolist()
    assert items.target.rows.tolist() == (own + 2 * n).tolist()


def test_only_terms_that_read_a_second_data_set_have_it_kept(tiny_images, workspace):
    job = make_job(tiny_images, [descent(["top", "head"])], target=make_images(workspace, 3))
    for name, strength, read in (("l2_sp", 0.1, False), ("mmd", 1.0, True)):
        job = replace(job, plan=replace(job.plan, penalties=(Penalty(name, strength),)))
        parts = make_parts(job, MemoryControl())
        extra = parts.penalties.extra_rows(job.plan, parts.rows)
        assert set(parts.rows.items.target.rows).issubset(extra) == read


def test_a_second_data_set_of_nothing_else_is_refused(tiny_images, workspace):
    copy = copy_of(tiny_images, workspace, tiny_images.rows("test"))
    (ended,) = list(train(make_job(tiny_images, [SOLVED, TUNE], source=copy), MemoryControl()))
    assert ended.status == "failed"
    assert "validation or test item of the data" in ended.reason


@pytest.mark.parametrize("name", ["ewc", "replay"])
def test_a_source_without_labels_gives_a_clear_message(tiny_images, workspace, name):
    other = second_images(workspace, classes=4)
    unknown = write_dataset(workspace, "unlabelled", "image", other.items.assign(label=-1).to_dict("records"), 4)
    (unknown.folder / "images").symlink_to(other.folder / "images")
    job = with_penalty(replace(equipped(tiny_images, workspace, (SOLVED, TUNE)), source=unknown), name)
    ended = list(train(job, MemoryControl()))[-1]
    assert (ended.status, ended.reason) == ("failed", "No item of the source has a label.")

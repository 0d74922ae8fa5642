"""What of a second data set a run may learn from."""

import dataclasses
import hashlib
import json

import pytest

from tests.penalties.helpers import with_penalty
from tests.tiny import write_dataset
from tests.training.helpers import SOLVED, descent, make_job, run
from tl_core.data.decisions import Decision
from tl_core.errors import DataError
from tl_core.features import FeatureStore
from tl_core.penalties import PENALTIES
from tl_core.runs.control import MemoryControl
from tl_core.training.inputs import PreparedInputs
from tl_core.training.job import identity
from tl_core.training.parts import make_parts
from tl_core.types import dump


def judges(dataset, workspace, name="judges"):
    """A data set of the validation and test items alone."""
    rows = dataset.items.iloc[dataset.rows("validation", "test")].to_dict("records")
    return write_dataset(workspace, name, "text", rows, 2)


def test_no_item_that_judges_is_learned_from_as_source_or_target(tiny_texts):
    space = make_parts(make_job(tiny_texts, [SOLVED], source=tiny_texts, target=tiny_texts), MemoryControl()).rows.items
    train = tiny_texts.rows("train")
    whole = len(tiny_texts.items)
    assert space.source.rows.tolist() == (whole + train).tolist()
    assert space.target.rows.tolist() == (2 * whole + train).tolist()
    assert space.source.labels.tolist() == tiny_texts.labels[train].tolist()


@pytest.mark.parametrize("name", [name for name in PENALTIES if {"source", "target"} & set(PENALTIES[name].needs)])
def test_no_step_of_a_penalty_reads_an_item_that_judges(name, tiny_texts, monkeypatch):
    job = make_job(tiny_texts, [descent(("layer.1", "head"), epochs=1)], source=tiny_texts, target=tiny_texts)
    read, take = set(), PreparedInputs.state
    monkeypatch.setattr(
        PreparedInputs,
        "state",
        lambda self, model, rows, vary=False: read.update(rows) or take(self, model, rows, vary),
    )
    run(dataclasses.replace(with_penalty(job, name), cache=0))
    whole = len(tiny_texts.items)
    second = {row % whole for row in read if row >= whole}
    assert second
    assert second <= set(tiny_texts.rows("train"))


def test_a_second_data_set_of_nothing_but_judges_is_refused(tiny_texts, workspace):
    with pytest.raises(DataError, match="validation or test item"):
        make_parts(make_job(tiny_texts, [SOLVED], source=judges(tiny_texts, workspace)), MemoryControl())


def test_items_of_one_class_are_refused_before_any_item_is_prepared(tiny_texts, monkeypatch):
    monkeypatch.setattr(FeatureStore, "prepared", lambda *args: pytest.fail("prepared"))
    first = [int(row) for row in tiny_texts.rows("train") if tiny_texts.labels[row] == 0]
    with pytest.raises(DataError, match="fewer than two classes"):
        make_parts(make_job(tiny_texts, [SOLVED], train_rows=first), MemoryControl())


def test_the_identity_of_a_run_without_decisions_is_what_it_was_before_there_were_any(tiny_texts):
    job = make_job(tiny_texts, [SOLVED], source=tiny_texts)
    others = [tiny_texts.fingerprint, ""]
    plan = dump(job.plan)
    for phase in plan["phases"]:
        assert phase.pop("recalibrate_norm") is False  # came later too
        assert phase.pop("only_if_better") is False
        phase["blend"] = phase.pop("interpolate_weights")  # what it was called then
    about = [plan, job.seed, tiny_texts.fingerprint, dump(tiny_texts.split), None, others, ""]
    assert identity(job) == hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def test_a_second_data_set_is_learned_from_under_its_decisions(tiny_texts):
    train = tiny_texts.rows("train").tolist()
    other = tiny_texts.classes[1 - tiny_texts.labels[train[1]]]
    decided = tiny_texts.decide(Decision("drop", (train[0],)), Decision("relabel", (train[1],), other))
    plain = tiny_texts.with_decisions("")
    space = make_parts(make_job(plain, [SOLVED], source=decided, target=decided), MemoryControl()).rows.items
    whole = len(tiny_texts.items)
    assert space.source.rows.tolist() == [whole + row for row in train[1:]]
    assert space.target.rows.tolist() == [2 * whole + row for row in train[1:]]
    assert space.source.labels[0] == 1 - plain.labels[train[1]]
    assert identity(make_job(plain, [SOLVED], source=decided)) != identity(make_job(plain, [SOLVED], source=plain))
    assert identity(make_job(decided, [SOLVED])) != identity(make_job(plain, [SOLVED]))

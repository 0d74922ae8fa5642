import dataclasses
import json
import re
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch

from tests.penalties.helpers import GROUPS, equipped, prepared, with_penalty
from tests.training.helpers import make_job, run
from tl_core.errors import PlanError
from tl_core.penalties import PENALTIES, check_penalties
from tl_core.plan import Loss, Penalty, Phase, TransferPlan, from_yaml, to_yaml
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, RunEnded, StepDone
from tl_core.training.loop import train
from tl_core.training.parts import RunParts, make_parts, objective_of
from tl_core.training.penalty_context import penalty_context
from tl_core.training.run_state import MicroBatches
from tl_core.types import dump, load

NAMES = list(PENALTIES)
SOURCE = re.compile(r"https?://|arXiv:\d{4}\.\d{4,5}")
POINTWISE = ("l2_sp", "ewc", "lwf", "kl", "distill")


@pytest.fixture(params=["image", "text"])
def dataset(request):
    return request.getfixturevalue(f"tiny_{request.param}s")


@pytest.fixture
def job(dataset, workspace):
    return equipped(dataset, workspace)


@pytest.fixture
def pictures(tiny_images, workspace):
    return equipped(tiny_images, workspace)


def penalty_loss(parts: RunParts, inputs, rows) -> torch.Tensor:
    """The loss of a batch with its penalty terms minus the loss without them."""
    output = objective_of(parts, len(parts.job.plan.phases) - 1).forward(inputs, rows)
    return parts.penalties.penalised(output, rows, inputs, 0, 0.4) - output.loss


@pytest.mark.parametrize("name", NAMES)
def test_every_card_is_whole(name):
    kind = PENALTIES[name]
    assert kind.name == name
    assert all((kind.title, kind.summary, kind.when, kind.sources, kind.modalities))
    assert all(text.endswith(".") for text in (kind.summary, kind.when))
    assert all(SOURCE.search(source) for source in kind.sources)
    assert kind.strength > 0
    assert is_dataclass(kind.options)
    for field in fields(kind.options):
        meta = field.metadata
        assert meta["label"]
        assert meta["help"].endswith(".")
        assert meta["min"] <= field.default <= meta["max"]


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_with_it_goes_through_json_and_yaml_and_names_its_options(name):
    kind = PENALTIES[name]
    options = {field.name: field.metadata["max"] for field in fields(kind.options)}
    plan = TransferPlan(
        "net", "by hand", (Phase("p", 1, {"a": 1e-3, "head": 1e-3}),), penalties=(Penalty(name, 0.5, options),)
    )
    assert load(TransferPlan, json.loads(json.dumps(dump(plan)))) == plan
    assert from_yaml(to_yaml(plan, ("a",)), ("a",)) == plan
    kind.term(plan.penalties[0])
    with pytest.raises(PlanError, match="no option"):
        kind.term(Penalty(name, 1.0, {"colour": 1.0}))
    for field in fields(kind.options):
        with pytest.raises(PlanError, match="must lie between"):
            kind.term(Penalty(name, 1.0, {field.name: field.metadata["max"] + 1}))


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_to_the_end_and_tells_its_size_at_every_step_that_moves_the_backbone(name, job):
    events = run(with_penalty(job, name))
    steps = [event for event in events if isinstance(event, StepDone) and event.phase == 1]
    assert steps
    assert all(set(event.penalties) == {name} and np.isfinite(event.penalties[name]) for event in steps)
    assert any(event.penalties[name] for event in steps)


@pytest.mark.parametrize("name", [name for name in NAMES if PENALTIES[name].needs])
def test_a_missing_need_gives_a_clear_message(name, tiny_images):
    phase = Phase("tune", 1, dict.fromkeys(GROUPS["image"], 1e-3))
    job = with_penalty(make_job(tiny_images, [phase]), name)
    (finding,) = check_penalties(job.plan, job.have, "image")
    assert finding.level == "stop"
    assert PENALTIES[name].title in finding.message
    assert not re.search(rf"\b{name}\b", f"{finding.message} {finding.hint}"), "a name of documents, not of people"
    assert finding.hint
    (ended,) = train(job, MemoryControl())
    assert isinstance(ended, RunEnded)
    assert ended.status == "failed"
    assert finding.message in ended.reason
    assert "needs" in ended.reason


@pytest.mark.parametrize("name", [name for name in NAMES if PENALTIES[name].protects_pretrained])
def test_holding_on_to_random_weights_is_pointed_out(name, pictures):
    plan = dataclasses.replace(with_penalty(pictures, name).plan, init="random")
    assert [f.code for f in check_penalties(plan, pictures.have, "image")] == ["penalty-random"]


def test_a_strength_of_nothing_is_no_penalty_bit_for_bit(pictures):
    plain = pictures.folder / "best.safetensors"
    run(pictures)
    for name in NAMES:
        weak = with_penalty(pictures, name, 0.0)
        events = run(weak)
        assert (weak.folder / "best.safetensors").read_bytes() == plain.read_bytes(), name
        assert not any(event.penalties for event in events if isinstance(event, StepDone))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_keeps_makes_a_resumed_run_see_the_same_loss(name, job):
    first, inputs = prepared(with_penalty(job, name))
    kept = first.penalties.state()
    assert all(
        isinstance(value, torch.Tensor) and key.startswith((f"{name}/", f"{name}:")) for key, value in kept.items()
    )
    second = make_parts(first.job, MemoryControl())
    with torch.no_grad():
        for parameter in first.model.backbone.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    second.model.load_state_dict(first.model.state_dict())
    again = second.provider.prepared(0)
    second.penalties.resume(kept)
    assert list(second.penalties.prepare(penalty_context(second, again))) == [], "nothing is measured anew"
    losses = []
    for parts, staged in ((first, inputs), (second, again)):
        parts.freezer.thaw_only(job.plan.phases[1].lr)
        parts.freezer.training_mode(())
        losses.append(penalty_loss(parts, staged, parts.rows.train_rows(job.plan.phases[1])[:6]).item())
    assert losses[0] == losses[1]
    assert losses[0] != 0.0


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_ends_with_the_same_bits(name, job):
    (job.folder / "other").mkdir()
    whole = with_penalty(job, name)
    run(whole)
    job = with_penalty(dataclasses.replace(job, folder=job.folder / "other", resume=True), name)
    running, ended = train(job, MemoryControl()), False
    for event in running:
        ended = ended or (isinstance(event, EpochDone) and event.phase == 1)
        if ended and isinstance(event, StepDone):
            break
    running.close()
    again = list(train(job, MemoryControl()))
    assert again[-1].status == "done"
    assert [event.phase for event in again if isinstance(event, EpochDone)] == [1], "it went on, not again"
    assert (job.folder / "best.safetensors").read_bytes() == (whole.folder / "best.safetensors").read_bytes()


@pytest.mark.parametrize("name", POINTWISE)
def test_pieces_of_a_batch_add_up_to_the_batch(name, job):
    parts, inputs = prepared(with_penalty(job, name))
    with torch.no_grad():
        for parameter in parts.model.backbone.parameters():
            parameter.mul_(1.02)
    parts.freezer.thaw_only(job.plan.phases[1].lr)
    parts.freezer.training_mode(())
    rows = parts.rows.train_rows(job.plan.phases[1])[:6]
    whole = penalty_loss(parts, inputs, rows)
    pieces = sum(penalty_loss(parts, inputs, piece) * len(piece) / 6 for piece in (rows[:2], rows[2:]))
    assert pieces.item() == pytest.approx(whole.item(), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_it_lives_with_short_memory_mixup_and_dropout(name, pictures, monkeypatch):
    make = MicroBatches.__init__

    def small(self, batch_size):
        make(self, batch_size)
        self.count = 3  # of four items: some micro-batches are a single item

    monkeypatch.setattr(MicroBatches, "__init__", small)
    head = dataclasses.replace(
        pictures.plan.head, dropout=0.2, pool="mean_std" if pictures.spec.modality == "image" else "mean"
    )
    plan = dataclasses.replace(pictures.plan, head=head, loss=Loss(mixup=0.4))
    events = run(with_penalty(dataclasses.replace(pictures, plan=plan), name))
    assert any(event.penalties.get(name) for event in events if isinstance(event, StepDone))


@pytest.mark.parametrize("name", NAMES)
def test_a_phase_that_thaws_more_and_learns_from_more_is_penalised_too(name, pictures):
    names = [group.name for group in pictures.spec.groups]
    top = Phase("top", 1, {names[-1]: 1e-3, "head": 1e-3})
    whole = Phase("all", 1, dict.fromkeys([*names, "head"], 1e-3), fit_on="train+validation")
    plan = dataclasses.replace(pictures.plan, phases=(top, whole))
    events = run(with_penalty(dataclasses.replace(pictures, plan=plan), name))
    steps = [event for event in events if isinstance(event, StepDone) and event.phase == 1]
    assert all(np.isfinite(event.penalties[name]) for event in steps)

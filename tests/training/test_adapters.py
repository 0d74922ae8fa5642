"""Adapters: what learns, what does not change by a bit, and what the run leaves."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.tiny import TINY_IMAGE, TINY_TEXT
from tests.training.helpers import SOLVED, after, before, descent, epochs, logits, run, same_bits
from tests.training.test_edits import edited, rate, run_with
from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.sources import import_data
from tl_core.errors import PlanError
from tl_core.features import FeatureStore
from tl_core.layers import LayerGroup
from tl_core.plan import TransferPlan
from tl_core.plan.transfer_plan import Adapter
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Noted
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training.adapters import fitting, insert, is_adapter, merge
from tl_core.training.loop import TrainJob, train
from tl_core.training.model import build_model, groups_of
from tl_core.training.step import Stepper
from tl_core.workspace import Workspace

KINDS = ("lora", "dora", "loha", "lokr", "ia3")


def load_bert(pretrained: bool):
    """A BertModel of two layers of width 16: what packaged text backbones are made of."""
    ensure_torchvision()
    from transformers import BertConfig, BertModel

    from tl_core.backbones.transformers_nets import StagedBert

    with torch.random.fork_rng():
        if pretrained:
            torch.manual_seed(7)
        config = BertConfig(
            vocab_size=400, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=32, attn_implementation="sdpa",
        )  # fmt: skip
        return StagedBert(BertModel(config, add_pooling_layer=False)).eval()


TINY_BERT = dataclasses.replace(
    TINY_TEXT,
    name="tiny_bert",
    load=load_bert,
    group_matrices=(),
    groups=(
        LayerGroup("embeddings", r"net\.embeddings\."),
        *(LayerGroup(f"layer.{i}", rf"net\.encoder\.layer\.{i}\.") for i in range(2)),
    ),
)
SPECS = [TINY_IMAGE, TINY_BERT, TINY_TEXT]


def job_of(dataset, spec: BackboneSpec, adapter: Adapter | None, folder: str = "run", rate=3e-3, epochs=2) -> TrainJob:
    groups = [group.name for group in spec.groups[1:]]
    phases = (SOLVED, descent([*groups, "head"], epochs, rate, weight_decay=0.5))
    plan = TransferPlan(spec.name, "by hand", phases, batch_size=4, adapter=adapter)
    root = dataset.folder.parent.parent
    (root / folder).mkdir(exist_ok=True)
    return TrainJob(dataset, spec, plan, 0, root / folder, FeatureStore(Workspace(root)))


def recalibrated(spec, kind, groups=None, seed=0):
    names = groups or [group.name for group in spec.groups[1:]]
    plan = TransferPlan(spec.name, "x", (SOLVED, descent([*names, "head"])), adapter=Adapter(kind, 2, 4.0))
    model = build_model(spec, plan, 3, seed=0)
    insert(model, spec, plan, seed)
    return model, plan


def some_input(spec):
    generator = torch.Generator().manual_seed(1)
    if spec.modality == "image":
        return (torch.rand(3, 3, spec.input.size, spec.input.size, generator=generator),)
    return torch.randint(1, 90, (3, 7), generator=generator), torch.ones(3, 7, dtype=torch.bool)


def stir(model):
    """Move every adapter tensor away from its start."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if is_adapter(name):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)


def keep(model, seen):
    seen["last"] = {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@torch.no_grad()
def test_an_adapter_changes_nothing_at_first_then_much_and_the_merged_model_scores_the_same(spec, kind):
    plain = build_model(spec, TransferPlan(spec.name, "x", (SOLVED,)), 3, seed=0)
    model, plan = recalibrated(spec, kind)
    items = some_input(spec)
    torch.testing.assert_close(model(items), plain(items), atol=1e-5, rtol=0)
    stir(model)
    unmerged = model(items)
    assert (unmerged - plain(items)).abs().max() > 1e-3
    merge(model, plan)
    torch.testing.assert_close(model(items), unmerged, atol=1e-5, rtol=0)
    assert list(model.state_dict()) == list(plain.state_dict()), "nothing of the adapter is left"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_tensor_is_still_in_exactly_one_group_and_only_named_groups_have_adapters(spec, kind):
    last = spec.groups[-1].name
    model, _ = recalibrated(spec, kind, [last])
    owned = groups_of(model, spec)
    tensors = [name for name, _ in [*model.named_parameters(), *model.named_buffers()]]
    assert sorted(name for names in owned.values() for name in names) == sorted(tensors)
    assert {group for group, names in owned.items() if any(map(is_adapter, names))} == {last}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_layer_that_fits_runs_through_its_adapter(spec):
    model, _ = recalibrated(spec, "lora")
    items = some_input(spec)
    stir(model)
    model(items).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for n, p in model.named_parameters() if is_adapter(n))


def test_the_random_part_follows_from_the_seed_alone():
    torch.manual_seed(1)
    one, _ = recalibrated(TINY_IMAGE, "lora", seed=5)
    expected = torch.rand(1)
    torch.manual_seed(1)
    same, _ = recalibrated(TINY_IMAGE, "lora", seed=5)
    other, _ = recalibrated(TINY_IMAGE, "lora", seed=6)
    assert torch.equal(torch.rand(1), expected), "no random number of the caller's is drawn"
    name = "backbone.net.top.0.lora_A.default.weight"
    assert torch.equal(one.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize("kind", ["lora", "ia3"])
@pytest.mark.parametrize(("spec", "data"), [(TINY_IMAGE, "tiny_images"), (TINY_BERT, "tiny_texts")])
def test_a_run_moves_adapters_and_head_and_not_one_bit_of_the_backbone(spec, data, kind, request, monkeypatch):
    seen = {}
    take = Stepper.step
    monkeypatch.setattr(Stepper, "step", lambda self, *args: (take(self, *args), keep(self.model, seen))[0])
    job = job_of(request.getfixturevalue(data), spec, Adapter(kind, 2, 4.0, dropout=0.0 if kind == "ia3" else 0.1))
    first = before(job).state_dict()
    run(job)
    last = seen["last"]
    kept = {name.replace(".base_layer", ""): t for name, t in last.items() if not is_adapter(name)}
    assert set(kept) == set(first)
    assert all(same_bits(first[name], kept[name]) for name in first if name.startswith("backbone"))
    if kind == "lora":  # its second matrix starts at nought
        assert all(t.abs().max() > 0 for name, t in last.items() if "lora_B" in name)


def test_the_saved_run_loads_as_a_plain_model_with_the_scores_that_validation_judged(tiny_images):
    job = job_of(tiny_images, TINY_IMAGE, Adapter("lora", 4, 8.0), rate=1e-2, epochs=4)
    events = run(job)
    stored = safetensors.torch.load_file(job.folder / "best.safetensors")
    assert any(map(is_adapter, stored))
    left, rows = after(job), tiny_images.rows("validation")
    assert set(left.state_dict()) == set(before(job).state_dict())
    assert any(event.best for event in epochs(events, 1)), "so the file holds what the adapters learned"
    best = [event for event in [*epochs(events, 0), *epochs(events, 1)] if event.best][-1].validation
    truth = torch.tensor(tiny_images.labels[rows])
    loss = torch.nn.functional.cross_entropy(logits(left, job, rows), truth)
    assert loss == pytest.approx(best["loss"], abs=1e-5)
    plain = build_model(TINY_IMAGE, job.plan, 3, 0).state_dict()
    changed = [name for name, tensor in left.state_dict().items() if not torch.equal(tensor, plain[name])]
    assert {name for name in changed if name.startswith("backbone")} == {
        "backbone.net.middle.0.weight",
        "backbone.net.top.0.weight",
    }


def test_the_bundle_holds_no_adapter_and_loads_as_before(tiny_images, tiny_backbones, tmp_path):
    from tl_core.evaluation.predict import predict_rows
    from tl_core.evaluation.report import make_report
    from tl_core.export import TrainedModel
    from tl_core.export.bundle import load_bundle, write_bundle

    job = job_of(tiny_images, TINY_IMAGE, Adapter("dora", 2, 4.0))
    run(job)
    model = after(job)
    scores = predict_rows(model, TINY_IMAGE, job.plan, tiny_images, tiny_images.rows("test"), job.store)
    report = make_report("run", tiny_images, job.plan, scores, {"accuracy": 0.5, "loss": 1.0})
    result = write_bundle(tmp_path / "bundle", TrainedModel(model, TINY_IMAGE, tiny_images, report))
    assert result.max_abs_diff < 1e-6
    assert not any(map(is_adapter, safetensors.torch.load_file(tmp_path / "bundle" / "weights.safetensors")))
    assert load_bundle(tmp_path / "bundle").plan.adapter == job.plan.adapter


def test_a_group_that_the_adapter_does_not_fit_is_refused_before_the_run(tiny_texts):
    job = job_of(tiny_texts, TINY_BERT, Adapter())
    phases = (SOLVED, descent(["embeddings", "layer.0", "layer.1", "head"]))
    job = dataclasses.replace(job, plan=dataclasses.replace(job.plan, phases=phases))
    (ended,) = train(job, MemoryControl())
    assert ended.status == "failed"
    assert "fits no layer of embeddings" in ended.reason
    assert "Freeze these groups" in ended.hint


def test_layers_that_no_adapter_fits_are_left_out():
    spec = BACKBONES["efficientnet_lite0"]
    model = build_model(spec, TransferPlan(spec.name, "x", (SOLVED,), init="random"), 3, seed=0)
    fits = fitting(model, spec, "lora")
    assert "net.conv_stem" in fits["stem"]
    assert not any("conv_dw" in name for names in fits.values() for name in names), "depthwise"
    assert fitting(model, spec, "loha")["stem"] == [], "it pads in a way of its own, which loha would miss"
    adapted_plan = TransferPlan(spec.name, "x", (SOLVED, descent(["stem", "head"])), adapter=Adapter("loha"))
    with pytest.raises(PlanError, match="'loha' fits no layer of stem"):
        insert(model, spec, adapted_plan, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["efficientnet_lite0", "all_minilm_l6_v2"])
@torch.no_grad()
def test_the_strategys_plan_fits_the_packaged_backbones_and_merges(name, kind):
    spec = BACKBONES[name]
    task_info = TaskInfo(name, spec.modality, tuple(group.name for group in spec.groups), 100, 3, 30)
    plan = STRATEGIES["lora"].make(task_info, {"kind": kind, "rank": 4})
    model = build_model(spec, plan, 3, seed=0)
    insert(model, spec, plan, 0)
    with torch.no_grad():
        for tensor_name, parameter in model.named_parameters():
            if is_adapter(tensor_name):
                parameter.add_(torch.randn(parameter.shape) * 0.01)
    items = (torch.rand(2, 3, 224, 224),) if spec.modality == "image" else some_input(spec)
    unmerged = model(items)
    merge(model, plan)
    torch.testing.assert_close(model(items), unmerged, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_real_weights_learn_through_adapters(workspace, tmp_path):
    whole = import_data("sample:bbc_news", workspace)
    rows = np.unique(np.linspace(0, len(whole.items) - 1, 60).astype(int))
    dataset = dataclasses.replace(whole, fingerprint=f"{whole.fingerprint}-part")
    items = whole.items.iloc[rows].reset_index(drop=True)
    dataset.__dict__["items"] = items.assign(text=items["text"].str[:100])
    spec = BACKBONES["all_minilm_l6_v2"]
    groups = tuple(group.name for group in spec.groups)
    n = len(dataset.rows("train"))
    plan = STRATEGIES["lora"].make(TaskInfo(spec.name, "text", groups, n, len(dataset.classes), 5), {"epochs": 2})
    job = TrainJob(dataset, spec, plan, 0, Path(tmp_path), FeatureStore(workspace))
    events = run(job)
    tuned = epochs(events, 1)
    assert tuned[-1].train["loss"] < tuned[0].train["loss"]


def test_a_group_without_an_adapter_cannot_be_thawed_during_a_run(tiny_images):
    job = job_of(tiny_images, TINY_IMAGE, Adapter("lora", 2, 4.0))
    job = dataclasses.replace(job, plan=dataclasses.replace(job.plan, phases=job.plan.phases[1:]))
    events = run_with(job, {1: [rate("stem", 1e-3)]})
    assert not edited(events)
    assert any("no adapter" in event.finding.message for event in events if isinstance(event, Noted))
    assert events[-1].status == "done"

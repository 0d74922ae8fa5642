import dataclasses

import numpy as np
import pytest
import torch

from tests.tiny import TINY_TEXT, TOKENIZER, make_images, make_texts
from tests.training.helpers import SOLVED, after, before, epochs, make_job, run, same_bits
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES
from tl_core.data.sources import import_data
from tl_core.errors import BackboneError
from tl_core.features import FeatureStore
from tl_core.plan import Phase
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import Noted
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training.inputs import PreparedInputs
from tl_core.training.item_index import ItemIndex
from tl_core.training.loop import TrainJob
from tl_core.training.objectives.masked import PATCHES, MaskedObjective, PictureFiller, TextFiller
from tl_core.training.parts import make_parts, objective_of
from tl_core.workspace import Workspace

BODY = {"image": ("stem", "middle", "top"), "text": ("embeddings", "layer.0", "layer.1")}


@pytest.fixture(params=["tiny_images", "tiny_texts"])
def dataset(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def seen(monkeypatch):
    """The objectives of the masked phases that run, which hold the layers that fill in."""
    objectives = []
    prepare = MaskedObjective.prepare

    def watched(self):
        objectives.append(self)
        yield from prepare(self)

    monkeypatch.setattr(MaskedObjective, "prepare", watched)
    return objectives


def fill_in(dataset, rate=3e-3, **fields):
    lr = dict.fromkeys(BODY[dataset.modality], rate)
    return Phase("fill in", **{"epochs": 8, "lr": lr, "objective": "masked", "schedule": "constant"} | fields)


def held_out_loss(objective, rows):
    """The mean loss over several draws of masks, with the weights that the run has left."""
    inputs = PreparedInputs(objective._items, None, objective._items.preprocessor, 0)
    objective._model.eval()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(5)
        return np.mean([float(objective.forward(inputs, rows).loss) for _ in range(8)])


def other(dataset, workspace):
    """A second data set of the same kind, from other items."""
    second = (make_images if dataset.modality == "image" else make_texts)(workspace, 5)
    assert second.fingerprint != dataset.fingerprint
    return second


def test_a_backbone_that_learns_to_fill_in_beats_the_same_new_layers_on_an_untouched_one(dataset, seen):
    held_out = dataset.rows("test", "validation")
    for folder, rate in (("moved", 3e-3), ("untouched", 1e-30)):
        job = make_job(dataset, [fill_in(dataset, rate), SOLVED], folder, batch_size=8)
        events = run(job)
        losses = [event.train["loss"] for event in epochs(events)]
        assert losses[-1] < losses[0], "the new layers learn in any case"
        assert all(event.validation == {} and "accuracy" not in event.train for event in epochs(events))
    moved, untouched = (held_out_loss(objective, held_out) for objective in seen)
    assert moved < 0.97 * untouched


def test_it_moves_the_layers_of_its_phase_and_the_head_is_fitted_to_them(dataset):
    last = BODY[dataset.modality][-1]
    job = make_job(dataset, [fill_in(dataset, lr={last: 3e-3}, epochs=2), SOLVED], batch_size=8)
    run(job)
    first, left = before(job).state_dict(), after(job).state_dict()
    moved = {name for name in first if name.startswith("backbone") and not same_bits(first[name], left[name])}
    assert moved
    assert all(f".{last}." in name for name in moved)
    assert not any("running" in name for name in moved), "half-hidden pictures do not change the statistics"
    rows, model = dataset.rows("train"), after(job)
    items, prepare = job.store.prepared(dataset, job.spec), preprocessor(job.spec)
    with torch.no_grad():
        features = model.features(prepare.collate([items[int(row)] for row in rows], torch.device("cpu")))
    torch.testing.assert_close(model.head.mean, features.mean(dim=0), atol=1e-4, rtol=1e-3)


def test_a_fresh_head_that_learns_with_the_backbone_reads_features_in_its_own_units(dataset):
    """Whatever the backbone was before: its features are standardised as it is now."""
    body = BODY[dataset.modality]
    job = make_job(dataset, [fill_in(dataset, epochs=2), Phase("all", 1, {body[-1]: 1e-6, "head": 1e-6})])
    run(job)
    model = after(job)
    assert not torch.equal(model.head.std, torch.ones_like(model.head.std))
    held = {name: value for name, value in before(job).state_dict().items() if "running" in name}
    model.load_state_dict(held, strict=False)  # the last phase moved these, the first one does not
    features = make_parts(job, MemoryControl()).provider
    features.changed(0)
    *_, end = _drain(features.pooled(model, dataset.rows("train")))
    standardised = model.head.standardised(end.features[torch.from_numpy(dataset.rows("train"))])
    assert standardised.mean(dim=0).abs().max() < 0.05


def _drain(stages):
    """What a generator tells, and last what it returns."""
    while True:
        try:
            yield next(stages)
        except StopIteration as stop:
            yield stop.value
            return


def test_it_reads_training_items_and_the_target_and_no_test_item(dataset, workspace, monkeypatch):
    read, item = set(), ItemIndex.__getitem__
    forward = MaskedObjective.forward

    def watched(self, inputs, rows):
        monkeypatch.setattr(ItemIndex, "__getitem__", lambda space, row: read.add(int(row)) or item(space, row))
        try:
            return forward(self, inputs, rows)
        finally:
            monkeypatch.setattr(ItemIndex, "__getitem__", item)

    monkeypatch.setattr(MaskedObjective, "forward", watched)
    target = other(dataset, workspace)
    job = make_job(dataset, [fill_in(dataset, epochs=1), SOLVED], target=target, batch_size=8)
    events = run(job)
    whole = len(dataset.items)
    held_out = set(dataset.items["digest"].iloc[dataset.rows("validation", "test")])
    fresh = {whole + row for row, digest in enumerate(target.items["digest"]) if digest not in held_out}
    assert read == set(dataset.rows("train")) | fresh
    (finding,) = [
        event.finding for event in events if isinstance(event, Noted) and event.finding.code == "masked-items"
    ]
    assert f"{len(fresh)} of them without a label" in finding.message
    assert finding.hint == ""


def test_what_is_held_out_stays_so_where_the_target_holds_it_too(tiny_texts):
    parts = make_parts(make_job(tiny_texts, [fill_in(tiny_texts), SOLVED], target=tiny_texts), MemoryControl())
    rows, whole = objective_of(parts, 0).rows(), len(tiny_texts.items)
    train = tiny_texts.rows("train")
    assert sorted(rows) == sorted([*train, *(train + whole)])


def test_without_unlabelled_items_it_says_that_the_gain_is_small(tiny_texts):
    events = run(make_job(tiny_texts, [fill_in(tiny_texts, epochs=1), SOLVED]))
    (finding,) = [
        event.finding for event in events if isinstance(event, Noted) and event.finding.code == "masked-items"
    ]
    assert "the gain is small" in finding.hint
    assert "new and start from random weights" in finding.message


def test_the_same_seed_leaves_the_same_bits(dataset):
    jobs = [make_job(dataset, [fill_in(dataset, epochs=1), SOLVED], f"run{i}") for i in range(2)]
    for job in jobs:
        run(job)
    one, same = (after(job).state_dict() for job in jobs)
    assert all(same_bits(one[name], same[name]) for name in one)


def filler(spec=TINY_TEXT):
    return TextFiller(spec.load(True), preprocessor(spec), torch.Size([24, spec.features]))


def test_tokens_are_hidden_as_in_bert():
    prepare = preprocessor(TINY_TEXT)
    text = "salt and pan " * 3
    ids, mask = prepare.collate([prepare.prepare(text)] * 2000 + [prepare.prepare("the pan")], torch.device("cpu"))
    torch.manual_seed(0)
    hidden, truth, where = filler().hide(ids)
    assert torch.equal(truth, ids)
    assert torch.equal(hidden[~where], ids[~where])
    words = mask.clone()
    for mark in ("[CLS]", "[SEP]"):
        words &= ids != prepare.tokenizer.token_to_id(mark)
    assert not (where & ~words).any(), "marks and padding stay"
    n = int(words.sum())
    assert int(where.sum()) / n == pytest.approx(0.15, abs=4 * (0.15 * 0.85 / n) ** 0.5)
    now = hidden[where]
    as_mask = (now == prepare.tokenizer.token_to_id("[MASK]")).float().mean()
    kept = (now == ids[where]).float().mean()
    assert float(as_mask) == pytest.approx(0.8, abs=0.03)
    assert float(kept) == pytest.approx(0.1, abs=0.03)
    assert len(set(now.tolist())) > 50, "the rest are any tokens"


def test_a_batch_always_hides_a_token_and_one_without_words_is_no_harm():
    prepare, net = preprocessor(TINY_TEXT), filler()
    ids, _ = prepare.collate([prepare.prepare("a")], torch.device("cpu"))
    for seed in range(20):
        torch.manual_seed(seed)
        assert net.hide(ids)[2].sum() == 1
    empty, _ = prepare.collate([prepare.prepare("")], torch.device("cpu"))
    _, truth, where = net.hide(empty)
    assert not where.any()
    assert float(net(torch.zeros(*empty.shape, 16), truth, where).detach()) == 0.0


def test_the_decoder_is_tied_to_the_word_embeddings():
    backbone = TINY_TEXT.load(True)
    net = TextFiller(backbone, preprocessor(TINY_TEXT), torch.Size([24, 16]))
    own = {id(parameter) for parameter in net.parameters()}
    assert id(backbone.embeddings.weight) not in own
    where = torch.ones(1, 3, dtype=torch.bool)
    net(torch.randn(1, 3, 16), torch.tensor([[4, 5, 6]]), where).backward()
    assert backbone.embeddings.weight.grad.abs().sum() > 0


def test_a_tokenizer_without_a_mask_token_is_refused(tmp_path):
    plain = TOKENIZER.read_text(encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(plain.replace("[MASK]", "[NONE]"), encoding="utf-8")
    given = dataclasses.replace(TINY_TEXT.input, tokenizer=str(tmp_path / "tokenizer.json"))
    with pytest.raises(BackboneError, match="no mask token"):
        filler(dataclasses.replace(TINY_TEXT, input=given))


@pytest.mark.parametrize(("side", "maps"), [(224, 7), (32, 4), (260, 9), (240, 8)])
def test_patches_are_hidden_whole_and_only_they_are_judged(side, maps):
    net = PictureFiller(torch.Size([10, maps, maps]), side)
    pictures = torch.rand(3, 3, side, side) + 1
    hidden, truth, where = net.hide(pictures)
    assert torch.equal(truth, pictures)
    assert torch.equal(hidden[~where.expand_as(hidden)], pictures[~where.expand_as(hidden)])
    assert (hidden[where.expand_as(hidden)] == 0).all(), "the token begins at the mean colour"
    assert where.float().mean(dim=(1, 2, 3)).allclose(torch.tensor(PATCHES), atol=0.08)
    assert len({tuple(one.flatten().tolist()) for one in where}) == 3, "each picture its own"
    patch = -(-side // min(7, maps))
    for y in range(0, side, patch):
        for x in range(0, side, patch):
            assert len(where[0, 0, y : y + patch, x : x + patch].unique()) == 1
    maps_ = torch.randn(3, 10, maps, maps)
    painted = net.paint(maps_)[..., :side, :side]
    wanted = (painted - truth).abs()[where.expand_as(truth)].mean()
    assert float(net(maps_, truth, where).detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    changed = torch.where(where, truth, truth + 9)
    assert float(net(maps_, changed, where).detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "backbone"), [("bbc_news", "all_minilm_l6_v2"), ("textile_defects", "efficientnet_lite0")]
)
def test_real_backbones_learn_to_fill_in(sample, backbone, workspace: Workspace, tmp_path):
    whole = import_data(f"sample:{sample}", workspace)
    rows = np.unique(np.linspace(0, len(whole.items) - 1, 40).astype(int))
    dataset = dataclasses.replace(whole, fingerprint=f"{whole.fingerprint}-part")
    items = whole.items.iloc[rows].reset_index(drop=True)
    dataset.__dict__["items"] = items.assign(text=items["text"].str[:150])
    spec = BACKBONES[backbone]
    groups = tuple(group.name for group in spec.groups)
    task_info = TaskInfo(backbone, spec.modality, groups, len(dataset.rows("train")), len(dataset.classes), 5)
    plan = STRATEGIES["domain_adaptive"].make(task_info, {"passes": 4, "adapt": "one", "reach": "none"})
    job = TrainJob(dataset, spec, plan, 0, tmp_path, FeatureStore(workspace))
    losses = [event.train["loss"] for event in epochs(run(job))]
    assert losses[-1] < 0.97 * losses[0]
    first, left = before(job).state_dict(), after(job).state_dict()
    assert any(not same_bits(first[name], left[name]) for name in first if name.startswith("backbone"))

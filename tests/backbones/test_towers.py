"""Networks for pictures and texts: each part is a backbone of its own, and their joint space is that of the library."""

import json

import pytest
import torch

from tests.backbones.tiny_checkpoints import (
    bert_files,
    clip_net,
    lay,
    library_files,
    open_clip_files,
    siglip_net,
    timm_files,
)
from tl_core.backbones import memory
from tl_core.backbones.catalogue import check_folder, find_backbone, register_folder
from tl_core.backbones.provenance import Provenance
from tl_core.backbones.towers import JointEmbedding, joint_embedding
from tl_core.errors import BackboneError
from tl_core.workspace import Workspace

NAME = "folder:two@0123456789ab"
TEXTS = ["the rain is very cold today", "bread", "salt and butter with soup"]


def registered(workspace: Workspace, files: dict[str, bytes]) -> str:
    folder = lay(workspace.folder("backbones") / "own" / "two", files)
    return register_folder(workspace, folder, Provenance(NAME, "a folder of one's own"))


def ids_of(space: JointEmbedding, text: str) -> torch.Tensor:
    return space.texts.prepare(text).long()


def unit(output) -> torch.Tensor:
    return torch.nn.functional.normalize(output.pooler_output, dim=1)


def test_each_part_of_a_clip_is_the_librarys_own(workspace):
    net = clip_net()
    assert registered(workspace, library_files(net, pictures=True, texts=True)) == NAME
    pictures, texts = find_backbone(NAME, workspace), find_backbone("folder:two#text", workspace)
    assert (pictures.modality, texts.modality, texts.name) == ("image", "text", f"{NAME}#text")
    maps = torch.randn(2, 3, 32, 32)
    ids, mask = torch.randint(4, 118, (2, 7)), torch.ones(2, 7, dtype=torch.bool)
    with torch.no_grad():
        ours = pictures.load(True).eval().run((maps,))[0]
        assert torch.equal(ours, net.vision_model(pixel_values=maps).last_hidden_state)
        ours = texts.load(True).eval().run((ids, mask))[0]
        assert torch.equal(ours, net.text_model(input_ids=ids, attention_mask=mask.long()).last_hidden_state)
    assert [stage["kind"] for stage in texts.card["stages"]][-1] == "causal"
    assert pictures.parameters + texts.parameters < sum(p.numel() for p in net.parameters())


def test_the_space_of_a_clip(workspace):
    net = clip_net()
    registered(workspace, library_files(net, pictures=True, texts=True))
    space = joint_embedding(f"{NAME}#text", workspace)
    maps = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = unit(net.get_image_features(pixel_values=maps))
        texts = torch.cat([unit(net.get_text_features(input_ids=ids_of(space, text)[None])) for text in TEXTS])
    torch.testing.assert_close(space.embed_pictures(maps), wanted)
    torch.testing.assert_close(space.embed_texts(TEXTS), texts)
    torch.testing.assert_close(space.logits(wanted, texts), net.logit_scale.exp().detach() * wanted @ texts.T)
    torch.testing.assert_close(space.probabilities(wanted, texts).sum(dim=1), torch.ones(2))
    assert not space.sigmoid


def test_the_space_of_a_siglip_reads_texts_of_the_full_length_without_a_mask(workspace):
    net = siglip_net()
    net.logit_scale.data.fill_(1.3)
    net.logit_bias.data.fill_(-0.7)
    registered(workspace, library_files(net, pictures=True, texts=True))
    space = joint_embedding(NAME, workspace)
    maps = torch.randn(2, 3, 32, 32)
    full = torch.zeros(len(TEXTS), 24, dtype=torch.long)
    for row, text in enumerate(TEXTS):
        full[row, : len(ids_of(space, text))] = ids_of(space, text)
    with torch.no_grad():
        output = net(input_ids=full, pixel_values=maps)
    pictures, texts = space.embed_pictures(maps), space.embed_texts(TEXTS)
    torch.testing.assert_close(space.logits(pictures, texts), output.logits_per_image)
    torch.testing.assert_close(space.probabilities(pictures, texts), output.logits_per_image.sigmoid())
    assert find_backbone(f"{NAME}#text", workspace).card["stages"][-1]["kind"] == "hidden"


@pytest.mark.parametrize("quick", [False, True])
def test_open_clip_is_converted_to_what_it_computes(quick, workspace):
    files, net = open_clip_files(quick)
    registered(workspace, files)
    pictures, texts = find_backbone(NAME, workspace), find_backbone(f"{NAME}#text", workspace)
    space = joint_embedding(NAME, workspace)
    maps = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(pictures.load(True).eval().run((maps,))[0], net.visual.states(maps))
        torch.testing.assert_close(space.embed_pictures(maps), net.embed_pictures(maps))
        wanted = torch.cat([net.embed_text(ids_of(space, text)) for text in TEXTS])
        torch.testing.assert_close(space.embed_texts(TEXTS), wanted)
        assert space.scale == pytest.approx(float(net.logit_scale.exp()))
        state = space.texts.collate([space.texts.prepare(text) for text in TEXTS], torch.device("cpu"))
        network = texts.load(True).eval()
        last = network.pool(network.run(state))[0] @ net.text_projection
        torch.testing.assert_close(torch.nn.functional.normalize(last, dim=1), wanted)


def test_a_part_that_cannot_be_used_leaves_the_other(workspace):
    files = library_files(clip_net(), pictures=True)
    registered(workspace, files)
    with pytest.raises(BackboneError, match="tokenizer"):
        register_folder(workspace, workspace.root / "backbones" / "own" / "two", Provenance(NAME, "mine"), "#text")
    assert find_backbone(NAME, workspace).modality == "image"
    with pytest.raises(Exception, match="not in this workspace"):
        joint_embedding(NAME, workspace)


@pytest.mark.parametrize("files", [bert_files, timm_files])
def test_what_has_one_part_has_no_other_and_no_space(files, workspace):
    registered(workspace, files())
    folder = workspace.root / "backbones" / "own" / "two"
    with pytest.raises(BackboneError, match="no part for texts"):
        register_folder(workspace, folder, Provenance(NAME, "mine"), "#text")
    with pytest.raises(Exception, match=r"not in this workspace|in common"):
        joint_embedding(NAME, workspace)


def test_an_open_clip_of_other_libraries_networks_is_refused(workspace):
    files, _ = open_clip_files()
    config = json.loads(files["open_clip_config.json"])
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "vit_base_patch16_siglip_224"
    with pytest.raises(BackboneError, match="put together from other libraries"):
        registered(workspace, {**files, "open_clip_config.json": json.dumps(config).encode()})


def test_a_network_that_does_not_fit_into_memory_is_refused_before_it_is_built(workspace, monkeypatch):
    folder = lay(workspace.folder("backbones") / "own" / "two", bert_files())
    monkeypatch.setattr(memory, "total_memory", lambda: 100_000)
    for refused in (check_folder, lambda folder: register_folder(workspace, folder, Provenance(NAME, "mine"))):
        with pytest.raises(BackboneError, match=r"takes about 0 GB of memory here, and this machine has 0 GB"):
            refused(folder)

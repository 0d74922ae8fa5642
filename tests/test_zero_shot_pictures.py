"""Pictures and names in the space of a CLIP or a SigLIP: the scores are those of transformers' own forward."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.backbones.tiny_checkpoints import bert_files, clip_net, lay, library_files, siglip_net
from tests.test_cli import call
from tests.test_jobs import run
from tests.tiny import TINY_IMAGE
from tl_core.advice.probe_report import read_probe
from tl_core.backbones.catalogue import find_backbone, register_folder
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.provenance import Provenance
from tl_core.data.guesses.answers import answer, random_sample
from tl_core.data.guesses.sorting import asked
from tl_core.data.sources import import_data, list_datasets
from tl_core.runs.events import Noted
from tl_core.runs.task import Task
from tl_core.zero_shot.measured import question_of, zero_shot_accuracy
from tl_core.zero_shot.readers import reads_names

NAME = "folder:two@0123456789ab"
CLASSES = ("rain", "bread, salt", "soup")


@pytest.fixture
def pictures(tmp_path) -> Path:
    """12 pictures in no class folder."""
    (tmp_path / "pictures").mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (30 + number, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number:02}.png")
    return tmp_path / "pictures"


def register(workspace, net) -> None:
    folder = lay(workspace.folder("backbones") / "own" / "two", library_files(net, pictures=True, texts=True))
    register_folder(workspace, folder, Provenance(NAME, "a folder of one's own"))


def sort(capsys, data: Path, out: Path, *more: str) -> tuple[int, str, str]:
    return call(capsys, "zeroshot", data, "--classes", 'rain,"bread, salt",soup', "--out", out, *more)


def logits(net, workspace, pictures: Path, full: int = 0) -> torch.Tensor:
    """transformers' logits of every picture with every class in the usual template."""
    prepare = preprocessor(find_backbone(NAME, workspace))
    (maps,) = prepare.collate([prepare.prepare(path) for path in sorted(pictures.glob("*.png"))], torch.device("cpu"))
    words = preprocessor(find_backbone(f"{NAME}#text", workspace))
    columns = []
    for name in CLASSES:
        ids = words.prepare(f"a photo of a {name}.").long()[None]
        ids = torch.nn.functional.pad(ids, (0, max(0, full - ids.shape[1])), value=words.input.pad)
        with torch.no_grad():
            columns.append(net(input_ids=ids, pixel_values=maps).logits_per_image[:, 0])
    return torch.stack(columns, dim=1)


def found(out: Path) -> np.ndarray:
    with open(out, encoding="utf-8", newline="") as file:
        return np.array([[float(row[name]) for name in CLASSES] for row in csv.DictReader(file)])


def test_pictures_are_sorted_as_clip_does(capsys, workspace, pictures, tmp_path):
    net = clip_net()
    register(workspace, net)
    code, printed, told = sort(capsys, pictures, tmp_path / "out.csv")
    assert code == 0, told
    wanted = logits(net, workspace, pictures).softmax(dim=1).numpy()
    np.testing.assert_allclose(found(tmp_path / "out.csv"), wanted, atol=1e-5)
    assert "12 items are in" in printed
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == 'id,path,label,score,margin,rain,"bread, salt",soup'
    assert lines[1].startswith("00.png,pictures/00.png,")


def test_a_siglip_gives_a_yes_or_no_for_each_class(capsys, workspace, pictures, tmp_path):
    net = siglip_net()
    net.logit_scale.data.fill_(1.3)
    net.logit_bias.data.fill_(-0.7)
    register(workspace, net)
    code, _, told = sort(capsys, pictures, tmp_path / "out.csv")
    assert code == 0, told
    wanted = logits(net, workspace, pictures, full=24).sigmoid().numpy()
    np.testing.assert_allclose(found(tmp_path / "out.csv"), wanted, atol=1e-5)


def test_the_table_of_pictures_is_labelled_data(capsys, workspace, pictures, tmp_path):
    register(workspace, clip_net())
    out = tmp_path / "out.csv"
    assert sort(capsys, pictures, out)[0] == 0
    lines = out.read_text().splitlines()
    table = [line.split(",") for line in lines]
    corrected = [lines[0], *(",".join([*row[:2], "ab"[n % 2], *row[-5:]]) for n, row in enumerate(table[1:]))]
    out.write_text("\n".join(corrected))
    dataset = import_data(str(out), workspace)
    assert (dataset.modality, dataset.classes, len(dataset.items)) == ("image", ("a", "b"), 12)


def test_pictures_become_first_labels(capsys, workspace, pictures, tmp_path):
    register(workspace, clip_net())
    assert sort(capsys, pictures, tmp_path / "out.csv")[0] == 0
    (pool,) = list_datasets(workspace)
    from tl_core.data.guesses.sorting import Question, ask
    from tl_core.zero_shot.names import TEMPLATES

    ask(pool, Question(NAME, CLASSES, TEMPLATES["image"]))
    assert asked(pool).classes == CLASSES
    answer(pool, {int(row): CLASSES[int(row) % 2] for row in random_sample(pool)})
    dataset = import_data(f"guesses:{pool.fingerprint}", workspace)
    assert dataset.modality == "image"
    assert set(dataset.items["digest"]) == set(pool.items["digest"])


def test_without_such_a_backbone_one_sentence_says_which_to_fetch(capsys, workspace, pictures, tmp_path):
    code, printed, told = sort(capsys, pictures, tmp_path / "out.csv")
    assert (code, printed) == (2, "")
    assert "fetch clip_b32" in told


def test_a_backbone_that_reads_no_texts_is_refused(capsys, workspace, pictures, tmp_path, tiny_backbones):
    register(workspace, clip_net())
    code, _, told = sort(capsys, pictures, tmp_path / "out.csv", "--backbone", "tiny_image")
    assert code == 2
    assert f"tiny_image reads no texts, so it cannot compare the items with names of classes. These can: {NAME}" in told
    assert not reads_names(TINY_IMAGE, workspace)


def test_labelled_pictures_are_measured_by_the_names_of_their_folders(capsys, workspace, tmp_path):
    register(workspace, clip_net())
    for label in ("rain", "soup"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(8):
            shade = (20 * number, 90, 200 if label == "rain" else 20)
            Image.new("RGB", (30, 30), shade).save(tmp_path / "data" / label / f"{number}.png")
    code, printed, told = call(
        *(capsys, "zeroshot", tmp_path / "data", "--classes", "rain,soup", "--out", tmp_path / "o.csv", "--json")
    )
    assert code == 0, told
    dataset, spec = import_data(str(tmp_path / "data"), workspace), find_backbone(NAME, workspace)
    measured = zero_shot_accuracy(dataset, spec, workspace)
    assert question_of(dataset, spec, workspace).templates == ("a photo of a {}.",)
    assert measured.n == len(dataset.rows("train", "validation")) < len(dataset.items)
    assert json.loads(printed)["accuracy"]["value"] == measured.value


def test_a_bert_can_compare_texts_and_the_part_of_a_clip_cannot(workspace):
    register(workspace, clip_net())
    assert not reads_names(find_backbone(f"{NAME}#text", workspace), workspace)
    folder = lay(workspace.folder("backbones") / "own" / "bert", bert_files())
    name = register_folder(workspace, folder, Provenance("folder:bert@0123456789ab", "a folder of one's own"))
    assert reads_names(find_backbone(name, workspace), workspace)


@pytest.mark.parametrize("kind", ["probe", "check"])
def test_a_network_without_its_common_space_is_probed_all_the_same(workspace, tiny_images, kind):
    net = clip_net()
    del net.logit_scale, net.visual_projection, net.text_projection
    register(workspace, net)
    spec = find_backbone(NAME, workspace)
    assert reads_names(spec, workspace)
    _, events = run(workspace, Task(kind, NAME, tiny_images.fingerprint, tiny_images.split))
    assert events[-1].status == "done", events[-1]
    (note,) = [event.finding for event in events if isinstance(event, Noted) and event.finding.code == "no-zero-shot"]
    assert "lack logit_scale" in note.message
    assert read_probe(workspace, tiny_images, NAME) is not None
    assert zero_shot_accuracy(tiny_images, spec, workspace) is None

"""Fetching a backbone by the command line, and going the whole way with it: training, bundle, prediction."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.backbones.tiny_checkpoints import bert_files, lay, timm_files
from tests.hub_fixture import local_hub
from tests.hub_server import Fault, Repo
from tl_core.backbones import catalogue, fetched
from tl_core.cli import main
from tl_core.errors import BackboneError

ROOT = Path(__file__).parents[1]
LEAF = "resnet50"
"""A leaf of the tree; the hub of these tests has a tiny network under its name."""


@pytest.fixture(scope="module")
def repos() -> dict[str, Repo]:
    bert = bert_files()
    strange = {**bert, "config.json": b'{"model_type": "sphinx", "auto_map": {"AutoModel": "m.M"}}', "m.py": b"1/0"}
    return {
        "timm/resnet50.a1_in1k": Repo(timm_files("test_resnet"), licence="apache-2.0"),
        "lab/bert": Repo(bert, licence="mit"),
        "lab/strange": Repo(strange),
        "lab/wordless": Repo({name: data for name, data in bert.items() if "tokenizer" not in name}),
    }


@pytest.fixture
def hub(repos, workspace, monkeypatch, tmp_path):
    """A hub that the command line downloads from, without a login."""
    with local_hub(repos, monkeypatch, tmp_path) as server:
        yield server


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out.strip(), captured.err


def listed(capsys) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(call(capsys, "backbones", "--json")[1])}


def test_every_backbone_is_listed_with_what_it_takes(capsys, workspace):
    rows = listed(capsys)
    assert (rows["efficientnet_lite0"]["state"], rows["resnet50"]["state"]) == ("ready", "download")
    assert (rows["medclip"]["state"], rows["medclip"]["bytes"]) == ("file", None)
    assert (rows["flamingo_3b"]["state"], rows["clip_b32#text"]["state"]) == ("no", "download")
    assert "idefics_9b" in rows["flamingo_3b"]["needs"]
    assert rows["roberta"]["licence"] == "MIT"
    _, out, _ = call(capsys, "backbones")
    assert "all_minilm_l6_v2" in out
    assert "python -m tl_core fetch NAME" in out


def test_a_leaf_of_the_tree_is_fetched_by_its_name(capsys, hub, workspace):
    code, name, err = call(capsys, "fetch", LEAF)
    assert (code, name) == (0, f"hub:timm/resnet50.a1_in1k@{hub.models['timm/resnet50.a1_in1k'].commit}")
    assert "is ready: it reads images" in err
    row = listed(capsys)[name]
    assert (row["state"], row["licence"], row["modality"]) == ("ready", "apache-2.0", "image")
    hub.requests.clear()
    code, out, _ = call(capsys, "fetch", name, "--json")
    assert (code, json.loads(out)["name"], hub.requests) == (0, name, [])
    assert call(capsys, "backbones", "--delete", "hub:timm/resnet50.a1_in1k")[:2] == (0, f"{name} is deleted.")
    assert name not in listed(capsys)
    assert not fetched.fetched(workspace)


def test_what_came_with_the_installation_is_ready_at_once(capsys, hub):
    assert call(capsys, "fetch", "EfficientNet-Lite0")[:2] == (0, "efficientnet_lite0")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("medclip", "MedCLIP is not on the hub, so it cannot be fetched by name. Get its weights from https://github"),
        ("resnet51", "There is no backbone named 'resnet51'. Did you mean 'resnet50'?"),
        ("lab/bert", "There is no folder lab/bert. A model of the hub is called hub:lab/bert."),
        ("./nothing", "There is nothing at nothing."),
        ("hub:lab/none", "The hub has no model lab/none, or it is private."),
        ("hub:lab/strange", "sphinx"),
        ("hub:lab/wordless", "tokenizer"),
        ("hub:", "hub: does not name a model of the hub."),
    ],
)
def test_a_mistake_is_one_sentence(what, message, capsys, hub, workspace):
    code, out, err = call(capsys, "fetch", what)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not fetched.fetched(workspace)
    assert not any("/lfs/" in request for request in hub.requests), "weights were downloaded"


def test_a_network_that_cannot_be_used_leaves_nothing(capsys, hub, workspace, monkeypatch):
    def refuse(*_):
        raise BackboneError("It cannot be cut into stages.", "Take another.")

    monkeypatch.setattr(catalogue, "register_folder", refuse)
    assert call(capsys, "fetch", "hub:lab/bert")[::2] == (2, "It cannot be cut into stages. Take another.\n")
    assert not fetched.fetched(workspace)


def test_ctrl_c_leaves_nothing_half_installed_and_the_next_time_goes_on(capsys, hub, workspace):
    hub.faults.append(Fault("/lfs", stall=50_000))
    command = [sys.executable, "-m", "tl_core", "fetch", "hub:lab/bert"]
    # whoever runs the tests in the background ignores Ctrl-C, and a child would inherit that
    interruptible = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    part = workspace.root / "backbones" / ".parts"
    end = time.monotonic() + 180
    while not any(path.stat().st_size == 50_000 for path in part.glob("*/*.part")):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert not fetched.fetched(workspace)
    assert "of it are downloaded" in call(capsys, "backbones")[1]
    hub.faults.clear()
    assert call(capsys, "fetch", "hub:lab/bert")[0] == 0
    assert hub.ranges == ["bytes=50000-"]


def pictures(folder: Path) -> Path:
    """Write 24 pictures of two kinds in class folders."""
    random = np.random.default_rng(0)
    for number in range(24):
        kind = ("stripes", "columns")[number % 2]
        pattern = np.indices((40, 40))[number % 2] // 4 % 2
        pixels = pattern[..., None] * 150 + 40 + random.integers(0, 30, (40, 40, 3))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / kind / f"{number}.png")
    return folder


def texts(path: Path) -> Path:
    """Write a table of 40 short texts of two kinds."""
    words = (["pan", "oven", "salt", "bread"], ["rain", "cloud", "storm", "wind"])
    rows = [(f"{words[n % 2][n % 4]} {words[n % 2][n // 4 % 4]} {n}", ("kitchen", "weather")[n % 2]) for n in range(40)]
    path.write_text("\n".join(["text,label", *(f"{text},{label}" for text, label in rows)]))
    return path


PLAN = """backbone: {backbone}
strategy: by hand
batch_size: 8
phases:
  - {{name: head, epochs: 1, lr: {{head: 0.1}}}}
  - {{name: last, epochs: 1, lr: {{{group}: 0.001, head: 0.01}}}}
"""


@pytest.mark.parametrize("modality", ["image", "text"])
def test_from_the_hub_to_predictions_without_graft(modality, capsys, hub, workspace, tmp_path):
    repo = {"image": "timm/resnet50.a1_in1k", "text": "lab/bert"}[modality]
    data = pictures(tmp_path / "data") if modality == "image" else texts(tmp_path / "data.csv")
    fetched_as = json.loads(call(capsys, "fetch", f"hub:{repo}", "--json")[1])
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.format(backbone=fetched_as["name"], group=fetched_as["groups"][-1]))
    code, _, err = call(capsys, "train", data, "--plan", plan, "--out", tmp_path / "bundle")
    assert code == 0, err
    source = data if modality == "image" else texts(tmp_path / "new.csv")
    code, _, err = call(capsys, "predict", tmp_path / "bundle", source, "--out", tmp_path / "ours.csv")
    assert code == 0, err
    fetched.delete(workspace, fetched_as["name"])  # a bundle needs nothing but itself
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "predict.py", str(source), "--out", str(tmp_path / "theirs.csv")]
    done = subprocess.run(command, cwd=tmp_path / "bundle", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours, theirs = (read_table(tmp_path / f"{name}.csv") for name in ("ours", "theirs"))
    assert (ours[0], len(ours)) == (theirs[0], len(theirs))
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    probabilities = [np.array([row[2:] for row in table[1:]], dtype=float) for table in (ours, theirs)]
    np.testing.assert_allclose(*probabilities, atol=1e-4)
    assert call(capsys, "predict", tmp_path / "bundle", source, "--out", tmp_path / "again.csv")[0] == 0


def read_table(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


def test_a_folder_of_ones_own(capsys, hub, workspace, tmp_path):
    code, name, err = call(capsys, "fetch", lay(tmp_path / "mine", timm_files("test_vit")))
    assert code == 0, err
    assert name.startswith("folder:mine@")
    assert (listed(capsys)[name]["state"], hub.requests) == ("ready", [])

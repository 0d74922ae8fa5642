"""Every leaf of the tree: fetched by its name from what its authors publish, trained, exported, used without Graft."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch

from tests.contract.leaf_files import FILES, HUB
from tests.hub_server import Repo, serve
from tests.tiny import make_images, make_texts
from tl_core.backbones.acquire import make_ready
from tl_core.backbones.catalogue import find_backbone
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import BackboneError
from tl_core.evaluation.report import make_report
from tl_core.export import TrainedModel
from tl_core.export.bundle import dataset_items, load_bundle, write_bundle
from tl_core.features import FeatureStore
from tl_core.layers import partition
from tl_core.plan import Adapter, Phase, TransferPlan
from tl_core.runs.control import MemoryControl
from tl_core.training.loop import TrainJob, load_best, train
from tl_core.workspace import Workspace

LEAVES = [name for name in BACKBONES if not BACKBONES[name].ready]
CANNOT = {"flamingo_3b"}
"""Leaves that no library builds, as their card says."""
ITEMS = 4


@dataclass
class Place:
    """A workspace with data, and the bundles that were made in it: folder and own probabilities by leaf."""

    workspace: Workspace
    files: Path
    data: dict[str, Dataset]
    bundles: dict[str, tuple[Path, np.ndarray]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A hub on this machine that has every repository, and the files that lie elsewhere."""
    root = tmp_path_factory.mktemp("leaves")
    for name, files in FILES.items():
        (root / name).mkdir()
        for file, data in files().items():
            (root / name / file).write_bytes(data)
    repos = {BACKBONES[name].weights.name: Repo(files()) for name, files in HUB.items()}
    repos[BACKBONES["flamingo_3b"].weights.name] = Repo({"checkpoint.pt": b"layers", "config.json": b"{}"})
    with pytest.MonkeyPatch.context() as patch, serve({}, repos) as hub:
        patch.setenv("GRAFT_HOME", str(root / "graft"))
        patch.setenv("HF_ENDPOINT", hub.url)
        workspace = Workspace.default()
        data = {"image": make_images(workspace), "text": make_texts(workspace)}
        yield Place(workspace, root, data, {})
        huggingface_hub.close_session()


def fetched(place: Place, name: str) -> BackboneSpec:
    """Make a leaf ready by its name, or by the file that its authors give."""
    leaf = name.partition("#")[0]
    if leaf not in FILES:
        return make_ready(place.workspace, name)
    make_ready(place.workspace, str(next((place.files / leaf).iterdir())), leaf)
    return find_backbone(name, place.workspace)


def two_steps(place: Place, spec: BackboneSpec, groups: list[str], adapter: Adapter | None = None) -> tuple:
    """Train the head and some layer groups for two steps; return the model and its plan."""
    data = place.data[spec.modality]
    phase = Phase("both", 1, dict.fromkeys([*groups, "head"], 1e-2))
    plan = TransferPlan(spec.name, "by hand", (phase,), batch_size=4, adapter=adapter)
    folder = place.files / "runs" / f"{spec.name.replace('/', '-')}-{adapter.kind if adapter else 'plain'}"
    folder.mkdir(parents=True)
    rows = data.rows("train")[:8]
    job = TrainJob(data, spec, plan, 0, folder, FeatureStore(place.workspace), train_rows=rows)
    events = list(train(job, MemoryControl()))
    assert events[-1].status == "done", events[-1]
    return load_best(folder, spec, plan, len(data.classes)), plan


def trained(place: Place, spec: BackboneSpec) -> TrainedModel:
    """Train the last layer group and nothing else of the backbone."""
    data, last = place.data[spec.modality], spec.groups[-1].name
    model, plan = two_steps(place, spec, [last])
    before, after = spec.load(True).state_dict(), model.backbone.state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved
    assert moved <= set(partition(after, spec.groups)[last])
    test = dataset_items(data, data.rows("test"))
    uniform = np.full((len(test), len(data.classes)), 1 / len(data.classes), np.float32)
    return TrainedModel(model, spec, data, make_report("run-1", data, plan, uniform, {"accuracy": 0.5}))


def test_every_leaf_is_fetched_trained_and_exported_and_answers_without_graft(
    place: Place, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
):
    """One test, as the bundles of all leaves answer in one clean process."""
    home = os.environ["GRAFT_HOME"]
    for name in LEAVES:
        if name not in CANNOT:
            with subtests.test(leaf=name):
                monkeypatch.setenv("GRAFT_HOME", home)
                take_the_whole_way(name, place, monkeypatch)
    assert set(place.bundles) == set(LEAVES) - CANNOT
    answer_without_graft(place)


def take_the_whole_way(name: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf, spec = BACKBONES[name], fetched(place, name)
    assert find_backbone(name, place.workspace) == spec
    assert (spec.modality, spec.ready, spec.pretrained) == (leaf.modality, True, True)
    bundle = place.files / "bundles" / name
    write_bundle(bundle, trained(place, spec))
    items = dataset_items(place.data[spec.modality], np.arange(ITEMS))
    monkeypatch.setenv("GRAFT_HOME", str(place.files / "elsewhere"))  # a bundle needs nothing but itself
    place.bundles[name] = bundle, load_bundle(bundle).predict(items)


@pytest.mark.parametrize("name", ["llama32_1b", "starcoder2_3b"])
def test_a_decoder_learns_by_lora(name: str, place: Place):
    spec = fetched(place, name)
    assert spec.groups[1].name == "layers.0"
    model, _ = two_steps(place, spec, ["layers.0", "layers.1"], Adapter(rank=2))
    before, after = spec.load(True).state_dict(), model.backbone.state_dict()
    changes = {
        tensor: after[tensor] - value for tensor, value in before.items() if not torch.equal(after[tensor], value)
    }
    assert {tensor.split("layers.")[1][0] for tensor in changes} == {"0", "1"}
    assert all(torch.linalg.matrix_rank(change, rtol=1e-3) <= 2 for change in changes.values())


def answer_without_graft(place: Place) -> None:
    code = (
        "import sys, json; job = json.loads(sys.argv[1]); sys.path.insert(0, job[0][0])\n"
        "from pathlib import Path; from predict import Model\n"
        "print(json.dumps([Model(Path(folder))(items).tolist() for folder, items in job]))\n"
        "assert not any(name.startswith('tl_core') for name in sys.modules)"
    )
    items = {kind: [str(item) for item in dataset_items(data, np.arange(ITEMS))] for kind, data in place.data.items()}
    job = [(str(folder), items[BACKBONES[name].modality]) for name, (folder, _) in place.bundles.items()]
    command = [sys.executable, "-W", "ignore", "-P", "-c", code, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place.files, timeout=300)
    assert done.returncode == 0, done.stderr
    for (name, (_, ours)), theirs in zip(place.bundles.items(), json.loads(done.stdout), strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", sorted(CANNOT))
def test_what_no_library_builds_is_refused_in_words(name: str, place: Place):
    with pytest.raises(BackboneError, match="holds no weights that can be used"):
        make_ready(place.workspace, name)

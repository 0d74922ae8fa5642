"""Make a generation of golden data: a workspace, bundles and plans as one version of the program leaves them on disk.

    python -m tests.golden.make v1

v1 was made at commit 1820c33, with the code of that commit and this file as it was first committed. What a generation
holds stays as it is for good: test_opens.py opens it with the code of today, so that what people have saved goes on
opening, however much is renamed. So run this only to ADD another generation (v2, ...) when the program writes
something that no generation holds yet; never to make an old one anew. It refuses to write where there is one.

It speaks the names of the code that it was last run with. Where those have changed since, it has to be put right
before the next generation is made, and not earlier; no test runs it.

The networks are those of tests/tiny.py, a BERT of two layers, and the stem of the packaged EfficientNet-Lite0. Left out
is what can be made again: prepared pictures, locks, and all features but those of one data set. No path of the machine
and no process that ran on it is in what is written.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.tiny import TINY_IMAGE, TINY_TEXT, TOKENIZER
from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.spec import BACKBONES, BackboneSpec, TextInput, Weights
from tl_core.backbones.staged import Staged
from tl_core.backbones.transformers_nets import StagedBert
from tl_core.cli import main as command
from tl_core.cli.run_pointer import Mark, write_mark
from tl_core.data.dataset import Dataset
from tl_core.data.options import ImportOptions
from tl_core.data.sources import import_data
from tl_core.evaluation.result_files import bundle_folder, ensemble_folder, read_report
from tl_core.jobs import execute
from tl_core.jobs.extra_inputs import import_teacher
from tl_core.layers import LayerGroup
from tl_core.penalties import PENALTIES
from tl_core.plan import Adapter, Augment, Head, Loss, Penalty, Phase, Reason, TransferPlan, to_yaml
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, RunPaused
from tl_core.runs.process import Owner
from tl_core.runs.record import record
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.strategies import STRATEGIES, Setting
from tl_core.types import dump
from tl_core.workspace import Workspace, write_json

HERE = Path(__file__).parent
GONE = Owner(1, "gone", "")
PLACE = "@WORKSPACE@"
"""Stands in the marks of interrupted trainings for the workspace, which lies elsewhere in every test."""
SOLVED = Phase("head", 30, {"head": 1.0}, optimizer="lbfgs", weight_decay=0.01)
FILES = {"patterns": "patterns.zip", "notes": "notes.csv", "topics": "topics.csv"}
SAID = {"topics": ("--separator", "|", "--subgroup-column", "length")}
TOPICS = ImportOptions(separator="|", subgroup_column="length")
VOCABULARY = len(json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"])
SAMPLES = 5
"""Values of each tensor that are kept to compare with."""


def _load_bert(pretrained: bool) -> Staged:
    ensure_torchvision()
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, attn_implementation="sdpa",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return StagedBert(BertModel(config, add_pooling_layer=False)).eval()


GOLDEN_BERT = BackboneSpec(
    name="golden_bert",
    title="golden_bert",
    modality="text",
    place=("text", "general"),
    summary="For tests.",
    licence="none",
    source="https://example.org/tiny",
    weights=Weights("package", "tests", 0),
    groups=tuple(
        LayerGroup(name, rf"net\.(encoder\.)?{re.escape(name)}\.") for name in ("embeddings", "layer.0", "layer.1")
    ),
    parameters=0,
    features=16,
    input=TextInput(max_tokens=24, tokenizer=str(TOKENIZER)),
    load=_load_bert,
)


# ---------------------------------------------------------------- sources


def write_sources(folder: Path) -> None:
    """Write a zip of pictures in three classes, a table of texts in two, and one of texts with several labels."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    y, x = np.mgrid[:24, :28]
    patterns = {"stripes": y // 4 % 2, "columns": x // 4 % 2, "checks": (x // 4 + y // 4) % 2}
    with zipfile.ZipFile(folder / "patterns.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10):
            for label, pattern in patterns.items():
                noise = chance.integers(-3, 4, (24, 28)) * 12
                grey = (pattern * 110 + 70 + noise + 3 * number).clip(0, 255).astype(np.uint8)
                file = BytesIO()
                Image.fromarray(grey).save(file, "PNG")
                archive.writestr(zipfile.ZipInfo(f"patterns/{label}/{number:02d}.png"), file.getvalue())
    words = {
        "kitchen": ["pan", "oven", "salt", "bread", "butter", "soup", "knife", "recipe", "boil", "taste"],
        "weather": ["rain", "cloud", "storm", "wind", "sun", "frost", "snow", "forecast", "thunder", "fog"],
        "travel": ["train", "ticket", "road", "map", "hotel", "flight", "bag", "coast", "guide", "walk"],
    }
    filler = ["the", "a", "is", "very", "with", "and", "this", "that", "today", "on"]
    draw = random.Random(0)
    lines = ["text,label"]
    for number in range(24):
        for label in ("kitchen", "weather"):
            said = [draw.choice(words[label] + filler) for _ in range(draw.randint(4, 20))]
            lines.append(f"{' '.join(said)} {words[label][number % 10]} {number},{label}")
    lines.append(lines[7])  # a copy
    (folder / "notes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["text,labels,length"]
    for number in range(48):
        labels = [name for name, share in zip(words, (0.5, 0.4, 0.3), strict=True) if draw.random() < share]
        said = [draw.choice(words[name]) for name in labels for _ in range(3)]
        said += [draw.choice(filler) for _ in range(draw.choice((4, 12)))]
        draw.shuffle(said)
        lines.append(f"{' '.join(said)} {number},{'|'.join(labels)},{'short' if len(said) < 10 else 'long'}")
    (folder / "topics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def told(*words: str) -> Any:
    """Return what a command of the command line prints."""
    with contextlib.redirect_stdout(StringIO()) as out:
        assert command([*words, "--json"]) == 0
    return json.loads(out.getvalue())


def decide(source: Path, *words: str) -> None:
    """Decide as a person does on the command line."""
    told("decide", str(source), *words)


def entries(source: Path, *words: str) -> dict[str, Any]:
    """Return what was decided, and what waits to be confirmed."""
    return told("decide", str(source), "list", *words)


def ids(dataset: Dataset, split: str) -> list[str]:
    return [str(name) for name in dataset.items["id"].iloc[dataset.rows(split)]]


def make_data(workspace: Workspace, sources: Path) -> dict[str, Dataset]:
    """Import the sources and decide about items: every kind of decision, one taken back, one that waits."""
    found = {
        "patterns": import_data(str(sources / "patterns.zip"), workspace),
        "notes": import_data(str(sources / "notes.csv"), workspace),
        "topics": import_data(str(sources / "topics.csv"), workspace, TOPICS),
    }
    train, test = ids(found["patterns"], "train"), ids(found["patterns"], "test")
    decide(sources / "patterns.zip", "drop", train[0], "--code", "by-eye")
    decide(sources / "patterns.zip", "drop", test[0])  # waits
    train, test = ids(found["notes"], "train"), ids(found["notes"], "test")
    classes = found["notes"].classes
    label = {
        name: classes[label] for name, label in zip(found["notes"].items["id"], found["notes"].labels, strict=True)
    }
    other = {name: next(one for one in classes if one != label[name]) for name in label}
    decide(sources / "notes.csv", "relabel", train[2], "--label", other[train[2]], "--code", "label-error")
    decide(sources / "notes.csv", "drop", train[3], train[5])
    decide(sources / "notes.csv", "keep", train[6], "--code", "outlier")
    decide(sources / "notes.csv", "drop", train[8])
    decide(sources / "notes.csv", "undo", "3")
    decide(sources / "notes.csv", "together", train[9], train[10])
    decide(sources / "notes.csv", "relabel", test[0], "--label", other[test[0]])
    decide(sources / "notes.csv", "confirm", "--reason", "it speaks of the other")
    train = ids(found["topics"], "train")
    decide(sources / "topics.csv", "relabel", train[1], "--label", "kitchen", "--label", "travel", *SAID["topics"])
    decide(sources / "topics.csv", "relabel", train[4], *SAID["topics"])  # none of them
    return {name: dataset.with_current_decisions() for name, dataset in found.items()}


# ---------------------------------------------------------------- runs


def run(workspace: Workspace, task: Task, status: str = "done", until: Callable | None = None, control: Any = None):
    """Execute a run in this process, or up to the event for which `until` holds; return its id."""
    store = RunStore(workspace)
    run_id = store.create(task, owner=GONE)
    follow(workspace, run_id, until, control)
    found = store.state(run_id)
    assert found.status == status, found
    print(f"{run_id} {task.kind} {task.name}: {found.status}", file=sys.stderr)
    return run_id


def follow(workspace: Workspace, run_id: str, until: Callable | None = None, control: Any = None) -> None:
    store = RunStore(workspace)
    folder, control = store.folder(run_id), control or MemoryControl()
    events = record(execute(store.task(run_id), workspace, folder, control), folder)
    with contextlib.closing(events):
        for event in events:
            if until and until(event, control):
                return


def task(kind: str, backbone: str, dataset: Dataset, plan: TransferPlan | None = None, **fields: Any) -> Task:
    name = fields.pop("name", dataset.name)
    return Task(
        kind, backbone, dataset.fingerprint, dataset.split, plan, name=name, decisions=dataset.pin_decisions(), **fields
    )  # fmt: skip


def plan_of(strategy: str, spec: BackboneSpec, dataset: Dataset, epochs: int = 3, **fields: Any) -> TransferPlan:
    """Return a strategy's plan for a data set, with few epochs."""
    groups = tuple(group.name for group in spec.groups)
    counts = dataset.targets[dataset.rows("train")].sum(axis=0)
    setting = Setting(
        spec.name, spec.modality, groups, len(dataset.rows("train")), len(dataset.classes), int(counts.min()),
        several=dataset.multilabel,
    )  # fmt: skip
    made = STRATEGIES[strategy].make(setting)
    phases = tuple(
        replace(p, epochs=p.epochs if p.optimizer == "lbfgs" else min(p.epochs, epochs)) for p in made.phases
    )
    return replace(made, phases=phases, batch_size=8, precision="float32", **fields)


def guarded() -> TransferPlan:
    """A plan that has nearly everything that a checkpoint has to know of."""
    lr = {"middle": 2e-3, "head": 1e-2}
    weak = replace(SOLVED, weight_decay=3.0)  # so that there is something left to learn
    tuned = Phase("the middle", 4, lr, warmup=0.1, patience=3, blend=True, adapt=True)
    last = Phase("all items", 1, {"middle": 2e-4, "head": 1e-3}, "linear", fit_on="train+validation")
    penalties = (
        Penalty("l2_sp", 0.01),
        Penalty("ewc", PENALTIES["ewc"].strength, {"items": 20}),
        Penalty("distill", 0.5, {"temperature": 3.0}),
    )
    return TransferPlan(
        "tiny_image", "by hand", (weak, tuned, last), batch_size=4, penalties=penalties, precision="float32",
        augment=Augment("light"), loss=Loss("balanced", 0.0, 0.2), why=(Reason("To be gone on with.", "a test"),),
    )  # fmt: skip


def pairs() -> TransferPlan:
    """A plan that learns from pairs, through adapters."""
    lr = {"layer.0": 1e-3, "layer.1": 2e-3}
    learned = Phase("pairs", 3, lr, schedule="linear", warmup=0.1, objective="contrastive", draws=24)
    return TransferPlan(
        "tiny_text", "by hand", (learned, replace(SOLVED, fit_on="train+validation")), batch_size=8,
        adapter=Adapter("lora", 4, 8.0), precision="float32",
    )  # fmt: skip


def edits_then_ends(event: Any, control: MemoryControl) -> bool:
    """Change a rate after the first epoch of the second phase, and be killed at the end of the next."""
    if isinstance(event, EpochDone) and (event.phase, event.epoch) == (1, 0):
        control.edit("middle", 1e-3)
    return isinstance(event, EpochDone) and (event.phase, event.epoch) == (1, 1)


class PausesAt(MemoryControl):
    """Asks to wait from the n-th look on."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    @property
    def paused(self) -> bool:
        self.left -= 1
        return self.left < 0


def make_runs(workspace: Workspace, data: dict[str, Dataset]) -> dict[str, str]:
    """Execute a run of every kind and end; return their ids by the names that the test has for them."""
    images, notes, topics = data["patterns"], data["notes"], data["topics"]
    found: dict[str, str] = {}
    for dataset, backbone in ((images, "tiny_image"), (notes, "tiny_text"), (topics, "tiny_text")):
        run(workspace, task("probe", backbone, dataset))
    found["speed"] = run(workspace, Task("speed", "tiny_image", name="Speed of tiny_image"))
    run(workspace, task("check", "", images))
    found["check"] = run(workspace, task("check", "tiny_text", notes))
    run(workspace, task("curve", "tiny_image", images, budget=0.5))
    full = plan_of("full", TINY_IMAGE, images, loss=Loss("none", 0.1))
    found["rates"] = run(workspace, task("rates", "tiny_image", images, full))
    found["layers"] = run(workspace, task("layers", "tiny_image", images, full))
    found["images"] = run(workspace, task("train", "tiny_image", images, full, name="Patterns, everything"))
    scratch = plan_of("from_scratch", TINY_IMAGE, images)
    found["scratch"] = run(
        workspace, task("train", "tiny_image", images, scratch, budget=30.0, compare_to=found["images"])
    )
    adapted = TransferPlan(
        "tiny_text", "by hand", (SOLVED, Phase("tune", 3, {"layer.0": 1e-3, "head": 1e-3}, patience=2)),
        head=Head(tap="layer.0"), batch_size=8, adapter=Adapter("lora", 4, 8.0, 0.1), precision="float32",
    )  # fmt: skip
    found["notes"] = run(workspace, task("train", "tiny_text", notes, adapted, seed=3))
    several = TransferPlan(
        "tiny_text", "by hand", (SOLVED, Phase("tune", 2, {"layer.0": 1e-3, "head": 1e-3}, patience=2)),
        head=Head(tap="layer.0", pool="mean_std"), batch_size=8, penalties=(Penalty("kl", 0.1),), precision="float32",
    )  # fmt: skip
    found["topics"] = run(workspace, task("train", "tiny_text", topics, several))
    stem = plan_of(
        "feature_extraction", BACKBONES["efficientnet_lite0"], images, head=Head(tap="stem", pool="mean_std")
    )
    found["stem"] = run(workspace, task("train", "efficientnet_lite0", images, stem))
    teacher = import_teacher(workspace, str(bundle_folder(RunStore(workspace).folder(found["images"]))))
    ends = {"teacher": teacher, "name": "interrupted"}
    found["interrupted"] = run(
        workspace, task("train", "tiny_image", images, guarded(), **ends), "interrupted", edits_then_ends
    )
    found["paused"] = run(
        workspace, task("train", "tiny_text", notes, pairs(), name="paused"), "interrupted",
        lambda event, control: isinstance(event, RunPaused), PausesAt(8),
    )  # fmt: skip
    store = RunStore(workspace)
    store.control(found["paused"]).pause()
    store.leave(found["paused"], "paused")
    assert store.state(found["paused"]).status == "paused"
    found["failed"] = run(workspace, task("train", "tiny_image", images, replace(full, batch_size=0)), "failed")
    found["queued"] = store.create(task("train", "tiny_image", images, full, name="waits"))
    found["dropped"] = store.create(task("train", "tiny_image", images, full, name="taken out"))
    store.stop(found["dropped"])
    _sameness(workspace, found["interrupted"], lambda *given: edits_then_ends(*given) and False)
    _sameness(workspace, found["paused"], None)
    return found


def _sameness(workspace: Workspace, run_id: str, until: Callable | None) -> None:
    """Check that the run, once gone on with, ends with the bits of one that was not interrupted."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("one", "two"):
            shutil.copytree(workspace.root, Path(place) / name)
        one, two = (Workspace(Path(place) / name) for name in ("one", "two"))
        whole = run(one, RunStore(workspace).task(run_id), until=until)
        RunStore(two).resume(run_id, owner=GONE)
        follow(two, run_id)
        assert RunStore(two).state(run_id).status == "done"
        first, second = RunStore(one).folder(whole), RunStore(two).folder(run_id)
        assert (first / "best.safetensors").read_bytes() == (second / "best.safetensors").read_bytes()


# ---------------------------------------------------------------- plans


def write_plans(folder: Path) -> dict[str, Any]:
    """Write a plan of every strategy for pictures and for texts, and one that has every setting."""
    folder.mkdir()
    plans = {}
    for spec in (TINY_IMAGE, TINY_TEXT):
        groups = tuple(group.name for group in spec.groups)
        setting = Setting(
            spec.name, spec.modality, groups, 200, 3, 40, "layer.0" if spec is TINY_TEXT else "middle", "mean_std",
            0.03, 0.02, 50, "different", has_source=True, has_target=True, parameters=spec.parameters,
        )  # fmt: skip
        for strategy in STRATEGIES.values():
            plans[f"{spec.modality}-{strategy.name}"] = (strategy.make(setting), groups)
    groups = ("stem", "middle", "top")
    penalties = []
    for kind in PENALTIES.values():
        penalties.append(Penalty(kind.name, kind.strength, dump(kind.options())))
    phases = [
        Phase("fill in", 2, {"top": 1e-4}, "linear", 0.1, 0.02, objective="masked", draws=50),
        Phase("pairs", 3, {"middle": 2e-4, "top": 1e-4}, "constant", objective="contrastive", draws=40),
        SOLVED,
        Phase("tune", 5, {"stem": 1e-5, "middle": 1e-4, "top": 2e-4, "head": 1e-3}, "slanted", patience=2, blend=True,
              adapt=True),
        Phase("cycle", 4, {"head": 1e-3}, "one_cycle", weight_decay=0.0),
        Phase("all items", 1, {"head": 1e-4}, "cosine", fit_on="train+validation"),
    ]  # fmt: skip
    everything = TransferPlan(
        "tiny_image", "by hand", tuple(phases), "random", Head("mlp", 64, 0.3, "top", "mean_std"), 16, tuple(penalties),
        Adapter("dora", 4, 8.0, 0.1), Augment("strong", 3), Loss("balanced", 0.1, 0.2), "bfloat16",
        (Reason("Because it has everything: “quotes”, ünïcode # and: colons.", "https://example.org/why"),),
    )  # fmt: skip
    plans["everything"] = (everything, groups)
    for name, (plan, groups) in plans.items():
        (folder / f"{name}.yaml").write_text(to_yaml(plan, groups), encoding="utf-8")
    return {name: dump(plan) for name, (plan, _) in plans.items()}


# ---------------------------------------------------------------- what the test expects


def predict(bundle: Path, source: Path, out: Path) -> None:
    out.parent.mkdir(exist_ok=True)
    with contextlib.redirect_stdout(StringIO()):
        assert command(["predict", str(bundle), str(source), "--out", str(out)]) == 0


def told_of(weights: Path) -> dict[str, Any]:
    """Return size and some values of every tensor, and the digest of the file."""
    found = {}
    for name, tensor in load_file(weights).items():
        flat = tensor.double().flatten()
        places = np.linspace(0, len(flat) - 1, min(SAMPLES, len(flat))).astype(int)
        found[name] = {
            "shape": list(tensor.shape),
            "norm": float(flat.norm()),
            "values": [float(flat[i]) for i in places],
        }
    return {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest(), "tensors": found}


def expected(root: Path, workspace: Workspace, data: dict[str, Dataset], runs: dict[str, str]) -> dict[str, Any]:
    store, sources = RunStore(workspace), root / "sources"
    listed = {
        state.id: {
            **{name: getattr(state, name) for name in ("kind", "name", "status", "reason", "resumable", "paused")},
            "numbers": dict(state.numbers), "events": len(store.events(state.id)[0]),
        }
        for state in store.list()
    }  # fmt: skip
    kept = {
        name: {
            "fingerprint": d.fingerprint, "name": d.name, "modality": d.modality, "classes": list(d.classes),
            "ids": [str(one) for one in d.items["id"]], "splits": [str(one) for one in d.splits],
            "truth": np.asarray(d.truth).astype(int).tolist(), "decided": d.decisions_digest, "version": d.version,
            **entries(sources / FILES[name], *SAID.get(name, ())),
        }
        for name, d in data.items()
    }  # fmt: skip
    measured = {}
    for name, of in (("images", "patterns"), ("notes", "notes"), ("topics", "topics"), ("stem", "patterns")):
        bundle = bundle_folder(store.folder(runs[name]))
        predict(bundle, sources / FILES[of], root / "predictions" / f"{name}.csv")
        found = told("evaluate", str(bundle), str(sources / FILES[of]), *SAID.get(of, ()))
        measured[name] = {key: found[key] for key in ("accuracy", "macro_f1", "auc")}
    both = ensemble_folder(store.folder(runs["images"]))
    predict(both, sources / "patterns.zip", root / "predictions" / "ensemble.csv")
    predict(root / "bundles" / "bert", sources / "notes.csv", root / "predictions" / "bert.csv")
    ended = {}
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(workspace.root, Path(place) / "workspace")
        again = Workspace(Path(place) / "workspace")
        for name in ("interrupted", "paused"):
            RunStore(again).resume(runs[name], owner=GONE)
            follow(again, runs[name])
            folder = RunStore(again).folder(runs[name])
            report = read_report(folder)
            assert report is not None
            ended[name] = {"accuracy": report.accuracy.value, **told_of(folder / "bundle" / "weights.safetensors")}
            source = sources / ("patterns.zip" if name == "interrupted" else "notes.csv")
            predict(bundle_folder(folder), source, root / "predictions" / f"{name}.csv")
    return {"runs": runs, "listed": listed, "data": kept, "ended": ended, "measured": measured}


def write_bert(root: Path, sources: Path) -> None:
    """Write the bundle of a BERT, which runs without this program, from a workspace of its own."""
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace(Path(place))
        notes = import_data(str(sources / "notes.csv"), workspace)
        plan = plan_of("feature_extraction", GOLDEN_BERT, notes, head=Head(tap="layer.0"))
        folder = RunStore(workspace).folder(run(workspace, task("train", "golden_bert", notes, plan)))
        shutil.copytree(bundle_folder(folder), root / "bundles" / "bert")


def write_projects(workspace: Workspace, data: dict[str, Dataset], runs: dict[str, str]) -> None:
    """Write two projects as the app does: one with everything chosen, one with its data alone."""
    from ui.session import Session

    store = RunStore(workspace)
    whole = Session(
        "0a1b2c3d", data["patterns"].fingerprint, "tiny_image", "different", "full", {"epochs": 3},
        store.task(runs["images"]).plan, True, runs["images"], data["patterns"].fingerprint,
        data["patterns"].fingerprint, runs["scratch"],
    )  # fmt: skip
    for session in (whole, Session("4e5f6a7b", data["notes"].fingerprint)):
        write_json(workspace.folder("projects") / f"{session.project}.json", dump(session))


def tidy(root: Path, places: list[str]) -> None:
    """Drop what can be made again, and refuse what tells of this machine."""
    work = root / "workspace"
    for pattern in (
        "features/*/inputs-*",
        "features/*/efficientnet*",
        "features/*/tiny_text*",
        "cache",
        "uploads",
        "runs/.lock",
        "runs/*/.claim",
        "speed/precision",
        "imports",
    ):
        for path in work.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in work.glob("runs/*/checkpoints"):
        for old in sorted(path.iterdir())[:-1]:
            shutil.rmtree(old)
    for path in root.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [one for one in places if one.encode() in data], path


def main(name: str) -> None:
    """Make the generation `name`, whole or not at all."""
    target = HERE / name
    if target.exists():
        sys.exit(f"{target} is there already, and stays as it is: name another generation.")
    torch.set_num_threads(1)
    for spec in (TINY_IMAGE, TINY_TEXT, GOLDEN_BERT):
        BACKBONES.add(spec.name, spec)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / name
        os.environ["GRAFT_HOME"] = str(root / "workspace")
        workspace, sources = Workspace.default(), root / "sources"
        write_sources(sources)
        data = make_data(workspace, sources)
        runs = make_runs(workspace, data)
        write_projects(workspace, data, runs)
        (root / "bundles").mkdir()
        write_bert(root, sources)
        plans = write_plans(root / "plans")
        for ended in ("interrupted", "paused"):
            write_mark(root / "out" / ended, Mark(Path(PLACE), runs[ended]))
        found = {**expected(root, workspace, data, runs), "plans": plans}
        (root / "expected.json").write_text(
            json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8"
        )
        tidy(root, [place, str(Path.home()), tempfile.gettempdir() + "/", str(HERE.parents[1])])
        shutil.copytree(root, target)


if __name__ == "__main__":
    main(sys.argv[1])

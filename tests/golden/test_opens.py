"""Files of earlier versions still open, with the same content. See make.py for how they were made.

The files themselves are what is expected: whatever they tell has to be in the values that are read from them. Where a
name has changed since, an entry of RENAMED says so, and nothing else here need know of it. Where a value cannot be
read as it was any more, the program has to bring it up to date as it reads it; the golden data never change.
"""

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from tl_core.advice.probe_report import read_probe
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.speed import read_speed
from tl_core.cli import main
from tl_core.data.holdout_log import holdout_uses
from tl_core.data.quality.quality_report import read_quality
from tl_core.data.sources import list_datasets, open_dataset
from tl_core.evaluation.cleaning_effect import read_cleaning_effect
from tl_core.evaluation.result_files import read_curve, read_layers, read_rates, read_report
from tl_core.penalties import check_penalties
from tl_core.plan import check, from_yaml
from tl_core.runs.store import RunStore
from tl_core.strategies import STRATEGIES
from tl_core.types import dump
from tl_core.workspace import Workspace

GENERATIONS = sorted(path for path in Path(__file__).parent.glob("v*") if path.is_dir())
RENAMED: dict[str, str] = {"blend": "interpolate_weights", "adapt": "recalibrate_norm", "several": "multilabel"}
"""Names in the files (fields, events, or values such as a strategy) and their present names."""
FILES = {"patterns": "patterns.zip", "notes": "notes.csv", "topics": "topics.csv"}
SAID = {"topics": ["--separator", "|", "--subgroup-column", "length"]}
OF = {"images": "patterns", "stem": "patterns", "interrupted": "patterns", "paused": "notes", "bert": "notes"}
"""The data of each model that is not named after its data."""
NEAR = 1e-4
"""How far probabilities may be from those that another machine wrote (with six digits)."""
CLOSE = 1e-5
"""How far the weights of a run that went on may be, as a share of the largest of their tensor.

On the machine that made them the bits are the same. Another one may add in another order, and the steps that follow
make more of it.
"""


class Saved:
    """A copy of a generation, used as if it had been made on this machine."""

    def __init__(self, generation: Path, place: Path) -> None:
        self.root = shutil.copytree(generation, place / "saved")
        self.workspace = Workspace(self.root / "workspace")
        self.expected = json.loads((self.root / "expected.json").read_text(encoding="utf-8"))
        self.runs: dict[str, str] = self.expected["runs"]
        for mark in self.root.glob("out/*/run.json"):
            mark.write_text(mark.read_text().replace("@WORKSPACE@", str(self.workspace.root)))

    def folder(self, name: str) -> Path:
        return self.workspace.root / "runs" / self.runs[name]

    def source(self, name: str) -> list[str]:
        """Return what names a source on the command line."""
        of = OF.get(name, name)
        return [str(self.root / "sources" / FILES[of]), *SAID.get(of, [])]


@pytest.fixture(params=GENERATIONS, ids=lambda path: path.name)
def saved(request, tmp_path, monkeypatch, tiny_backbones) -> Saved:
    generation = Saved(request.param, tmp_path)
    monkeypatch.setenv("GRAFT_HOME", str(generation.workspace.root))
    return generation


def command_output(capsys, *arguments: object) -> Any:
    """Return what a command prints as JSON."""
    code = main([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def differences(kept: Any, value: Any, where: str = "") -> list[str]:
    """Return where `value` lacks a kept entry or differs from it; further entries are allowed."""
    if isinstance(kept, dict):
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is not {kept!r}"]
        names = {name: name if name in value else RENAMED.get(name, name) for name in kept}
        missing = [f"{where}/{name} is gone" for name in kept if names[name] not in value]
        there = [name for name in kept if names[name] in value]
        return missing + [
            difference
            for name in there
            for difference in differences(kept[name], value[names[name]], f"{where}/{name}")
        ]
    if isinstance(kept, list) and isinstance(value, list) and len(kept) == len(value):
        return [
            difference
            for at, pair in enumerate(zip(kept, value, strict=True))
            for difference in differences(*pair, f"{where}/{at}")
        ]
    same = kept == value or (isinstance(kept, str) and RENAMED.get(kept) == value)
    return [] if same else [f"{where}: {value!r} is not {kept!r}"]


def assert_says(value: Any, kept: Any) -> None:
    """Compare a value that was read with what is in its file."""
    assert value is not None
    assert differences(kept, dump(value)) == []


def table(path: Path) -> tuple[list[str], list[list[str]], np.ndarray]:
    """Return the header, the items with their predictions, and the probabilities."""
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, [row[:2] for row in rows], np.array([[float(cell) for cell in row[2:]] for row in rows])


def assert_predicts(out: Path, kept: Path) -> None:
    header, items, probabilities = table(out)
    assert (header, items) == table(kept)[:2]
    assert np.abs(probabilities - table(kept)[2]).max() <= NEAR


def test_a_generation_exists():
    assert GENERATIONS


# ---------------------------------------------------------------- data and decisions


def test_data_sets_open_with_their_items_labels_splits_and_decisions(saved):
    listed = {dataset.fingerprint: dataset for dataset in list_datasets(saved.workspace)}
    assert listed.keys() == {kept["fingerprint"] for kept in saved.expected["data"].values()}
    for kept in saved.expected["data"].values():
        dataset = listed[kept["fingerprint"]]
        assert [dataset.name, dataset.modality, list(dataset.classes)] == [
            kept[name] for name in ("name", "modality", "classes")
        ]
        assert dataset.items["id"].tolist() == kept["ids"]
        assert np.asarray(dataset.truth).astype(int).tolist() == kept["truth"]
        assert dataset.splits.tolist() == kept["splits"]
        assert (dataset.decisions_digest, dataset.version) == (kept["decided"], kept["version"])
        lines = (dataset.folder / "looks.jsonl").read_text().split("\n")
        assert len(holdout_uses(dataset)) == len([line for line in lines if line]) > 0


@pytest.mark.parametrize("name", FILES)
def test_importing_the_same_source_finds_the_data_set_and_its_decisions(saved, capsys, name):
    kept = saved.expected["data"][name]
    decisions = command_output(capsys, "decide", *saved.source(name))
    assert differences({key: kept[key] for key in ("entries", "waiting")}, decisions) == []
    assert len(list_datasets(saved.workspace)) == len(FILES), "it was taken for another one"


def test_saved_decisions_can_be_undone_and_confirmed(saved, capsys):
    kept = saved.expected["data"]
    train = kept["notes"]["truth"][2]
    command_output(capsys, "decide", *saved.source("notes"), "undo", 0, 1)
    after = open_dataset(saved.workspace, kept["notes"]["fingerprint"])
    assert after.labels[2] == 1 - train
    assert [kept["notes"]["splits"][row] for row in (3, 6)] == ["out", "out"]
    assert [after.splits[row] for row in (3, 6)] == ["train", "train"]
    (waiting,) = kept["patterns"]["waiting"]
    command_output(capsys, "decide", *saved.source("patterns"), "confirm", "--reason", "it is blank")
    after = open_dataset(saved.workspace, kept["patterns"]["fingerprint"])
    assert [kept["patterns"]["splits"][row] for row in waiting["rows"]] == ["test"]
    assert [after.splits[row] for row in waiting["rows"]] == ["out"]


# ---------------------------------------------------------------- runs


def test_runs_are_listed_with_their_saved_states(saved):
    states = {state.id: dump(state) for state in RunStore(saved.workspace).list()}
    kept = {run: {k: v for k, v in of.items() if k != "events"} for run, of in saved.expected["listed"].items()}
    assert states.keys() == kept.keys()
    assert differences(kept, states) == []
    assert {of["status"] for of in kept.values()} == {"done", "failed", "stopped", "queued", "interrupted", "paused"}


def test_every_task_and_event_reads_as_it_was_written(saved):
    store = RunStore(saved.workspace)
    for run, kept in saved.expected["listed"].items():
        assert_says(store.task(run), read(store.folder(run) / "task.json"))
        events, end = store.events(run)
        path = store.folder(run) / "events.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        assert len(events) == len(lines) == kept["events"]
        assert end == (path.stat().st_size if lines else 0)
        written = [{"event": type(event).__name__, **dump(event)} for event in events]
        assert differences([json.loads(line) for line in lines], written) == []


def test_reports_rate_curves_and_layer_sweeps_read_as_they_were_written(saved):
    files = {"report.json": read_report, "rates.json": read_rates, "layers.json": read_layers}
    paths = [path for name in files for path in sorted(saved.workspace.root.glob(f"runs/*/{name}"))]
    assert len(paths) == 7
    for path in paths:
        assert_says(files[path.name](path.parent), read(path))
    images, topics = (read_report(saved.folder(name)) for name in ("images", "topics"))
    assert [comparison.baseline for comparison in images.comparisons] == ["scratch", "classical"]
    assert images.score.value == saved.expected["listed"][saved.runs["images"]]["numbers"]["accuracy"]
    assert topics.score.value == saved.expected["listed"][saved.runs["topics"]]["numbers"]["auc"]
    assert [part.name for part in topics.slices.slices] == ["long", "short"]
    assert read_rates(saved.folder("rates")).present > 0
    assert [score.group for score in read_layers(saved.folder("layers")).groups] == ["stem", "middle", "top"]


def test_saved_measurements_of_data_and_backbones_are_found(saved):
    workspace, root = saved.workspace, saved.workspace.root
    store, seen = RunStore(workspace), set()
    for kept in saved.expected["data"].values():
        dataset = open_dataset(workspace, kept["fingerprint"])
        backbone = f"tiny_{dataset.modality}"
        probe = next(s for s in store.list() if s.kind == "probe" and s.task.fingerprint == dataset.fingerprint)
        curve, evidence = read_curve(workspace, probe.task), read_probe(workspace, dataset, backbone)
        quality = [read_quality(workspace, dataset, name) for name in (backbone, "")]
        effect = read_cleaning_effect(workspace, dataset, backbone)
        by_folder = {"curves": [curve], "probes": [evidence], "quality": quality, "effects": [effect]}
        for place, values in by_folder.items():
            paths = sorted((root / place).glob(f"{dataset.fingerprint}-*"))
            values = [value for value in values if value is not None]
            assert len(values) == len(paths)
            for path, value in zip(paths, values, strict=True):
                assert_says(value, read(path))
            seen.update(paths)
    assert seen == {path for place in by_folder for path in (root / place).iterdir()}
    assert len(seen) == 9
    assert_says(read_speed(workspace, "tiny_image"), read(root / "speed" / "tiny_image.json"))


def test_projects_are_listed_with_all_choices(saved):
    from ui.session import projects

    listed = {dump(project)["project"]: dump(project) for project in projects()}
    kept = {path.stem: read(path) for path in (saved.workspace.root / "projects").iterdir()}
    assert len(kept) == 2
    assert differences(kept, listed) == []


# ---------------------------------------------------------------- plans


def test_every_plan_reads_as_it_was_written(saved):
    files = {path.stem: path.read_text(encoding="utf-8") for path in saved.root.glob("plans/*.yaml")}
    assert files.keys() == saved.expected["plans"].keys()
    assert len(files) == 27
    for name, text in files.items():
        plan = from_yaml(text)
        assert_says(plan, saved.expected["plans"][name])
        spec = BACKBONES[plan.backbone]
        wrong = check_penalties(plan, ("source", "target", "teacher", "original_head"), spec.modality)
        assert [finding.message for finding in wrong if finding.level == "stop"] == []
        if name != "everything":
            assert STRATEGIES[plan.strategy]
            findings = check(plan, [group.name for group in spec.groups], modality=spec.modality)
            assert [finding.message for finding in findings if finding.level == "stop"] == []


# ---------------------------------------------------------------- bundles


@pytest.mark.parametrize("name", ["images", "notes", "topics", "stem", "ensemble"])
def test_a_saved_model_predicts_as_before(saved, name, capsys, tmp_path):
    bundle = saved.folder("images") / "ensemble" if name == "ensemble" else saved.folder(name) / "bundle"
    source = saved.source("images" if name == "ensemble" else name)
    out = tmp_path / "out.csv"
    assert main(["predict", str(bundle), source[0], "--out", str(out)]) == 0
    assert_predicts(out, saved.root / "predictions" / f"{name}.csv")
    capsys.readouterr()
    if name != "ensemble":
        measured = command_output(capsys, "evaluate", bundle, *source)
        for figure, kept in saved.expected["measured"][name].items():
            assert (measured[figure] is None) == (kept is None)
            assert kept is None or measured[figure]["n"] == kept["n"]
            assert kept is None or math.isclose(measured[figure]["value"], kept["value"], abs_tol=NEAR)


def test_a_bundle_answers_without_the_program(saved, tmp_path):
    """By its own script, in a process that knows nothing of Graft."""
    unknown = ("PYTHONPATH", "GRAFT_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in unknown}
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    started = {}
    for name, bundle in (("stem", saved.folder("stem") / "bundle"), ("bert", saved.root / "bundles" / "bert")):
        script = [
            sys.executable,
            "-P",
            bundle / "predict.py",
            saved.source(name)[0],
            "--out",
            elsewhere / f"{name}.csv",
        ]
        started[name] = subprocess.Popen(script, cwd=elsewhere, env=environment, stderr=subprocess.PIPE, text=True)
    for name, process in started.items():
        assert process.wait(timeout=240) == 0, process.stderr.read()
        process.stderr.close()
        assert_predicts(elsewhere / f"{name}.csv", saved.root / "predictions" / f"{name}.csv")


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("name", ["interrupted", "paused"])
def test_a_run_that_was_not_over_goes_on_to_the_model_that_it_would_have_become(saved, name, capsys, tmp_path):
    kept, out = saved.expected["ended"][name], saved.root / "out" / name
    found = command_output(capsys, "resume", out)
    assert (found["run"], found["status"]) == (saved.runs[name], "done")
    assert found["accuracy"]["value"] == pytest.approx(kept["accuracy"])
    assert len(RunStore(saved.workspace).list()) == len(saved.expected["listed"])
    again = [event for event in RunStore(saved.workspace).events(saved.runs[name])[0] if hasattr(event, "restarted")]
    assert [event.restarted for event in again] == [True]
    tensors = load_file(out / "weights.safetensors")
    assert {key: list(tensor.shape) for key, tensor in tensors.items()} == {
        key: of["shape"] for key, of in kept["tensors"].items()
    }
    far = {key: distance(tensors[key], of) for key, of in kept["tensors"].items()}
    assert {key: value for key, value in far.items() if value > CLOSE} == {}
    assert main(["predict", str(out), saved.source(name)[0], "--out", str(tmp_path / "out.csv")]) == 0
    assert_predicts(tmp_path / "out.csv", saved.root / "predictions" / f"{name}.csv")


def distance(tensor: Any, kept: dict[str, Any]) -> float:
    """Return how far norm and sampled values of a tensor are from those kept, by the largest value in it."""
    flat = tensor.double().flatten()
    places = np.linspace(0, len(flat) - 1, len(kept["values"])).astype(int)
    largest = max(float(flat.abs().max()), 1e-12)
    apart = [abs(float(flat[place]) - value) / largest for place, value in zip(places, kept["values"], strict=True)]
    return max(*apart, abs(float(flat.norm()) - kept["norm"]) / max(kept["norm"], largest))

"""The arithmetic and the data of the benchmarks; no benchmark is measured, and no peer is needed."""

import ast
import io
import json
import math
import re
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks import accuracy, common, fastai_images, quality, setfit, text_trainer
from tl_core.cli.console import Console
from tl_core.data.dataset import Dataset
from tl_core.data.options import ImportOptions, RawItem
from tl_core.data.sources import import_data
from tl_core.errors import DataError
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.events import EpochDone, PhaseStarted, Progress, RunEnded

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "common")
PEERS = {
    "accelerate": "text_trainer",
    "fastai": "fastai_images",
    "setfit": "setfit",
}


def test_ratios_are_those_of_a_brute_force():
    generator = np.random.default_rng(0)
    for n in (1, 4, 5):
        above, below = generator.random(n) + 0.1, generator.random(n) + 0.1
        pairs = sorted(above[i] / below[i] for i in range(n))
        middle = pairs[n // 2] if n % 2 else (pairs[n // 2 - 1] + pairs[n // 2]) / 2
        assert common.ratios(above.tolist(), below.tolist()) == pytest.approx((middle, pairs[0], pairs[-1]))
    with pytest.raises(ValueError, match="zip"):
        common.ratios([1.0, 2.0], [1.0])


def test_the_sides_take_turns_and_so_does_the_first(capsys):
    calls: list[str] = []

    def leg(name: str, seconds: float):
        return lambda: calls.append(name) or seconds

    seconds_by_leg = common.measure({"a": leg("a", 1.0), "b": leg("b", 2.0), "c": leg("c", 3.0)}, 4, warm="b")
    assert "".join(calls) == "b" + "abc" + "bca" + "cab" + "abc"
    assert seconds_by_leg == {"a": [1.0] * 4, "b": [2.0] * 4, "c": [3.0] * 4}
    assert capsys.readouterr().out.splitlines()[-1] == "4/4  a 1.00 s  b 2.00 s  c 3.00 s"


def test_the_result_line_has_its_fields_and_no_infinity():
    line = json.loads(common.result("this over that", (1.23456, 1.0, math.inf), 5, "<= 1.2", accuracy=0.5))
    assert line == {
        "claim": "this over that",
        "ratio": 1.235,
        "low": 1.0,
        "high": None,
        "n": 5,
        "aim": "<= 1.2",
        "accuracy": 0.5,
    }


def epoch(phase: int, number: int, accuracy: float) -> EpochDone:
    return EpochDone(phase, number, {}, {"accuracy": accuracy}, 1.0, True)


def test_a_timed_run_separates_its_phases():
    plan = TransferPlan("b", "s", (Phase("one", 2, {"head": 1.0}), Phase("two", 1, {"head": 1.0})))
    events = [
        PhaseStarted(0, "one", 2, plan.phases[0].lr, 2),
        epoch(0, 0, 0.5),
        epoch(0, 1, 0.7),
        Progress("frozen layers", 1, 1),
        PhaseStarted(1, "two", 1, plan.phases[1].lr, 1),
        epoch(1, 0, 0.9),
        RunEnded("done", ""),
    ]
    timed = common.Timed(events, [1.0, 3.0, 4.0, 6.0, 7.5, 9.0, 10.0])
    assert (timed.seconds, timed.learning(0), timed.learning(1), timed.waited(1)) == (10.0, 3.0, 1.5, 3.5)
    assert timed.curve() == [(3.0, 0.5), (4.0, 0.7), (9.0, 0.9)]
    assert [e.epoch for e in timed.epochs(0)] == [0, 1]
    assert common.reached(timed.curve(), 0.7) == 4.0
    assert common.reached(timed.curve(), 0.71) == 9.0
    assert common.reached(timed.curve(), 0.91) == math.inf


def test_time_to_the_same_accuracy_goes_both_ways():
    ours, theirs = [(1.0, 0.6), (2.0, 0.8), (3.0, 0.7)], [(5.0, 0.5), (10.0, 0.7), (15.0, 0.7)]
    assert fastai_images.speedups(ours, theirs) == (2.0 / 10.0, math.inf)
    assert fastai_images.speedups(theirs, ours) == (math.inf, 2.0 / 10.0)


def test_the_difference_of_accuracy_is_scipys_paired_interval():
    from scipy.stats import ttest_rel

    ours, theirs = [0.8, 0.9, 0.85, 0.7], [0.75, 0.88, 0.9, 0.6]
    interval = ttest_rel(ours, theirs).confidence_interval(0.95)
    mean = statistics.mean(a - b for a, b in zip(ours, theirs, strict=True))
    assert setfit.difference(ours, theirs) == pytest.approx((mean, interval.low, interval.high))


THINGS = {"fruit": "a ripe {} pear", "sky": "the {} cloud above us", "tool": "a rusty {} hammer"}


def write_table(path: Path, rows: dict[str, str]) -> str:
    pd.DataFrame({"text": list(rows), "label": list(rows.values())}).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def two_files(tmp_path) -> tuple[str, str]:
    """A training and a test file: they share a text, and the test file has a label that the other lacks."""
    known = {text.format(number): name for name, text in THINGS.items() for number in range(8)}
    asked = {text.format(f"{number}th"): name for name, text in THINGS.items() for number in range(4) if name != "sky"}
    asked |= {"a ripe 3 pear": "fruit", "a green frog": "animal"}
    return write_table(tmp_path / "known.csv", known), write_table(tmp_path / "asked.csv", asked)


def test_a_draw_holds_other_items_to_ask_about_under_their_own_labels(two_files):
    with common.workspace() as place:
        parts = accuracy.candidates(*(import_data(file, place) for file in two_files))
        draws = [accuracy.make_draw(parts, "text", (3, 5), seed, place) for seed in (1, 1, 2)]
        sets = [{part: set(d.dataset.items["text"][getattr(d, part)]) for part in ("labelled", "test")} for d in draws]
        assert sets[0] == sets[1]
        assert sets[0]["labelled"] != sets[2]["labelled"]
        assert np.bincount(draws[0].dataset.labels[draws[0].labelled]).tolist() == [3, 3, 3]
        assert len(draws[0].test) == 5
        assert not sets[0]["labelled"] & sets[0]["test"]
        every = accuracy.make_draw(parts, "text", (0, 0), 1, place)
        data, truth = every.dataset, every.dataset.labels[every.test]
        assert (len(every.labelled), len(truth)) == (24, 8)
        assert not {"a ripe 3 pear", "a green frog"} & set(data.items["text"][every.test])
        for text, label in zip(data.items["text"], data.labels, strict=True):
            name = data.classes[label]
            assert text.split()[-1] == THINGS[name].split()[-1], "a class keeps its name, whatever its number in a file"
        assert every.right(np.where(np.arange(8) < 3, truth, truth + 1)) == pytest.approx(3 / 8)


def test_a_draw_of_pictures_holds_their_own_bytes(tmp_path):
    generator, kept = np.random.default_rng(0), {}
    for part, count in (("known", 4), ("asked", 3)):
        for name in ("left", "right"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(generator.integers(0, 255, (9, 7, 3), dtype=np.uint8)).save(
                    file := tmp_path / part / name / f"{number}.png"
                )
                kept[file.read_bytes()] = (name, part)
    with common.workspace() as place:
        parts = accuracy.candidates(*(import_data(str(tmp_path / part), place) for part in ("known", "asked")))
        draw = accuracy.make_draw(parts, "image", (2, 0), 0, place)
        data = draw.dataset
        assert (len(draw.labelled), len(draw.test)) == (4, 6)
        for row, path in enumerate(data.items["path"]):
            part = "asked" if row in draw.test else "known"
            assert kept[(data.folder / path).read_bytes()] == (data.classes[data.labels[row]], part)


def test_what_cannot_be_compared_is_said(two_files):
    frogs = {f"frog {number}": ("green;wet", "green", "wet")[number % 3] for number in range(9)}
    file = write_table(Path(two_files[1]), frogs)
    with common.workspace() as place:
        known, one, multilabel = (
            import_data(*source)
            for source in ((two_files[0], place), (file, place), (file, place, ImportOptions(separator=";")))
        )
        with pytest.raises(DataError, match="No item of asked can be used as a test item"):
            accuracy.candidates(known, one)
        with pytest.raises(DataError, match="several labels"):
            accuracy.candidates(known, multilabel)


def test_the_headline_is_the_difference_to_the_best_peer():
    out = io.StringIO()
    scores = {"graft": [0.8, 0.9], "low": [0.5, 0.7], "high": [0.9, 0.9]}
    accuracy.print_results(scores, "less", ["full", "full"], Console(out, out))
    line = json.loads(out.getvalue().splitlines()[-1])
    assert (line["ratio"], line["best_peer"], line["n"]) == (-0.05, "high", 2)
    assert line["differences"]["low"] == pytest.approx(setfit.difference([0.8, 0.9], [0.5, 0.7]), abs=1e-4)
    accuracy.print_results({"graft": [0.8], "high": [0.9]}, "less", ["full"], Console(out, out))
    assert json.loads(out.getvalue().splitlines()[-1])["differences"]["high"] == [-0.1, None, None], "one draw"


def test_accuracy_without_peers_is_that_of_the_command_line(two_files):
    hidden = "import sys; sys.modules.update(dict.fromkeys(('accelerate', 'setfit', 'fastai')))"
    words = ["x", *two_files, "--labelled", "3", "--draws", "1"]
    code = f"{hidden}; sys.argv = {words!r}; import runpy; runpy.run_module('benchmarks.accuracy', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split(" (")[0] for line in done.stderr.splitlines()] == [
        "This benchmark needs accelerate",
        "This benchmark needs setfit",
    ]
    line = json.loads(done.stdout.splitlines()[-1])
    assert set(line["accuracy"]) == {"graft", "logistic regression", "standardised"}
    assert line["strategies"] == ["feature_extraction"]
    assert min(line["accuracy"].values()) > 0.5, "three kinds of things, told apart by one word"
    assert line["ratio"] == pytest.approx(line["accuracy"]["graft"] - line["accuracy"][line["best_peer"]], abs=1e-3)


@pytest.mark.parametrize("count", [40, 60, 120, 600])
@pytest.mark.parametrize("modality", ["image", "text"])
def test_faults_are_planted_in_few_items_too(modality, count):
    shades = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    data = quality.encoded(Image.fromarray(shades).resize((32, 32)))
    words = "A first sentence. And " + "more words " * 20
    base = [
        RawItem(f"{n}", "ab"[n % 2], read=lambda: data) if modality == "image" else RawItem(f"{n}", "ab", text=words)
        for n in range(count)
    ]
    plant = quality.plant_pictures if modality == "image" else quality.plant_texts
    planted = plant(base, 0)
    per_fault = min(15, count // 8)
    times = {kind: list(planted.kind.values()).count(kind) for kind in set(planted.kind.values())}
    assert times.pop("copies") == (4 if modality == "image" else 2) * per_fault
    assert times.pop("boilerplate", per_fault) >= per_fault
    assert set(times.values()) == {per_fault}
    assert len(set(planted.origin.values())) == len(planted.items), "every fault has an item of its own"
    with pytest.raises(SystemExit, match="39 items: give --items 40 or more"):
        plant(base[:39], 0)


@pytest.fixture
def texts() -> Dataset:
    with common.workspace() as place:
        return common.sample("bbc_news", 200, place)


def test_a_part_of_a_sample_is_spread_over_it(texts):
    assert len(texts.items) == 200
    assert set(texts.labels) == set(range(5))
    assert len(texts.labels) == len(texts.splits) == 200
    assert common.titles(texts).items["text"].tolist() == [text.strip().split("\n")[0] for text in texts.items["text"]]
    marks = {texts.fingerprint, common.titles(texts).fingerprint, common.split(texts).fingerprint}
    assert len(marks) == 3, "a store keyed by the fingerprint must not take one for the other"


def test_a_split_without_a_test_part(texts):
    assert len(common.split(texts).rows("train")) == 200
    held = common.split(texts, validation=0.3)
    assert len(held.rows("test")) == 0
    assert len(held.rows("validation")) == pytest.approx(60, abs=2)


def test_few_labelled_texts_and_others_to_test_on(texts):
    few, test = common.few(texts, 3, 50, seed=1)
    assert np.bincount(few.labels).tolist() == [3] * 5
    assert len(few.rows("train")) == 15
    digests = [*few.items["digest"], *test["digest"]]
    assert len(set(digests)) == len(digests) == 65
    again, other = common.few(texts, 3, 50, seed=1)[0], common.few(texts, 3, 50, seed=2)[0]
    assert again.items["id"].tolist() == few.items["id"].tolist() != other.items["id"].tolist()


def test_the_products_side_fine_tunes_all_of_minilm(texts):
    with common.workspace() as place:
        few = common.split(common.titles(common.few(texts, 2, 1, seed=0)[0]))
        rows = text_trainer.Sides(few, place, text_trainer.make_plan("bbc_news", place, 1, "auto"))
        assert set(rows.plan.phases[0].lr) == {"embeddings", *(f"layer.{i}" for i in range(6)), "head"}
        assert rows.plan.batch_size == 16, "the plan is the one for the whole sample, not for the ten texts"
        assert rows.product() > 0


def test_the_prefix_cache_benchmark_tells_its_result():
    command = "benchmarks.prefix_cache --sample digits --items 40 --reach one --epochs 1 --repeats 1"
    done = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert {"claim", "ratio", "low", "high", "n", "aim", "accuracy", "accuracy_without"} <= line.keys()
    assert 0 < line["low"] <= line["ratio"] <= line["high"]


def test_the_intake_benchmark_tells_its_result():
    command = "benchmarks.import_speed --sizes 20 60"
    done = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert 0 < line["low"] <= line["ratio"] <= line["high"]
    assert line["ratio"] == max(line["texts_ratio"], line["pictures_ratio"])
    for kind in ("texts", "pictures"):
        assert set(line[f"{kind}_peak_mb"]) == {"20", "60"}
        assert all(50 < peak < 2000 for peak in line[f"{kind}_peak_mb"].values())


@pytest.mark.parametrize(("package", "name"), PEERS.items())
def test_a_missing_peer_is_said_in_one_sentence(package, name):
    hidden = f"import sys; sys.modules[{package!r}] = None; sys.argv = ['x']; import runpy; "
    code = f"{hidden}runpy.run_module('benchmarks.{name}', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == common.PEER_MISSING, done.stderr
    assert done.stderr.count("\n") == 1
    assert package in done.stderr
    assert "requirements-benchmarks.txt" in done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_benchmark_is_one_file_with_a_claim_and_an_aim(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree)
    assert doc is not None
    assert doc.startswith("Claim: ")
    assert f"python -m benchmarks.{path.stem}" in doc
    assert re.search(r'^AIM = "[<>]= [\d.]+', path.read_text(encoding="utf-8"), flags=re.M)


def test_no_peer_is_needed_to_use_the_project():
    wanted = (ROOT / "requirements-benchmarks.txt").read_text(encoding="utf-8")
    peers = set(re.findall(r"^(fastai|setfit|sentence-transformers|evaluate|matplotlib)==", wanted, flags=re.M))
    assert len(peers) == 5
    for name in ("requirements.txt", "requirements-assets.txt"):
        assert not {line.split("==")[0] for line in (ROOT / name).read_text().splitlines()} & peers
    assert "requirements-benchmarks" not in (ROOT / "Makefile").read_text(encoding="utf-8")
    inside = [path for folder in ("tl_core", "ui", "pages") for path in (ROOT / folder).rglob("*.py")]
    for path in inside:
        assert not re.search(
            r"^\s*(import|from) (fastai|setfit|sentence_transformers|benchmarks)\b", path.read_text(), re.M
        )

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from PIL import Image

from tl_core.cli import main
from tl_core.errors import PlanError
from tl_core.runs.store import RunStore
from tl_core.workspace import Workspace

ROOT = Path(__file__).parents[1]
PLAN = """backbone: {backbone}
strategy: by hand
phases:
  - name: head
    epochs: {epochs}
    lr: {{{group}: 0.1}}
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """30 pictures in 2 class folders."""
    for label, colour in (("red", (200, 30, 30)), ("blue one", (30, 30, 200))):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(15):
            shade = tuple(min(255, part + 3 * number) for part in colour)
            Image.new("RGB", (24 + number, 24), shade).save(tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


@pytest.fixture
def plan(tmp_path, tiny_backbones) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(backbone="tiny_image", group="head", epochs=3))
    return path


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def subprocess_call(*arguments: object, home: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "GRAFT_HOME": str(home)}
    command = [sys.executable, "-m", "tl_core", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def test_samples_are_listed_at_once(capsys, workspace):
    code, out, err = call(capsys, "samples")
    assert (code, err) == (0, "")
    assert {"sample:bbc_news", "sample:digits", "sample:textile_defects"} <= set(out.split())
    assert {sample["name"] for sample in json.loads(call(capsys, "samples", "--json")[1])} >= {"digits"}


def test_quick_commands_load_nothing_heavy(tmp_path):
    code = (
        "import sys; from tl_core.cli import main; main(['samples']); main(['backbones']); "
        "main(['profile', '/nowhere']); "
        "sys.exit(', '.join({'torch', 'transformers', 'timm', 'sklearn', 'streamlit'} & set(sys.modules)) or 0)"
    )
    environment = {**os.environ, "GRAFT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "predict" in capsys.readouterr().out


def test_a_tar_archive_is_the_same_data_set_as_its_folder(capsys, workspace, folder, tmp_path):
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as archive:
        archive.add(folder, "data")
    packed, unpacked = (
        json.loads(call(capsys, "profile", str(source), "--json")[1]) for source in (tmp_path / "data.tar.gz", folder)
    )
    assert packed["fingerprint"] == unpacked["fingerprint"]
    assert packed["receipt"]["source"] == "data.tar.gz"


def test_a_profile_as_table_and_as_json(capsys, workspace, folder):
    code, out, _ = call(capsys, "profile", folder)
    assert code == 0
    assert "30 images in 2 classes" in out
    profile = json.loads(call(capsys, "profile", folder, "--json")[1])
    assert profile["n"] == 30
    assert [c["name"] for c in profile["classes"]] == ["blue one", "red"]
    assert profile["receipt"]["taken"] == 30
    assert "several" in profile, "scripts read the labels per item under this key"


def test_train_evaluate_and_predict(capsys, workspace, folder, plan, tmp_path):
    out = tmp_path / "models" / "colours"
    code, text, err = call(capsys, "train", folder, "--out", out, "--plan", plan, "--seed", "3", "--json")
    assert code == 0, err
    trained = json.loads(text)
    assert (trained["backbone"], trained["seed"], trained["status"]) == ("tiny_image", 3, "done")
    assert {"weights.safetensors", "plan.yaml", "report.json", "predict.py", "README.md"} <= set(os.listdir(out))
    assert RunStore(workspace).state(trained["run"]).status == "done"  # the Runs page shows it

    measured = json.loads(call(capsys, "evaluate", out, folder, "--json")[1])
    assert measured["accuracy"] == trained["accuracy"]
    assert {"value", "low", "high", "n"} <= set(measured["accuracy"])
    assert "macro-F1" in call(capsys, "evaluate", out, folder)[1]

    table = tmp_path / "table.csv"
    assert call(capsys, "predict", out, folder, "--out", table)[0] == 0
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["item", "predicted", "blue one", "red"]
    assert len(rows) == 31
    for _, predicted, *probabilities in rows[1:]:
        assert sum(map(float, probabilities)) == pytest.approx(1, abs=1e-4)
        assert rows[0][2:][max((0, 1), key=lambda i: float(probabilities[i]))] == predicted

    code, _, err = call(capsys, "predict", out, table, "--out", table)
    assert code == 2
    assert "is the input file" in err
    assert table.read_text(encoding="utf-8").startswith("item,predicted"), "what was there is not lost"
    inside = folder / "items.csv"
    inside.write_text("mine")
    code, _, err = call(capsys, "predict", out, folder, "--out", inside)
    assert (code, inside.read_text()) == (2, "mine"), "nor is a table of the data"
    assert "exists already, in the input folder. Name a file outside the input" in err
    inside.unlink()

    code, text, err = call(capsys, "train", folder, "--out", out, "--plan", plan)  # an older one of the data gives way
    assert code == 0
    assert str(out) in text
    assert f"The model in {out} is replaced" in err


@pytest.mark.parametrize("config", ['{"fingerprint": "of other data"}', "[]", "{"])
def test_a_model_of_other_data_is_replaced_only_if_asked(config, capsys, workspace, folder, tmp_path, monkeypatch):
    out = tmp_path / "model"
    out.mkdir()
    (out / "weights.safetensors").write_bytes(b"precious")
    (out / "config.json").write_text(config)
    code, _, err = call(capsys, "train", folder, "--out", out, "--strategy", "full")
    assert code == 2
    assert "trained on other data" in err
    assert "--overwrite" in err
    assert (out / "weights.safetensors").read_bytes() == b"precious"

    def chosen(*arguments):
        raise PlanError("The model may be replaced.")

    monkeypatch.setattr("tl_core.cli.train.choose_plan", chosen)
    code, _, err = call(capsys, "train", folder, "--out", out, "--strategy", "full", "--overwrite")
    assert "is replaced" in err
    assert "The model may be replaced." in err


def test_advice_a_named_strategy_and_the_curve(capsys, workspace, folder, tiny_backbones, tmp_path, monkeypatch):
    monkeypatch.setattr("tl_core.cli.data.default_backbone", lambda dataset: ("tiny_image", None))
    monkeypatch.setattr("tl_core.jobs.curve.SCRATCH_SECONDS", 0.1)
    code, out, err = call(capsys, "advise", folder)
    assert code == 0, err
    assert "Why:" in out
    assert "Plan:" in out
    advice = json.loads(call(capsys, "advise", folder, "--json")[1])
    assert advice["backbone"] == "tiny_image"
    kinds = [state.kind for state in RunStore(workspace).list()]
    assert sorted(kinds) == ["probe", "speed"]  # the second time, both were there

    code, out, err = call(capsys, "train", folder, "--out", tmp_path / "a", "--strategy", "lower_layers", "--json")
    assert code == 0, err
    assert json.loads(out)["strategy"] == "lower_layers"
    assert "few for changing pretrained layers" not in err

    code, out, err = call(capsys, "train", folder, "--out", tmp_path / "b", "--strategy", "partial", "--json")
    assert code == 0, err
    assert json.loads(out)["strategy"] == "partial"
    assert re.search(r"^warn: .* few for changing pretrained layers.* Source: .*cs231n", err, re.MULTILINE)

    code, out, err = call(capsys, "curve", folder, "--json")
    assert code == 0, err
    assert {arm["name"] for arm in json.loads(out)["arms"]} == {"transfer", "classical", "scratch"}
    code, out, _ = call(capsys, "curve", folder)
    assert code == 0
    assert "labels" in out


MISTAKES = {
    "nothing": ([], "No command was given."),
    "near": (["trian"], "Did you mean 'train'?"),
    "far": (["dance"], "The commands are"),
    "too long": (["fetch", "x" * 5000], "longer than the name of a file"),
    "two meanings": (["profile", "{data}", "--split-names", "a=test,a=train"], "gives 'a' two meanings"),
    "missing": (["train"], "DATA, --out"),
    "flag": (["samples", "--josn"], "--josn"),
    "seed": (["train", "{data}", "--out", "{new}", "--seed", "x"], "whole number"),
    "seed too small": (["train", "{data}", "--out", "{new}", "--seed=-1"], "whole number"),
    "both": (["train", "{data}", "--out", "{new}", "--plan", "a", "--strategy", "b"], "not allowed"),
    "no data": (["profile", "{new}"], "nothing at"),
    "no data to train": (["train", "{new}", "--out", "{new}"], "nothing at"),
    "the home of nobody": (["profile", "~nobody-at-all/data"], "not a path"),
    "here": (["train", "{data}", "--out", "."], "the folder you are in"),
    "out of nobody": (["train", "{data}", "--out", "~nobody-at-all/model"], "not a path"),
    "train of one class": (["advise", "{lopsided}"], "fewer than two classes"),
    "sample": (["advise", "sample:digit"], "Did you mean 'digits'?"),
    "empty": (["profile", "{empty}"], "nothing"),
    "not a zip": (["curve", "{bad_zip}"], "zip"),
    "a single picture": (["profile", "{picture}"], "picture"),
    "backbone": (["train", "{data}", "--out", "{new}", "--backbone", "tiny_imag"], "Did you mean 'tiny_image'?"),
    "modality": (["train", "{data}", "--out", "{new}", "--backbone", "tiny_text"], "reads texts"),
    "strategy": (["train", "{data}", "--out", "{new}", "--strategy", "ful"], "Did you mean 'full'?"),
    "out is full": (["train", "{data}", "--out", "{data}", "--plan", "{plan}"], "not empty"),
    "out is a file": (["train", "{data}", "--out", "{picture}", "--plan", "{plan}"], "is a file"),
    "no plan": (["train", "{data}", "--out", "{new}", "--plan", "{new}"], "cannot be read"),
    "plan is a picture": (["train", "{data}", "--out", "{new}", "--plan", "{picture}"], "no plan"),
    "plan is a folder": (["train", "{data}", "--out", "{new}", "--plan", "{empty}"], "cannot be read"),
    "plan is empty": (["train", "{data}", "--out", "{new}", "--plan", "{empty_plan}"], "plan"),
    "plan has a mistake": (["train", "{data}", "--out", "{new}", "--plan", "{bad_plan}"], "hed"),
    "plan is for another": (
        ["train", "{data}", "--out", "{new}", "--plan", "{plan}", "--backbone", "tiny_text"],
        "The plan is for tiny_image",
    ),
    "one class": (["train", "{one}", "--out", "{new}", "--plan", "{plan}"], "class"),
    "nothing to test with": (["train", "{pair}", "--out", "{new}"], "left to test with"),
    "two tables": (["train", "{tables}", "--out", "{new}"], "2 tables"),
    "not a bundle": (["predict", "{data}", "{data}", "--out", "{table}"], "bundle"),
    "no bundle": (["evaluate", "{new}", "{data}"], "bundle"),
    "table nowhere": (["predict", "{data}", "{data}", "--out", "{new}/deep/t.csv"], "cannot be written"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_2(name, capsys, workspace, folder, plan, tmp_path):
    places = {key: tmp_path / key for key in ("new", "empty", "bad_zip", "bad_plan", "one", "table", "lopsided")}
    places |= {"data": folder, "plan": plan, "picture": next((folder / "red").iterdir())}
    places["empty"].mkdir()
    places["bad_zip"] = tmp_path / "bad.zip"
    places["bad_zip"].write_bytes(b"PK\x03\x04 and nothing more")
    places["bad_plan"].write_text(PLAN.format(backbone="tiny_image", group="hed", epochs=1))
    (places["one"]).mkdir()
    for path in ("lopsided/train/red", "lopsided/test/blue one"):
        (tmp_path / path).mkdir(parents=True)
        shutil.copy(folder / Path(path).name / "1.png", tmp_path / path)
    (folder / "red").rename(places["one"] / "red") if name == "one class" else None
    places |= {"pair": tmp_path / "pair.csv", "tables": tmp_path / "tables"}
    places["empty_plan"] = tmp_path / "empty.yaml"
    places["empty_plan"].touch()
    places["pair"].write_text("text,label\na good thing,a\na bad thing,b\n")
    places["tables"].mkdir()
    for table in ("first.csv", "second.csv"):
        (places["tables"] / table).write_text("text,label\na good thing,a\na bad thing,b\n")
    arguments, words = MISTAKES[name]
    code, out, err = call(capsys, *(argument.format(**places) for argument in arguments))
    assert (code, out) == (2, ""), err
    assert words in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()
    assert RunStore(workspace).list() == ()


def test_an_unexpected_error_is_one_sentence_a_log_and_exit_code_1(capsys, workspace, folder, monkeypatch):
    def fail(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("so it goes")

    monkeypatch.setattr("tl_core.cli.profile.describe", fail)
    code, out, err = call(capsys, "profile", folder)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "ZeroDivisionError: so it goes" in err
    log = Path(err.split()[-1].rstrip("."))
    assert "Traceback" in log.read_text()
    log.unlink()


def test_a_run_that_fails_says_why_and_where_the_log_is(capsys, workspace, folder, plan, tmp_path, monkeypatch):
    def fail(*arguments: object) -> None:
        raise ValueError("boom")

    monkeypatch.setattr("tl_core.evaluation.report.make_report", fail)
    code, out, err = call(capsys, "train", folder, "--out", tmp_path / "new", "--plan", plan)
    assert (code, out) == (1, "")
    assert "unexpected error" in err
    assert "ValueError" not in err
    assert "Traceback" not in err
    (state,) = RunStore(workspace).list()
    assert state.status == "failed"
    log = RunStore(workspace).folder(state.id) / "worker.log"
    assert str(log) in err
    assert "Traceback" in log.read_text()


def digit_pictures(folder: Path) -> Path:
    """40 real pictures of two handwritten digits, and 10 more of each for the evaluation."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for label in (3, 8):
        for place, row in enumerate((digits.target == label).nonzero()[0][:30]):
            target = folder / ("held out" if place >= 20 else "given") / f"digit {label}" / f"{row}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((digits.images[row] * 15).astype("uint8")).resize((96, 96)).save(target)
    return folder


def news_texts(folder: Path) -> Path:
    """60 real news texts of two topics as a table, and 20 more of each for the evaluation."""
    from tl_core.data.samples import SAMPLES

    every = SAMPLES["bbc_news"].items()
    items = {
        label: [i.read().decode("utf-8", "replace") for i in every if i.label == label][:50]
        for label in ("tech", "sports")
    }
    for name, part in (("given", slice(0, 30)), ("held out", slice(30, 50))):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "topic"])
            writer.writerows([text[:600], label] for label, texts in items.items() for text in texts[part])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("make", [digit_pictures, news_texts])
def test_every_command_on_real_data_with_real_weights(make, tmp_path):
    home, out, table = tmp_path / "home", tmp_path / "out", tmp_path / "table.csv"
    (tmp_path / "data").mkdir()
    given, held_out = sorted(make(tmp_path / "data").iterdir())

    done = subprocess_call("advise", given, "--json", home=home)
    assert done.returncode == 0, done.stderr
    advice = json.loads(done.stdout)
    assert advice["reasons"]
    assert all(reason["source"] for reason in advice["reasons"])

    done = subprocess_call("train", given, "--out", out, "--json", home=home)
    assert done.returncode == 0, done.stderr
    trained = json.loads(done.stdout)
    assert (trained["backbone"], trained["strategy"]) == (advice["backbone"], advice["strategy"])

    done = subprocess_call("evaluate", out, held_out, "--json", home=home)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["accuracy"]["value"] >= 0.85
    assert measured["accuracy"]["n"] == sum(map(sum, measured["confusion"]))

    done = subprocess_call("predict", out, held_out, "--out", table, home=home)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == measured["accuracy"]["n"]

    again = subprocess_call("predict", out, held_out, "--out", table, home=tmp_path / "another home")
    assert again.returncode == 0, again.stderr
    assert list(csv.DictReader(table.read_text(encoding="utf-8").splitlines())) == rows


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_learned(folder, tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.format(backbone="efficientnet_lite0", group="blocks.6: 0.0001, head", epochs=1000))
    home, out = tmp_path / "home", tmp_path / "out"
    command = [sys.executable, "-m", "tl_core", "train", str(folder), "--out", str(out), "--plan", str(plan)]
    environment = {**os.environ, "GRAFT_HOME": str(home)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        store = RunStore(Workspace(home))
        deadline = time.monotonic() + 120
        while not any(type(e).__name__ == "EpochDone" for s in store.list() for e in store.events(s.id)[0]):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(process.communicate()[1])
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        printed, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert store.list()[0].status == "stopped"
    assert (out / "weights.safetensors").exists()
    assert str(out) in printed


def test_rates_prints_the_range_test(capsys, workspace, folder, plan):
    code, out, _ = call(capsys, "rates", folder, "--plan", plan, "--json")
    assert code == 0
    curve = json.loads(out)
    assert curve["phase"] == 0
    assert len(curve["rates"]) == len(curve["smoothed"]) > 10
    code, out, _ = call(capsys, "rates", folder, "--plan", plan)
    assert code == 0
    assert f"Suggested: {curve['suggestion']:g}" in out
    assert "the plan has 0.1" in out


def test_rates_of_an_advised_head_are_those_of_fine_tuning(capsys, workspace, folder, tiny_backbones):
    """The advised plan of a small data set is solved exactly; the command still finds a rate worth knowing."""
    code, out, err = call(capsys, "rates", folder, "--backbone", "tiny_image", "--json")
    assert code == 0, err
    assert "the strategy partial is tried" in err
    assert json.loads(out)["phase"] > 0, "the first phase of the strategy is the solved head"
    code, _, err = call(capsys, "rates", folder, "--strategy", "feature_extraction", "--backbone", "tiny_image")
    assert (code, "no learning rate to find" in err) == (2, True)


def test_layers_prints_the_sweep(capsys, workspace, folder, plan):
    code, out, _ = call(capsys, "layers", folder, "--plan", plan, "--json")
    assert code == 0
    sweep = json.loads(out)
    assert [score["group"] for score in sweep["groups"]] == ["stem", "middle", "top"]
    assert sweep["several"] is False, "scripts read whether items may have several labels under this key"
    code, out, _ = call(capsys, "layers", folder, "--plan", plan)
    assert code == 0
    assert "none (the head alone)" in out
    assert f"{sweep['groups'][1]['loss']:.3f}" in out

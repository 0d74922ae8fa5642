"""Mistakes about penalties, adapters, extra data sets and teachers: one sentence, exit code 2, and no run."""

import random

import pytest

from tl_core.cli import main
from tl_core.runs.store import RunStore

WORDS = {"kitchen": "pan oven salt bread", "weather": "rain cloud storm wind", "street": "car bus tram road"}
PLAN = """backbone: tiny_text
batch_size: 4
phases:
  - {name: head, epochs: 2, lr: {head: 0.01}}
  - {name: all, epochs: 1, lr: {layer.1: 0.001, head: 0.01}}
"""


def sentences(label: str, count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [f"{' '.join(chance.choice(WORDS[label].split()) for _ in range(6))} {n}" for n in range(count)]


@pytest.fixture
def texts(tmp_path, monkeypatch, workspace, tiny_backbones):
    """a.csv and three.csv with labels, pool.csv without; also the folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    for name, labels, seed in (("a", ("kitchen", "weather"), 0), ("three", tuple(WORDS), 1)):
        rows = [f"{text},{label}" for label in labels for text in sentences(label, 24, seed)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "pool.csv").write_text("\n".join(["text", *sentences("weather", 24, 2), *sentences("kitchen", 24, 3)]))
    return tmp_path


def call(capsys, *arguments: object) -> tuple[int, str]:
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr().err.strip()


def plan_with(texts, extra: str, plan: str = PLAN) -> str:
    (texts / "plan.yaml").write_text(plan + extra)
    return "plan.yaml"


def penalty(name: str, more: str = "") -> str:
    return f"penalties: [{{name: {name}, strength: 1.0{more}}}]\n"


@pytest.mark.parametrize("command", ["train", "rates"])
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (penalty("l2sp"), "There is no penalty named 'l2sp'. Did you mean 'l2_sp'?"),
        (penalty("l2_sp", ", options: {colour: 1}"), "has no option 'colour'. There are: none."),
        (penalty("lwf"), "“Learning without Forgetting (LwF)” needs the head that the backbone was trained with"),
        (penalty("mmd"), "needs unlabelled items of the target. Give it as --target"),
        (penalty("replay"), "needs labelled items of the source. Give it as --source"),
        (penalty("distill"), "needs a trained teacher. Give it as --teacher"),
        ("penalties: [l2_sp]\n", "penalty 1 must be lines of the form name: value"),
        ("penalties: [{name: l2_sp}]\n", "the penalty has no 'strength'"),
        ("penalties: [{name: l2_sp, strength: 1e300}]\n", "it must lie between 0 and"),
    ],
)
def test_an_unusable_plan_is_reported_before_a_run_begins(command, extra, message, texts, capsys, workspace):
    out = ("--out", "out") if command == "train" else ()
    code, err = call(capsys, command, "a.csv", *out, "--plan", plan_with(texts, extra))
    assert code == 2
    assert message in err
    assert err.count("Did you mean") + err.count("There are:") <= 1, "a hint is given once"
    assert not RunStore(workspace).list()


def test_an_unsupported_adapter_and_a_plan_without_rates_are_reported(texts, capsys, workspace):
    code, err = call(
        capsys, "train", "a.csv", "--out", "out", "--plan",
        plan_with(texts, "adapter: {kind: lora}\n", PLAN.replace("layer.1", "embeddings")),
    )  # fmt: skip
    assert code == 2
    assert "fits no layer of embeddings" in err
    solved = PLAN.split("  - {name: all")[0].replace("epochs: 2", "epochs: 2, optimizer: lbfgs")
    code, err = call(capsys, "rates", "a.csv", "--plan", plan_with(texts, "", solved))
    assert code == 2
    assert "no learning rate to find" in err
    assert not RunStore(workspace).list()


def test_a_teacher_of_other_classes_is_a_mistake(texts, capsys, workspace):
    assert call(capsys, "train", "three.csv", "--out", "teacher", "--plan", plan_with(texts, ""))[0] == 0
    runs_before = len(RunStore(workspace).list())
    plan = plan_with(texts, penalty("distill"))
    code, err = call(capsys, "train", "a.csv", "--out", "out", "--plan", plan, "--teacher", "teacher")
    assert code == 2
    assert "classes kitchen, street, weather" in err
    assert len(RunStore(workspace).list()) == runs_before


def test_a_pool_without_labels_serves_as_the_target(texts, capsys):
    plan = plan_with(texts, penalty("mmd"))
    for words in (("train", "a.csv", "--out", "out"), ("rates", "a.csv")):
        assert call(capsys, *words, "--plan", plan, "--target", "pool.csv")[0] == 0


def test_unused_extra_inputs_are_warned_about(texts, capsys):
    for extra, named in ((penalty("mmd"), ["--source"]), (penalty("ewc"), ["--target"])):
        words = ("--plan", plan_with(texts, extra), "--source", "three.csv", "--target", "pool.csv")
        code, err = call(capsys, "train", "a.csv", "--out", "out", *words)
        assert code == 0
        assert [option for option in ("--source", "--target") if f"makes use of {option}" in err] == named

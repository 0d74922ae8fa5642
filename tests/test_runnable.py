"""One answer to "can this plan run here?", whoever asks: the run, the command line or the app."""

import argparse
import dataclasses
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tiny import TINY_IMAGE, TINY_TEXT, make_multilabel
from tests.training.helpers import SOLVED, descent, make_job
from tl_core.backbones.spec import BACKBONES
from tl_core.cli import plan_checks
from tl_core.cli.console import Console
from tl_core.cli.plan_checks import check_plan
from tl_core.errors import PlanError, UsageError
from tl_core.penalties import PENALTIES, available_needs
from tl_core.plan import Adapter, Augment, Penalty, TransferPlan
from tl_core.runnable import blocking, require_runnable, runnable
from tl_core.runs.control import MemoryControl
from tl_core.training.adapters import fitting
from tl_core.training.loop import train
from tl_core.training.model import build_model
from tl_core.types import Finding
from ui import extra_data
from ui.plan import penalties

UPPER = descent(["layer.1", "head"])
TUNED = TransferPlan("tiny_text", "by hand", (SOLVED, UPPER))
PAIRS = dataclasses.replace(descent(["layer.1"]), name="pairs", objective="contrastive")


def with_penalty(name: str) -> TransferPlan:
    return dataclasses.replace(TUNED, penalties=(Penalty(name, 1.0),))


STOPPED = {
    "an adapter without a layer": (
        dataclasses.replace(TUNED, phases=(SOLVED, descent(["embeddings", "head"])), adapter=Adapter()),
        False,
        "adapter-unfit",
    ),
    "pairs of items with several labels": (
        dataclasses.replace(TUNED, phases=(PAIRS, SOLVED)),
        True,
        "multilabel-contrastive",
    ),
    "ewc with several labels": (with_penalty("ewc"), True, "multilabel-penalty"),
    "a missing teacher": (with_penalty("distill"), False, "penalty-needs"),
    "an unknown penalty": (with_penalty("l2sp"), False, "penalty"),
    "varied texts": (dataclasses.replace(TUNED, augment=Augment("light")), False, "augment-texts"),
    "a group that is not there": (
        dataclasses.replace(TUNED, phases=(SOLVED, descent(["layer.9", "head"]))),
        False,
        "unknown-group",
    ),
}
FINE = {
    "a solved head": dataclasses.replace(TUNED, phases=(SOLVED,)),
    "fine-tuning": TUNED,
    "a penalty": with_penalty("l2_sp"),
    "an adapter": dataclasses.replace(TUNED, adapter=Adapter(rank=2)),
}


def run_says(dataset, plan) -> str:
    """Why a run of the plan fails; empty where it ends well."""
    job = dataclasses.replace(make_job(dataset, plan.phases), plan=dataclasses.replace(plan, batch_size=4))
    ended = list(train(job, MemoryControl()))[-1]
    return "" if ended.status == "done" else ended.reason


def command_says(dataset, plan) -> str:
    """Why the command line refuses the plan; empty where it does not."""
    arguments = argparse.Namespace(source=None, target=None, teacher=None)
    try:
        check_plan(plan, arguments, Console(io.StringIO(), io.StringIO()), dataset)
    except (PlanError, UsageError) as error:
        return error.message
    return ""


def page_says(dataset, plan) -> str:
    """The first finding that blocks the plan in the app; empty where none does."""
    stops = blocking(extra_data.findings(plan, TINY_TEXT, dataset, extra_data.ExtraData()))
    return stops[0].message if stops else ""


@pytest.mark.parametrize("case", STOPPED)
def test_run_command_and_page_refuse_a_plan_with_the_same_words(case, workspace, tiny_texts, tiny_backbones):
    plan, several, code = STOPPED[case]
    dataset = make_multilabel(workspace) if several else tiny_texts
    have = available_needs(plan, TINY_TEXT)
    first = blocking(runnable(plan, TINY_TEXT, dataset, have))[0]
    assert first.code == code
    assert first.message == page_says(dataset, plan) == command_says(dataset, plan) == run_says(dataset, plan)
    with pytest.raises(PlanError) as refused:
        require_runnable(plan, TINY_TEXT, dataset, have)
    assert (refused.value.message, refused.value.hint) == (first.message, first.hint)


@pytest.mark.parametrize("case", FINE)
def test_run_command_and_page_let_a_sound_plan_pass(case, tiny_texts, tiny_backbones):
    assert page_says(tiny_texts, FINE[case]) == command_says(tiny_texts, FINE[case]) == ""
    assert run_says(tiny_texts, FINE[case]) == ""


@pytest.mark.parametrize("name", [spec.name for spec in BACKBONES.values() if spec.ready])
def test_an_adapter_is_refused_in_just_the_groups_where_the_run_refuses_it(name):
    """The first convolution of EfficientNet-Lite pads in a way of its own, which some kinds would miss."""
    spec = BACKBONES[name]
    model = build_model(spec, TransferPlan(name, "x", (SOLVED,), init="random"), 2, seed=0)
    data = SimpleNamespace(modality=spec.modality, multilabel=False)
    for kind in ("lora", "dora", "loha", "lokr", "ia3"):
        refused = {}
        for group in spec.groups:
            plan = TransferPlan(name, "x", (SOLVED, descent([group.name, "head"])), adapter=Adapter(kind))
            refused[group.name] = {finding.code for finding in blocking(runnable(plan, spec, data, ()))}
        fits = fitting(model, spec, kind)
        assert refused == {group.name: set() if fits[group.name] else {"adapter-unfit"} for group in spec.groups}, kind


def test_what_stops_a_plan_without_an_option_and_is_no_penalty_is_told_in_its_own_words(
    tiny_texts, tiny_backbones, monkeypatch
):
    stop = Finding("stop", "elsewhere", "This plan needs a second machine.", "Rent one.")
    monkeypatch.setattr(plan_checks, "require_runnable", lambda *arguments: None)
    monkeypatch.setattr(plan_checks, "runnable", lambda *arguments: (stop,))
    assert command_says(tiny_texts, TUNED) == stop.message


def test_a_penalty_is_offered_where_what_stops_the_plan_has_no_place_in_it(tiny_texts, monkeypatch):
    stop = Finding("stop", "elsewhere", "This plan needs a second machine.", "Rent one.")
    monkeypatch.setattr(extra_data, "findings", lambda *arguments: (stop,))
    context = SimpleNamespace(spec=TINY_TEXT, dataset=tiny_texts, extra=extra_data.ExtraData())
    assert penalties.why_not(PENALTIES["l2_sp"], TUNED, context) == ""


def test_items_of_another_kind_are_refused(tiny_texts):
    first = blocking(runnable(dataclasses.replace(TUNED, backbone="tiny_image"), TINY_IMAGE, tiny_texts, ()))[0]
    assert (first.code, first.items) == ("modality", ("backbone",))
    assert "takes images" in first.message
    job = dataclasses.replace(make_job(tiny_texts, [SOLVED]), spec=TINY_IMAGE)
    (ended,) = train(job, MemoryControl())
    assert ended.reason == first.message


def test_the_question_loads_no_torch():
    code = (
        "import sys\n"
        "from types import SimpleNamespace\n"
        "from tl_core.backbones.spec import BACKBONES\n"
        "from tl_core.plan import Adapter, Phase, TransferPlan\n"
        "from tl_core.runnable import runnable\n"
        "for spec in (spec for spec in BACKBONES.values() if spec.ready):\n"
        "    phase = Phase('p', 1, {group.name: 1e-4 for group in spec.groups} | {'head': 1e-3})\n"
        "    plan = TransferPlan(spec.name, 'by hand', (phase,), adapter=Adapter())\n"
        "    runnable(plan, spec, SimpleNamespace(modality=spec.modality, multilabel=False), ())\n"
        "sys.exit('torch was loaded' if 'torch' in sys.modules else 0)"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

"""Before the training: what will run, its options, the start button."""

from dataclasses import replace

import streamlit as st

from tl_core.advice.cost import estimate_for
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.speed import read_speed
from tl_core.data.dataset import Dataset
from tl_core.plan import TransferPlan
from tl_core.runnable import blocking
from tl_core.runs.task import Task
from tl_core.types import Estimate, noun
from ui import extra_data, glossary, session, words
from ui.components.plan_grid import plan_grid
from ui.plan import description
from ui.profiles import profile_of
from ui.runs import display, launch, lookup

SECONDS = 120


def setup() -> None:
    """Draw what will run, its options and the start button."""
    project, dataset, spec = session.current(), session.dataset(), session.backbone()
    if not (project.plan and dataset and spec):
        return
    _facts(project.plan, dataset, spec)
    plan, options = st.columns([3, 2], gap="medium")
    with plan, st.container(border=True):
        st.subheader("What learns and when", anchor=False)
        plan_grid(project.plan, [group.name for group in spec.groups], key="train_plan")
        description.draw(project.plan)
    with options, st.container(border=True):
        seed, seconds = _options(project.plan)
        stops = blocking(extra_data.findings(project.plan, spec, dataset, extra_data.chosen(dataset)))
        words.show_findings(stops)
        if st.button(
            "Start training", type="primary", icon=":material/play_arrow:", key="train_start", disabled=bool(stops)
        ):
            name = f"{dataset.name} · {spec.title}"
            task = Task("train", spec.name, dataset.fingerprint, dataset.split, project.plan, seed, name=name)
            task = replace(task, decisions=dataset.pin_decisions())
            launch.start(extra_data.with_extra_data(task, dataset))
            state = lookup.project_run()
            if seconds and state:
                launch.start_scratch(state, seconds)
            st.rerun()


def same(task: Task, plan: TransferPlan) -> bool:
    """Return whether training the project now would repeat `task`."""
    dataset = session.dataset()
    if dataset is None:
        return False
    now = replace(
        task, plan=plan, fingerprint=dataset.fingerprint, split=dataset.split, decisions=dataset.decisions_digest
    )
    return extra_data.with_extra_data(now, dataset) == task


def _facts(plan: TransferPlan, dataset: Dataset, spec: BackboneSpec) -> None:
    counts = {name: len(dataset.rows(name)) for name in ("train", "validation", "test")}
    learned, others = counts["train"], f"{counts['validation']:,} validation items and {counts['test']:,} test items"
    if any(phase.fit_on == "train+validation" for phase in plan.phases):
        learned += counts["validation"]
        others = f"This plan also learns from the validation items in the end. {counts['test']:,} test items"
    with st.grid(4, min_column_width=180, key="train_facts"):
        st.metric("Data", dataset.name, border=True)
        learns = f"{learned:,} {noun(dataset.modality, learned)}"
        st.metric("Learns from", learns, border=True, help=glossary.tip("split", note=f"{others} are kept apart."))
        title = display.strategy_title(plan.strategy)
        st.metric("Strategy", title, border=True, help=f"With the backbone {spec.title}.")
        if expected := _expected(plan, dataset, spec):
            st.metric("Expected time", words.span(expected), border=True, help=expected.method)
        else:
            st.metric("Backbone", spec.title, border=True)


def _expected(plan: TransferPlan, dataset: Dataset, spec: BackboneSpec) -> Estimate | None:
    """Return the seconds that the plan takes on this computer; None if the speed was not measured."""
    speed = read_speed(session.workspace(), spec.name)
    if speed is None:
        return None
    return estimate_for(plan, spec, speed, profile_of(dataset))[0]


def _options(plan: TransferPlan) -> tuple[int, float]:
    """Draw the options; return the seed and the seconds for the from-scratch baseline, 0 for no baseline."""
    seconds = 0.0
    if plan.init == "pretrained":
        scratch = st.toggle(
            "Then train the same network from scratch, to measure the gain",
            value=True,
            key="train_scratch",
            help=glossary.tip("from scratch", "transfer gain", note="It runs in the background after this training."),
        )
        if scratch:
            label = "Seconds for the training from scratch"
            seconds = float(st.number_input(label, 10, 36_000, SECONDS, 30, key="train_budget"))
    seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="train_seed", help=glossary.tip("seed"))
    return int(seed), seconds

"""Time and memory of each strategy with a backbone on this computer, also before it is downloaded."""

import streamlit as st

from tl_core.advice.rules import advise, task_info_for
from tl_core.backbones import memory, trial
from tl_core.backbones.catalogue import LIBRARIES
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.speed import read_speed
from tl_core.data.dataset import Dataset
from tl_core.strategies import STRATEGIES
from tl_core.types import Estimate, Modality
from ui import profiles, session, words
from ui.backbone.entries import Entry
from ui.runs import launch, lookup

HEADER = ("| Strategy | Time | Memory |", "|:--|--:|--:|")
ALWAYS = "full"
"""The strategy that is always shown, as it costs most."""
TOO_LARGE = (("feature_extraction", 4), ("lora", 4), ("full", trial.PEAK))
"""Strategies of a network that does not fit, with the bytes a parameter that each takes at least."""


def measurable(spec: BackboneSpec) -> bool:
    """Return whether a backbone can be measured on this computer before it is downloaded."""
    return spec.ready or (spec.recipe is not None and trial.fits(spec.parameters))


def due(entry: Entry | None, modality: Modality) -> bool:
    """Return whether the model in view is being measured, started now where it is not known yet."""
    if entry is None or entry.state == "coming":
        return False
    if spec := entry.spec:
        return spec.modality == modality and measurable(spec) and is_measuring(spec.name)
    what = entry.job.request.what if entry.job and entry.job.state.status == "asking" else ""
    return in_a_library(what) and is_measuring(what)


def in_a_library(what: str) -> bool:
    """Return whether a library builds what was asked for by its name alone."""
    return what.partition(":")[0] in LIBRARIES


def is_measuring(name: str) -> bool:
    """Return whether a measurement is going on, started now where it is due; one at a time, so that none queue up."""
    if read_speed(session.workspace(), name):
        return False
    task = launch.speed_task(name)
    if run := lookup.find(task):
        return run.active
    others = [state for state in lookup.store().list() if state.kind == "speed" and state.active]
    if not others:
        launch.start_new(task)
    return True


def draw(name: str, spec: BackboneSpec | None) -> None:
    """Draw the table of strategies for the project's data; `name` is what is measured, `spec` what is known of it."""
    dataset = session.dataset()
    if dataset is None:
        return
    st.markdown("**What it would cost on this computer**")
    measured = read_speed(session.workspace(), name)
    tried = spec if spec and spec.ready else trial.read_trial(session.workspace(), name)
    if measured and tried:
        _table(tried, dataset, name)
    elif spec and not measurable(spec):
        _too_large(spec) if spec.recipe else st.caption("Time and memory are measured once its weights are here.")
    else:
        run = lookup.find(launch.speed_task(name))
        if run and not run.active:
            st.caption(f"Time and memory could not be measured: {words.escape(run.reason)}")
        else:
            st.caption(
                ":material/timer: Time and memory are being measured, on the same network with random weights. "
                "Nothing is downloaded for this."
            )


def _table(spec: BackboneSpec, dataset: Dataset, name: str) -> None:
    profile = profiles.profile_of(dataset)
    speed = read_speed(session.workspace(), name)
    advice = advise(profile, spec, None, speed)
    info = task_info_for(profile, spec, None, speed)
    free = memory.free_memory()
    rows = [*HEADER]
    for card in advice.cards:
        strategy = STRATEGIES[card.strategy]
        odd = strategy.caveats(info, card.options)
        if card.seconds is None or card.memory is None or (odd and card.strategy != ALWAYS):
            continue
        title = f"**{strategy.title}**" if card.strategy == advice.strategy else strategy.title
        title += " :gray[(makes little sense for your data)]" if odd else ""
        rows.append(f"| {title} | {words.span(card.seconds)} | {_memory(card.memory, free)} |")
    st.markdown("\n".join(rows))
    st.caption(
        f"For your {profile.n_train:,} training items. Time: from the speed of this network on this computer"
        f"{'' if spec.name == name and spec.pretrained else ', measured with random weights, which cost the same'}. "
        f"Memory: counted on the network; {words.size(free)} are free now."
    )


def _memory(estimate: Estimate, free: int) -> str:
    over = " :material/warning:" if estimate.value > free else ""
    return words.span(estimate, words.size) + over


def _too_large(spec: BackboneSpec) -> None:
    """Say what a network takes that cannot be tried here, from its parameters alone."""
    free = memory.free_memory()
    rows = [*HEADER]
    rows += [
        f"| {STRATEGIES[name].title} | not measured | more than {words.size(each * spec.parameters)} |"
        for name, each in TOO_LARGE
    ]
    st.markdown("\n".join(rows))
    needed = words.size(trial.PEAK * spec.parameters)
    st.caption(
        f"Too large to be tried here, where {words.size(free)} of memory are free. To train all of it takes a graphics "
        f"card with about {needed}. Counted from its {words.millions(spec.parameters)} parameters: 4 bytes each for "
        "frozen weights, 16 for those that learn (weight, gradient, two running means). Activations come on top."
    )

"""The card of a backbone: what is known about it, and the button that chooses it."""

import streamlit as st

from tl_core.backbones.spec import BACKBONES, BackboneSpec, ImageInput, TextInput
from tl_core.backbones.speed import read_speed
from tl_core.types import Modality
from ui import session, words
from ui.runs import launch, lookup

KINDS = {"image": "pictures", "text": "texts", "multimodal": "pictures with texts"}


def recommended(modality: Modality) -> BackboneSpec:
    """Return the recommended backbone of a modality: the first one that is ready."""
    return next(spec for spec in BACKBONES.values() if spec.ready and spec.modality == modality)


def card(spec: BackboneSpec, modality: Modality) -> None:
    """Draw everything that is known about a backbone, and the button that chooses it."""
    with st.container(border=True, key="backbone_card"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(words.escape(spec.title), anchor=False, width="content")
            status(spec, modality)
        st.write(spec.summary)
        with st.grid("auto", min_column_width=210, gap="medium", key="backbone_facts"):
            for name, value in facts(spec, modality):
                st.markdown(f":small[:gray[{name}]]  \n{value}")
        if spec.ready and spec.modality == modality:
            measure_again(spec)
            choose_button(spec)
        elif not spec.ready:
            st.caption(words.escape(spec.needs))
        else:
            st.caption(f"This backbone reads {KINDS[spec.modality]}; your data are {KINDS[modality]}.")


def status(spec: BackboneSpec, modality: Modality) -> None:
    """Draw a badge that says whether the backbone can be used now."""
    if not spec.ready:
        st.badge("Not on this computer", icon=":material/cloud_download:", color="gray")
    elif spec.modality != modality:
        st.badge(f"For {KINDS[spec.modality]}", color="gray")
    else:
        st.badge("Ready", icon=":material/check:", color="violet")


def facts(spec: BackboneSpec, modality: Modality) -> list[tuple[str, str]]:
    """Return the facts of a card as pairs of name and value."""
    facts = [
        ("Parameters", words.millions(spec.parameters) if spec.parameters else "not stated"),
        ("Size on disk", words.size(spec.weights.bytes) if spec.weights.bytes else "not stated"),
        ("Licence", words.escape(spec.licence)),
        ("Reads", reads(spec)),
        ("Source", f"[{spec.source.split('//')[-1].split('/')[0]}]({spec.source})"),
    ]
    if spec.ready and spec.modality == modality:
        facts.append((f"Time for 1,000 {KINDS[spec.modality]} on this computer", speed(spec)))
    return facts


def reads(spec: BackboneSpec) -> str:
    """Return in words what part of an item the backbone reads."""
    if isinstance(spec.input, ImageInput):
        return f"Pictures, resized and cropped to {spec.input.size} × {spec.input.size} pixels"
    if isinstance(spec.input, TextInput):
        return f"The first {spec.input.max_tokens} tokens of a text (about {round(spec.input.max_tokens * 0.75)} words)"
    return "Pictures" if "image" in spec.parts else "Texts"


def preprocessing(spec: BackboneSpec) -> None:
    """Show the preprocessing: what happens to an item before the backbone sees it."""
    with st.expander(
        "Preprocessing: how your items are prepared", icon=":material/photo_size_select_large:", key="backbone_prepare"
    ):
        if isinstance(spec.input, ImageInput):
            size, crop = spec.input.size, spec.input.crop
            st.markdown(
                f"1. The picture is resized so that its short side has {round(size / crop)} pixels "
                f"({spec.input.interpolation}).\n"
                f"2. The middle {size} × {size} pixels are cropped.\n"
                f"3. Colours are normalised: minus {_numbers(spec.input.mean)}, divided by {_numbers(spec.input.std)}."
            )
        elif isinstance(spec.input, TextInput):
            st.markdown(
                "1. The text is split into tokens, with the vocabulary of the backbone.\n"
                f"2. Everything after token {spec.input.max_tokens} is cut off."
            )
        st.caption("The backbone was trained with these steps. They become part of the model that you download.")


def speed(spec: BackboneSpec) -> str:
    """Return how long the backbone takes on this computer, or that it is being measured."""
    measured = read_speed(session.workspace(), spec.name)
    if measured:
        return f"{words.span(measured.thousand)} :small[:gray[{measured.thousand.method}]]"
    run = lookup.find(launch.speed_task(spec.name))
    return "measuring…" if run and run.active else "could not be measured"


def measure_again(spec: BackboneSpec) -> None:
    """Offer another speed test if the last one failed."""
    task = launch.speed_task(spec.name)
    run = lookup.find(task)
    failed = run and not run.active and not read_speed(session.workspace(), spec.name)
    if failed and st.button("Measure again", icon=":material/timer:", key=f"backbone_measure_{spec.name}"):
        launch.start_new(task)
        st.rerun()


def choose_button(spec: BackboneSpec) -> None:
    """Draw the button that makes this the project's backbone."""
    if session.current().backbone == spec.name:
        st.markdown(":material/check_circle: **Chosen for this project**")
    elif st.button(f"Use {spec.title}", type="primary", key=f"backbone_use_{spec.name}"):
        session.choose_backbone(spec.name)
        if dataset := session.dataset():
            launch.find_or_start(launch.probe_task(dataset, spec.name))
        st.rerun()


def _numbers(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else ", ".join(f"{value:g}" for value in values)

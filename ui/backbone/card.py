"""The card of a backbone: what is known about it, and the button that chooses it."""

import streamlit as st

from tl_core.advice.defaults import default_backbone
from tl_core.backbones import acquire
from tl_core.backbones.pair import JOIN
from tl_core.backbones.preprocess import describe
from tl_core.backbones.spec import BACKBONES, BackboneSpec, ImageInput, TextInput
from tl_core.backbones.speed import read_speed
from tl_core.data.dataset import Dataset
from tl_core.types import PARTS, Modality, Part
from ui import session, words
from ui.backbone import another, bring, costs, removal
from ui.backbone.entries import Entry
from ui.runs import launch, lookup

KINDS = {"image": "pictures", "text": "texts", "multimodal": "pictures with texts"}


def recommended(dataset: Dataset, part: Part | None = None) -> BackboneSpec:
    """Return the backbone to begin with for a part of these data; the first one that is ready if that one is not."""
    ready = [spec for spec in BACKBONES.values() if spec.ready and spec.modality == (part or dataset.parts[0])]
    advised = default_backbone(dataset)[0].split(JOIN)
    return next((spec for spec in ready if spec.name in advised), ready[0])


def draw(entry: Entry, modality: Modality) -> None:
    """Draw everything that is known about a model, and what can be done with it."""
    with st.container(border=True, key="backbone_card"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(words.escape(entry.title), anchor=False, width="content")
            status(entry, modality)
        if entry.spec:
            about(entry.spec, modality)
        if entry.state == "ready" and entry.spec:
            ready(entry.spec, modality)
        else:
            not_ready(entry, modality)


def about(spec: BackboneSpec, modality: Modality, key: str = "backbone_facts") -> None:
    """Draw the summary and the facts of a backbone."""
    st.markdown(words.escape(spec.summary, links=True))
    with st.grid(3, min_column_width=130, gap="medium", key=key):
        for name, value in facts(spec, modality):
            st.markdown(f":small[:gray[{name}]]  \n{value}")


def ready(spec: BackboneSpec, modality: Modality) -> None:
    """Draw what can be done with a backbone that is on this computer."""
    if spec.modality == modality:
        measure_again(spec)
    else:
        where = ": choose it above, beside one for the other part" if spec.modality in PARTS[modality] else ""
        st.caption(f"This backbone reads {KINDS[spec.modality]}; your data are {KINDS[modality]}{where}.")
    with st.container(horizontal=True, vertical_alignment="center"):
        if spec.modality == modality:
            choose_button(spec)
        if spec.weights.kind == "folder":
            removal.button(spec)


def not_ready(entry: Entry, modality: Modality) -> None:
    """Draw what it takes to bring a model to this computer, or how far that is."""
    job, spec = entry.job, entry.spec
    if spec and spec.modality != modality:
        st.caption(f"This backbone reads {KINDS[spec.modality]}; your data are {KINDS[modality]}.")
    if job and job.active:
        bring.progress(job)
    elif spec and entry.state == "file":
        st.markdown(
            f"{words.escape(spec.access, links=True)} Licence: {words.escape(spec.licence)}. Then bring the file here."
        )
        another.own_files(f"backbone_file_{spec.name}", spec.name.removesuffix(acquire.TEXT))
    elif spec:
        if spec.modality == modality:
            costs.draw(spec.name, spec)
        bring.draw(bring.download_of(spec), job, entry.here)
    elif job and job.state.status == "asking":
        bring.offered(job)
        if costs.in_a_library(job.request.what):
            costs.draw(job.request.what, None)
        else:
            st.caption(":material/timer: Time and memory are measured once it is here.")
        bring.take(job)
    elif job and job.state.status == "unnamed":
        another.unnamed(job)
    elif job:
        if job.state.status == "failed":
            bring.failure(job)
        bring.again(job, "Try again" if job.state.status == "failed" else "Go on")


def status(entry: Entry, modality: Modality) -> None:
    """Draw a badge that says whether the model can be used now."""
    spec, state = entry.spec, entry.state
    if spec and state == "ready" and spec.modality != modality:
        st.badge(f"For {KINDS[spec.modality]}", color="gray")
    elif state == "ready":
        st.badge("Ready", icon=":material/check:", color="violet")
    elif state == "coming":
        st.badge("On its way", icon=":material/downloading:", color="blue")
    elif state == "file":
        st.badge("Needs a file", icon=":material/description:", color="gray")
    elif state == "paused":
        st.badge("Partly here" if entry.here else "Not finished", icon=":material/pause:", color="orange")
    else:
        st.badge("One press away", icon=":material/cloud_download:", color="gray")


def facts(spec: BackboneSpec, modality: Modality) -> list[tuple[str, str]]:
    """Return the facts of a card as pairs of name and value."""
    facts = [
        ("Parameters", words.millions(spec.parameters) if spec.parameters else "not stated"),
        (
            "Size on disk" if spec.ready else "Download",
            words.size(spec.weights.bytes) if spec.weights.bytes else "not stated",
        ),
        ("Licence", words.escape(spec.licence)),
        ("Reads", reads(spec)),
        ("Source", " · ".join(_source(one) for one in spec.towers or (spec,))),
    ]
    if spec.ready and spec.modality == modality:
        facts.append((f"Time for 1,000 {KINDS[spec.modality]} on this computer", speed(spec)))
    return facts


def _source(spec: BackboneSpec) -> str:
    return f"[{_host(spec)}]({spec.source})" if "//" in spec.source else words.escape(spec.source)


def reads(spec: BackboneSpec) -> str:
    """Return in words what part of an item the backbone reads."""
    if spec.towers:
        return ". ".join(reads(one) for one in spec.towers)
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
        for tower in spec.towers or (spec,):
            st.markdown(words.escape(describe(tower)))
        st.caption("These steps become part of the model that you download.")


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


def below(entry: Entry) -> None:
    """Show more about a backbone that is ready: its layer groups, and how items are prepared for it."""
    if entry.spec and entry.spec.ready:
        groups(entry.spec)
        if entry.spec.input:
            preprocessing(entry.spec)


def groups(spec: BackboneSpec) -> None:
    """Show the layer groups of a backbone: what can be frozen and trained."""
    titles = words.layer_names(spec.name, [group.name for group in spec.groups])
    with st.expander(
        f"Layer groups: the {len(spec.groups)} parts that can be frozen or trained",
        icon=":material/layers:",
        key="backbone_groups",
    ):
        counts = spec.group_parameters or (0,) * len(spec.groups)
        rows = [
            f"| {words.escape(titles[group.name])} | `{group.name}` | {words.millions(count) if count else ''} |"
            for group, count in zip(spec.groups, counts, strict=True)
        ]
        st.markdown("\n".join(["| from the input up | name in plans | parameters |", "|:--|:--|--:|", *rows]))
        if spec.card:
            versions = ", ".join(f"{name} {number}" for name, number in spec.card["proof"]["versions"].items())
            st.caption(
                f":material/verified: Checked when it was made ready: cut between these groups, it computes the same "
                f"as whole, to the bit, forwards and backwards ({words.escape(versions)})."
            )


def _host(spec: BackboneSpec) -> str:
    return spec.source.split("//")[-1].split("/")[0]

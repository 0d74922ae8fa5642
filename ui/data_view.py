"""What is known about a data set, drawn: numbers, balance, examples, lengths, the split, the receipt."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from tl_core.backbones.reading import profile_for
from tl_core.backbones.spec import BACKBONES
from tl_core.data.dataset import Dataset
from tl_core.data.images import open_image
from tl_core.data.profile import Profile
from tl_core.data.split import SplitSpec
from tl_core.evaluation.inflation import read_honest
from ui import rail, session, theme
from ui.results import looks_caption
from ui.words import plural, tell

SPLITS = {"train": "Learns from", "validation": "Tunes with", "test": "Is judged by"}
SHOWN_CLASSES = 24
SHOWN_LINES = 1000  # of a receipt; the download has them all
THUMB = 104
GAP = 6  # clear pixels around a thumbnail, because Streamlit sets images edge to edge


def profile_of(dataset: Dataset) -> Profile:
    """Return the profile, computed once for each content, split and decisions."""
    spec = session.backbone() if dataset.modality == "text" else None
    receipt = dataset.receipt
    told = (dataset.name, receipt.source, len(receipt.lines))
    return _profile(dataset, dataset.version, told, spec.name if spec else "")


@st.cache_data(show_spinner="Looking through your data", max_entries=16)
def _profile(_dataset: Dataset, version: str, told: tuple[str, str, int], backbone: str) -> Profile:
    return profile_for(_dataset, BACKBONES[backbone] if backbone else None)


def overview(dataset: Dataset) -> None:
    """Draw the numbers of the whole, and the classes by split."""
    counts = split_counts(dataset)
    totals = counts.sum(axis=1)
    with st.grid(4, min_column_width=150, key="data_metrics"):
        st.metric(rail.noun(dataset.modality, 2).capitalize(), f"{int(dataset.kept.sum()):,}", border=True)
        st.metric("Classes", len(dataset.classes), border=True)
        if totals.min() == totals.max():
            st.metric("Every class", f"{totals.min():,}", border=True)
            return
        st.metric(f"Smallest class: {tell(shorten(totals.idxmin(), 24))}", f"{totals.min():,}", border=True)
        st.metric(f"Largest class: {tell(shorten(totals.idxmax(), 24))}", f"{totals.max():,}", border=True)


def balance(dataset: Dataset) -> None:
    """Draw how many examples each class has, by split."""
    counts = split_counts(dataset)
    order = counts.sum(axis=1).sort_values(ascending=False).index
    shown = counts.loc[order[:SHOWN_CLASSES]].iloc[::-1]
    figure = go.Figure()
    for name, colour in zip(SPLITS, split_colours(), strict=True):
        figure.add_bar(
            y=[shorten(each, 26) for each in shown.index],
            x=shown[name],
            name=name.capitalize(),
            orientation="h",
            marker={"color": colour},
            hovertemplate="%{y}: %{x} " + name + "<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.35,
        height=90 + 28 * max(3, len(shown)),
        margin={"l": 0, "r": 10, "t": 34, "b": 0},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        yaxis={"type": "category"},
        dragmode=False,
    )
    alt = f"Examples per class, from {counts.sum(axis=1).min()} to {counts.sum(axis=1).max()}."
    st.plotly_chart(figure, key="data_balance", config={"displayModeBar": False}, alt=alt)
    if len(counts) > SHOWN_CLASSES:
        st.caption(f"The {SHOWN_CLASSES} largest of {len(counts)} classes.")


def examples(dataset: Dataset) -> None:
    """Draw examples of each class; another handful on request."""
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        names = list(dataset.classes)
        picked = st.selectbox(
            "Class", ["All classes", *names], key="data_examples_class", label_visibility="collapsed", width=260
        )
        if st.button("Others", icon=":material/shuffle:", key="data_shuffle", type="tertiary"):
            st.session_state["data_shuffle_turn"] = st.session_state.get("data_shuffle_turn", 0) + 1
    wanted = names if picked == "All classes" else [picked]
    each = 6 if len(wanted) > 1 else 24
    draw = np.random.default_rng(st.session_state.get("data_shuffle_turn", 0))
    rows = {name: _draw(dataset, names.index(name), each, draw) for name in wanted[:12]}
    if dataset.modality == "text":
        _texts(dataset, rows, 2 if len(wanted) > 1 else 24)
        return
    for name, chosen in rows.items():
        if len(rows) > 1:
            st.caption(tell(name))
        paths = dataset.items["path"].iloc[chosen]
        pictures = [thumbnail(str(dataset.folder / path)) for path in paths]
        st.image(pictures, width=THUMB if len(rows) < 5 else THUMB * 2 // 3, alt=[f"Example of {name}"] * len(pictures))
    if len(wanted) > 12:
        st.caption("The first 12 classes. Choose a class to see the others.")


def _draw(dataset: Dataset, label: int, count: int, draw: np.random.Generator) -> np.ndarray:
    rows = np.flatnonzero((dataset.labels == label) & dataset.kept)
    return draw.permutation(rows)[:count]


def _texts(dataset: Dataset, rows: dict[str, np.ndarray], each: int) -> None:
    texts = dataset.items["text"]
    with st.container(height=480 if each > 2 else "content", border=False, gap="small", key="data_texts"):
        for name, found in rows.items():
            for row in found[:each]:
                text = shorten(" ".join(texts.iloc[row][:1000].split()), 170)
                st.markdown(f":violet-badge[{tell(name)}] :small[{tell(text)}]")


@st.cache_data(show_spinner=False, max_entries=2000)
def thumbnail(path: str) -> bytes:
    """Return a small square PNG of an image file; tiny pictures are enlarged without blurring."""
    image = open_image(Path(path))
    side = THUMB * 2
    if max(image.size) < side // 2:
        factor = side // max(image.size)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    scale = side / min(image.size)
    image = image.resize((max(side, round(image.width * scale)), max(side, round(image.height * scale))))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    tile, buffer = Image.new("RGBA", (side + 2 * GAP, side + 2 * GAP)), io.BytesIO()
    tile.paste(image.crop((left, top, left + side, top + side)), (GAP, GAP))
    tile.save(buffer, "PNG")
    return buffer.getvalue()


def split(dataset: Dataset) -> None:
    """Draw the split, and let it be changed."""
    counts, parts = split_counts(dataset), profile_of(dataset).splits
    total = sum(parts.values())
    with st.grid(3, min_column_width=170, key="data_split_metrics"):
        for name, role in SPLITS.items():
            count = parts[name]
            st.metric(f"{name.capitalize()}: {role.lower()}", f"{count:,}", f"{count / total:.0%}", delta_color="off",
                      delta_arrow="off", border=True)  # fmt: skip
    alike = "Identical and nearly identical items" if dataset.split.keep_near else "Identical items"
    shared = (
        "the newest items are kept for the test" if dataset.split.by == "time" else "each class is shared out evenly"
    )
    st.caption(
        "The model never sees the test items while it learns, so that they show what it is worth. "
        f"{alike} stay on the same side; {shared}."
    )
    looks_caption(dataset)
    spec = session.backbone()
    score = read_honest(session.workspace(), dataset, spec.name) if spec else None
    if score:
        st.caption(f":material/content_copy: {score.sentence}")
    with st.expander("Change the split", icon=":material/tune:", key="data_split_edit"):
        _split_form(dataset, counts)


def _split_form(dataset: Dataset, counts: pd.DataFrame) -> None:
    spec = dataset.split
    given = bool((dataset.items["given"] != "").any())
    with st.form("data_split_form", border=False):
        left, middle, right = st.columns(3)
        validation = left.slider(
            "Validation", 5, 40, round(spec.validation * 100), format="%d%%", key="data_validation"
        )
        test = middle.slider("Test", 5, 40, round(spec.test * 100), format="%d%%", key="data_test")
        seed = right.number_input("Seed", 0, 9999, spec.seed, key="data_seed", help="Another number, another draw.")
        honour = st.toggle(
            "Use the split that came with the data", spec.honour_given, disabled=not given, key="data_honour",
            help="Your folders or table named a split." if given else "Your data did not name a split.",
        )  # fmt: skip
        near = st.toggle(
            "Keep look-alikes together", spec.keep_near, key="data_near",
            help="Pictures or texts that are nearly the same stay on one side, so that the test is honest.",
        )  # fmt: skip
        timed = bool(dataset.items["time"].notna().any())
        newest = st.toggle(
            "Test on the newest", spec.by == "time", disabled=not timed, key="data_by_time",
            help="As in use, where what comes is newer." if timed else "Your data did not say when items were made.",
        )  # fmt: skip
        if st.form_submit_button("Apply", key="data_split_apply"):
            by: Literal["random", "time"] = "time" if newest else "random"
            wanted = SplitSpec(validation / 100, test / 100, int(seed), bool(honour), by, bool(near))
            dataset.resplit(replace(spec, **vars(wanted)))
            st.rerun()
    st.dataframe(counts.rename(columns=str.capitalize).rename_axis("Class"), key="data_split_table")


def receipt(dataset: Dataset) -> None:
    """Draw what was skipped or converted at import, and why."""
    lines = dataset.receipt.lines
    if not lines:
        st.caption(":material/check: Everything in the source was taken as it is.")
        return
    skipped = sum(line.action == "skipped" for line in lines)
    label = f"Receipt: {plural(skipped, 'item')} skipped, {len(lines) - skipped:,} converted"
    with st.expander(label, icon=":material/receipt_long:", key="data_receipt"):
        st.dataframe(_receipt_table(dataset, SHOWN_LINES), hide_index=True, key="data_receipt_table")
        if len(lines) > SHOWN_LINES:
            st.caption(f"The first {SHOWN_LINES:,} of {len(lines):,}; the download has all of them.")
        st.download_button(
            "Download the receipt", lambda: _receipt_table(dataset).to_csv(index=False).encode("utf-8-sig"),
            "receipt.csv", "text/csv", key="data_receipt_download", on_click="ignore", icon=":material/download:",
        )  # fmt: skip


def _receipt_table(dataset: Dataset, most: int | None = None) -> pd.DataFrame:
    lines = dataset.receipt.lines[:most]
    return pd.DataFrame([{"Item": line.item, "What": line.action, "Why": line.reason} for line in lines])


def split_counts(dataset: Dataset) -> pd.DataFrame:
    """Return the number of items by class (rows) and split (columns)."""
    classes = profile_of(dataset).classes
    return pd.DataFrame({s: [getattr(c, s) for c in classes] for s in SPLITS}, index=[c.name for c in classes])


def split_colours() -> tuple[str, str, str]:
    """Return the colours of train, validation and test: three steps of one hue, for they mean one thing in parts."""
    return theme.shade(theme.SPLITS)


def shorten(text: str, length: int) -> str:
    """Return text cut to a length, with an ellipsis where something was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"

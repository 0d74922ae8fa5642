"""Examples to look at: a few of every class, or one class a page at a time, however many items there are."""

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st

from tl_core.data.dataset import Dataset
from ui.items import thumbnail
from ui.words import shorten, tell

CLASSES = 12
"""Classes that are shown at once."""
EACH = {"image": 6, "text": 2}
PAGE = {"image": 24, "text": 12}
LETTERS = 170
THUMB = 104
"""Pixels of a picture, as the page counts them; twice as many are sent, for screens that show more."""
ALL = "All classes"


@dataclass(frozen=True)
class Shown:
    """Rows of the manifest to draw, by class, and how many pages there are."""

    rows: dict[str, np.ndarray]
    pages: int


def draw(dataset: Dataset) -> None:
    """Draw the examples; turning a page draws nothing else anew."""
    st.fragment(_section)(dataset)


def pick(dataset: Dataset, name: str, page: int, turn: int) -> Shown:
    """Return a sample of each class, or a page of one, in an order that `turn` shuffles."""
    draw = np.random.default_rng(turn)
    if name != ALL:
        rows = draw.permutation(members(dataset, dataset.classes.index(name)))
        size = PAGE[dataset.modality]
        return Shown({name: rows[(page - 1) * size : page * size]}, max(1, math.ceil(len(rows) / size)))
    names = dataset.classes[(page - 1) * CLASSES : page * CLASSES]
    count = EACH[dataset.modality]
    found = {each: members(dataset, dataset.classes.index(each)) for each in names}
    sampled = {each: draw.choice(rows, min(count, len(rows)), replace=False) for each, rows in found.items()}
    return Shown(sampled, max(1, math.ceil(len(dataset.classes) / CLASSES)))


def members(dataset: Dataset, label: int) -> np.ndarray:
    """Return the rows that have a label and were not dropped."""
    mine = dataset.targets[:, label] > 0 if dataset.multilabel else dataset.labels == label
    return np.flatnonzero(mine & dataset.included)


def _section(dataset: Dataset) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        name = st.selectbox(
            "Class", [ALL, *dataset.classes], key="data_examples_class", label_visibility="collapsed", width=260
        )
        if st.button("Others", icon=":material/shuffle:", key="data_shuffle", type="tertiary"):
            st.session_state["data_shuffle_turn"] = st.session_state.get("data_shuffle_turn", 0) + 1
    turn, key = st.session_state.get("data_shuffle_turn", 0), f"data_page_{dataset.fingerprint}_{name}"
    page = st.session_state.get(key, 1)
    shown = pick(dataset, name, page, turn)
    if dataset.modality == "text":
        _texts(dataset, shown)
    else:
        _pictures(dataset, shown)
    if shown.pages > 1:
        st.pagination(shown.pages, key=key)


def _pictures(dataset: Dataset, shown: Shown) -> None:
    paths = dataset.items["path"]
    for name, rows in shown.rows.items():
        if len(shown.rows) > 1:
            st.caption(tell(name))
        files = [dataset.folder / str(path) for path in paths.iloc[rows]]
        pictures = [thumbnail(str(file), file.stat().st_mtime_ns, 2 * THUMB, square=True) for file in files]
        if pictures:
            width = THUMB if len(shown.rows) < 5 else THUMB * 2 // 3
            st.image(pictures, width=width, alt=[f"Example of {name}"] * len(pictures))


def _texts(dataset: Dataset, shown: Shown) -> None:
    texts = dataset.items["text"]
    with st.container(gap="small", key="data_texts"):
        for name, rows in shown.rows.items():
            for row in rows:
                text = shorten(" ".join(str(texts.iloc[row])[:1000].split()), LETTERS)
                st.markdown(f":violet-badge[{tell(name)}] :small[{tell(text)}]")

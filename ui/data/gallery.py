"""Examples: a few items of every class, or all items of one class, page by page."""

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st

from tl_core.data.dataset import Dataset
from ui.items import show_image, thumbnail
from ui.words import escape, shorten

CLASSES = 12
"""Classes on a page."""
PER_CLASS = {"image": 6, "text": 2, "multimodal": 4}
"""Items of each class, where several classes are shown."""
PAGE = {"image": 24, "text": 12, "multimodal": 12}
"""Items on a page of one class."""
LETTERS = 170
THUMB = 104
"""Size of a picture in CSS pixels; twice as many pixels are sent, for high-density screens."""
ALL = "All classes"


@dataclass(frozen=True)
class GalleryPage:
    """The rows of the manifest to draw, by class, and the number of pages."""

    rows: dict[str, np.ndarray]
    pages: int


def draw(dataset: Dataset) -> None:
    """Draw the examples, as a fragment: turning a page redraws only this section."""
    st.fragment(_section)(dataset)


def pick(dataset: Dataset, name: str, page: int, seed: int) -> GalleryPage:
    """Return a sample of each class on the page, or a page of the class `name`, shuffled by `seed`."""
    rng = np.random.default_rng(seed)
    if name != ALL:
        rows = rng.permutation(members(dataset, dataset.classes.index(name)))
        size = PAGE[dataset.modality]
        return GalleryPage({name: rows[(page - 1) * size : page * size]}, max(1, math.ceil(len(rows) / size)))
    names = dataset.classes[(page - 1) * CLASSES : page * CLASSES]
    count = PER_CLASS[dataset.modality]
    rows_of = {name: members(dataset, dataset.classes.index(name)) for name in names}
    sampled = {name: rng.choice(rows, min(count, len(rows)), replace=False) for name, rows in rows_of.items()}
    return GalleryPage(sampled, max(1, math.ceil(len(dataset.classes) / CLASSES)))


def members(dataset: Dataset, label: int) -> np.ndarray:
    """Return the rows of the items that have a label and were not left out."""
    has_label = dataset.targets[:, label] > 0 if dataset.multilabel else dataset.labels == label
    return np.flatnonzero(has_label & dataset.included)


def _section(dataset: Dataset) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        name = st.selectbox(
            "Class", [ALL, *dataset.classes], key="data_examples_class", label_visibility="collapsed", width=260
        )
        if st.button("Shuffle", icon=":material/shuffle:", key="data_shuffle", type="tertiary"):
            st.session_state["data_shuffle_turn"] = st.session_state.get("data_shuffle_turn", 0) + 1
    seed, key = st.session_state.get("data_shuffle_turn", 0), f"data_page_{dataset.fingerprint}_{name}"
    page = st.session_state.get(key, 1)
    shown = pick(dataset, name, page, seed)
    if dataset.modality == "multimodal":
        _pairs(dataset, shown)
    elif "text" in dataset.parts:
        _texts(dataset, shown)
    else:
        _pictures(dataset, shown)
    if shown.pages > 1:
        st.pagination(shown.pages, key=key)


def _pictures(dataset: Dataset, shown: GalleryPage) -> None:
    paths = dataset.items["path"]
    for name, rows in shown.rows.items():
        if len(shown.rows) > 1:
            st.caption(escape(name))
        files = [dataset.folder / str(path) for path in paths.iloc[rows]]
        pictures = [thumbnail(str(file), file.stat().st_mtime_ns, 2 * THUMB, square=True) for file in files]
        if pictures:
            width = THUMB if len(shown.rows) < 5 else THUMB * 2 // 3
            st.image(pictures, width=width, alt=[f"Example of {name}"] * len(pictures))


def _pairs(dataset: Dataset, shown: GalleryPage) -> None:
    for name, rows in shown.rows.items():
        if len(shown.rows) > 1:
            st.caption(escape(name))
        with st.grid("auto", min_column_width=280, gap="small", key=f"data_pairs_{dataset.fingerprint}_{name}"):
            for row in rows:
                item = dataset.items.iloc[row]
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    show_image(dataset.folder / str(item["path"]), f"Example of {name}", THUMB)
                    st.caption(escape(shorten(" ".join(str(item["text"])[:1000].split()), LETTERS)))


def _texts(dataset: Dataset, shown: GalleryPage) -> None:
    texts = dataset.items["text"]
    with st.container(gap="small", key="data_texts"):
        for name, rows in shown.rows.items():
            for row in rows:
                text = shorten(" ".join(str(texts.iloc[row])[:1000].split()), LETTERS)
                st.markdown(f":violet-badge[{escape(name)}] :small[{escape(text)}]")

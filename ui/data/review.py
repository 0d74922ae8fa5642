"""The review of guesses: items page by page, each with its guess to confirm or correct. Answers are stored at once."""

import math
from functools import partial

import numpy as np
import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.guesses.answers import LEAVE_OUT, answer
from tl_core.data.guesses.sorting import Guesses, Question
from tl_core.errors import GraftError
from ui import glossary, items
from ui.words import escape

PAGE = {"image": 12, "text": 8}
"""Items on a page."""
LETTERS = 300
NONE = "None of these"
ORDERS = {"margin": "Least certain first", "random": "Any at random", "sample": "Random sample for testing"}


def draw(dataset: Dataset, question: Question, guesses: Guesses, labels: dict[int, str], sample: np.ndarray) -> None:
    """Draw a page of items in the chosen order, with the answers so far."""
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        order = st.segmented_control(
            "Check", list(ORDERS), default="margin", required=True, format_func=lambda order: ORDERS[order],
            key="zero_order", help=glossary.tip("margin"),
        )  # fmt: skip
        place = st.container(width="content")
    rows = _rows(dataset, guesses, sample, order)
    size = PAGE[dataset.parts[0]]
    pages = math.ceil(len(rows) / size)
    page = min(st.session_state.get(f"zero_page_{order}", 1), pages)
    shown = [int(row) for row in rows[(page - 1) * size : page * size]]
    open_rows = [row for row in shown if row not in labels]
    place.button(
        "All on this page are right",
        icon=":material/done_all:",
        disabled=not open_rows,
        key="zero_all",
        on_click=_record_page,
        args=(dataset, {row: question.classes[guesses.label[row]] for row in open_rows}, order, min(page + 1, pages)),
    )
    pictures = "image" in dataset.parts
    with st.grid("auto", min_column_width=190, gap="small", key="zero_items") if pictures else st.container():
        for row in shown:
            _item(dataset, question, guesses, row, labels.get(row))
    if pages > 1:
        st.pagination(pages, key=f"zero_page_{order}")


def _rows(dataset: Dataset, guesses: Guesses, sample: np.ndarray, order: str) -> np.ndarray:
    """Return the rows in the chosen order; the sample, which is kept for testing, is in no other order."""
    if order == "sample":
        return sample
    if order == "margin":
        rows = np.argsort(guesses.margin, kind="stable")
    else:
        rows = np.random.default_rng(1).permutation(len(dataset.items))
    return rows[~np.isin(rows, sample)]


def _item(dataset: Dataset, question: Question, guesses: Guesses, row: int, label: str | None) -> None:
    guessed = question.classes[guesses.label[row]]
    current = NONE if label == LEAVE_OUT else label or guessed
    choices = [*question.classes, NONE]
    with st.container(border=True, gap="xsmall", key=f"zero_item_{row}"):
        _content(dataset, row)
        with st.container(horizontal=True, vertical_alignment="center"):
            key = f"zero_pick_{row}_{choices.index(current)}_{label is not None}"
            st.selectbox(
                "Class", choices, choices.index(current), key=key, label_visibility="collapsed", width=260,
                on_change=partial(_pick, dataset, row, key),
            )  # fmt: skip
            if label is None:
                st.button(
                    "Right", icon=":material/check:", key=f"zero_right_{row}", type="tertiary",
                    on_click=partial(_record, dataset, {row: guessed}),
                )  # fmt: skip
                st.caption(f"score {guesses.score[row]:.2f}, margin {guesses.margin[row]:.2f}")
            else:
                was = "" if current == guessed else f", guessed {guessed}"
                st.caption(f":material/check_circle: checked{escape(was)}")


def _content(dataset: Dataset, row: int) -> None:
    item = dataset.items.iloc[row]
    if "image" in dataset.parts:
        items.show_image(dataset.folder / str(item["path"]), str(item["id"]))
        return
    text = " ".join(str(item["text"])[: 4 * LETTERS].split())
    st.text(text if len(text) <= LETTERS else text[:LETTERS].rsplit(" ", 1)[0] + " …")


def _pick(dataset: Dataset, row: int, key: str) -> None:
    chosen = st.session_state[key]
    _record(dataset, {row: LEAVE_OUT if chosen == NONE else chosen})


def _record_page(dataset: Dataset, labels: dict[int, str], order: str, page: int) -> None:
    """Record the answers to a page, and turn to the page after it."""
    _record(dataset, labels)
    if page > 1:
        st.session_state[f"zero_page_{order}"] = page


def _record(dataset: Dataset, labels: dict[int, str]) -> None:
    try:
        answer(dataset, labels)
    except GraftError as error:
        st.toast(escape(f"{error.message} {error.hint}"), icon=":material/error:")

"""Trying the model on one item that has a picture and a text."""

from functools import partial
from pathlib import Path

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.evaluation.results import Report
from ui.items import show_image
from ui.try_out import predictor
from ui.try_out.single import IMAGES, answer, random_test_item, true_labels
from ui.uploads import uploader

PICTURE, TEXT, ASKED = "try_pair_picture", "try_pair_text", "try_pair_asked"


def one_pair(bundle: Path, report: Report, dataset: Dataset | None) -> None:
    """Classify a picture with its text: an upload and what is typed, or a test item."""
    left, right = st.columns(2, gap="large")
    with left:
        row = random_test_item(report, dataset)
        if row is not None and dataset is not None:
            item = dataset.items.iloc[row]
            st.session_state[PICTURE] = str(dataset.folder / str(item["path"]))
            st.session_state[TEXT] = str(item["text"])
            st.session_state[ASKED] = (st.session_state[PICTURE], st.session_state[TEXT], true_labels(report, row))
        if uploaded := uploader("A picture", IMAGES, "try_pair_image"):
            st.session_state[PICTURE] = str(uploaded)
        text = st.text_area("Its text", key=TEXT, height=140, placeholder="Type or paste a text", max_chars=100_000)
        picture = st.session_state.get(PICTURE, "")
        there = bool(picture) and Path(picture).is_file()
        if there:
            show_image(Path(picture), "The picture to classify", width=220)
        complete = there and bool(text.strip())
        icon = ":material/play_arrow:"
        if st.button("Classify", type="primary", icon=icon, key="try_pair_go", disabled=not complete):
            st.session_state[ASKED] = (picture, text, None)
        if not complete:
            st.caption("The model needs both: a picture and its text.")
    asked, words, truth = st.session_state.get(ASKED, ("", "", None))
    if asked and Path(asked).is_file():
        with right:
            answer(
                f"{bundle}|{asked}|{words}", report, truth, partial(predictor.predict_pair, bundle, Path(asked), words)
            )

"""The overview of a data set: its size, and the items of each class by split."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.types import noun
from ui import theme
from ui.profiles import profile_of
from ui.words import escape, shorten

SPLITS = {"train": "training items", "validation": "validation items", "test": "test items"}
"""The parts of the split, with their terms in the glossary."""
SHOWN_CLASSES = 24


def overview(dataset: Dataset) -> None:
    """Draw the number of items and classes, and the smallest and largest class."""
    counts = split_counts(dataset)
    totals = counts.sum(axis=1)
    with st.grid(4, min_column_width=150, key="data_metrics"):
        st.metric(noun(dataset.modality, 2).capitalize(), f"{int(dataset.included.sum()):,}", border=True)
        st.metric("Classes", len(dataset.classes), border=True)
        if totals.min() == totals.max():
            st.metric("In each class", f"{totals.min():,}", border=True)
            return
        st.metric(f"Smallest class: {escape(shorten(totals.idxmin(), 24))}", f"{totals.min():,}", border=True)
        st.metric(f"Largest class: {escape(shorten(totals.idxmax(), 24))}", f"{totals.max():,}", border=True)


def balance(dataset: Dataset) -> None:
    """Draw the number of items of each class, by split."""
    counts = split_counts(dataset)
    order = counts.sum(axis=1).sort_values(ascending=False).index
    shown = counts.loc[order[:SHOWN_CLASSES]].iloc[::-1]
    figure = go.Figure()
    for name, colour in zip(SPLITS, split_colours(), strict=True):
        figure.add_bar(
            y=[shorten(class_name, 26) for class_name in shown.index],
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
    alt = f"Items per class, from {counts.sum(axis=1).min()} to {counts.sum(axis=1).max()}."
    st.plotly_chart(figure, key="data_balance", config={"displayModeBar": False}, alt=alt)
    if len(counts) > SHOWN_CLASSES:
        st.caption(f"The {SHOWN_CLASSES} largest of {len(counts)} classes.")


def split_counts(dataset: Dataset) -> pd.DataFrame:
    """Return the number of items by class (rows) and split (columns)."""
    classes = profile_of(dataset).classes
    return pd.DataFrame({s: [getattr(c, s) for c in classes] for s in SPLITS}, index=[c.name for c in classes])


def split_colours() -> tuple[str, str, str]:
    """Return the colours of train, validation and test: three shades of one colour."""
    return theme.shade(theme.SPLITS)

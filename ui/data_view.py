"""What is known about a data set, drawn: numbers, balance, lengths; and small pictures of its items."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.spec import BACKBONES, TextInput
from tl_core.data.dataset import Dataset
from tl_core.data.images import open_image
from tl_core.data.profile import Profile, Quantiles, profile
from tl_core.errors import BackboneError
from ui import rail, session, theme
from ui.words import tell

SPLITS = {"train": "Learns from", "validation": "Tunes with", "test": "Is judged by"}
SHOWN_CLASSES = 24
THUMB = 104
GAP = 6  # clear pixels around a thumbnail, because Streamlit sets images edge to edge


def profile_of(dataset: Dataset) -> Profile:
    """Return the profile, computed once for each content, split and decisions."""
    spec = session.backbone()
    if not spec or not isinstance(spec.input, TextInput):
        spec = next((each for each in BACKBONES.values() if each.ready and isinstance(each.input, TextInput)), None)
    return _profile(dataset, dataset.version, spec.name if spec else "")


@st.cache_data(show_spinner="Looking through your data", max_entries=16)
def _profile(_dataset: Dataset, version: str, tokenizer: str) -> Profile:
    spec = BACKBONES[tokenizer] if tokenizer and _dataset.modality == "text" else None
    if spec and isinstance(spec.input, TextInput):
        try:
            return profile(_dataset, tokenizer_file(spec), spec.input.max_tokens)
        except BackboneError:
            pass
    return profile(_dataset)


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


def measures(found: Profile) -> None:
    """Draw how the sizes of the items spread, with the model's limit where there is one."""
    alike = [spread for spread in found.sizes if spread.minimum == spread.maximum]
    if found.modality == "image" and len(alike) == len(found.sizes) == 2:
        st.caption(f"All pictures have {alike[0].median:,} × {alike[1].median:,} pixels.")
        return
    for spread in found.sizes:
        if spread in alike or (spread.unit == "characters" and len(found.sizes) > 1):
            continue
        limit = found.max_tokens if spread.unit == "tokens" else 0
        _box(spread, limit)


def _box(spread: Quantiles, limit: int) -> None:
    figure = go.Figure(
        go.Box(
            lowerfence=[spread.minimum],
            q1=[spread.low],
            median=[spread.median],
            q3=[spread.high],
            upperfence=[min(spread.maximum, spread.high * 4)],
            y=[""],
            orientation="h",
            width=0.5,
            line={"color": theme.shade(theme.BRAND), "width": 1.6},
            hoverinfo="x",
        )
    )
    if limit:
        figure.add_vline(x=limit, line={"color": theme.shade(theme.MUTED), "dash": "dot"})
        figure.add_annotation(x=limit, y=1.0, yref="paper", yanchor="bottom", text="limit", showarrow=False)
    title = f"{spread.name} ({spread.unit})"
    figure.update_layout(
        height=120, margin={"l": 0, "r": 10, "t": 18, "b": 0}, xaxis={"title": title}, dragmode=False, showlegend=False
    )
    alt = (
        f"{title}: half of the items below {spread.median:,}, nine tenths between {spread.low:,} and {spread.high:,}, "
        f"the largest {spread.maximum:,}."
    )
    st.plotly_chart(figure, key=f"data_box_{spread.name}", config={"displayModeBar": False}, alt=alt)


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


def split_counts(dataset: Dataset) -> pd.DataFrame:
    """Return the number of items by class (rows) and split (columns)."""
    names = np.array(dataset.classes, dtype=object)
    table = pd.crosstab(names[dataset.labels], dataset.splits)
    return table.reindex(index=list(dataset.classes), columns=list(SPLITS), fill_value=0)


def split_colours() -> tuple[str, str, str]:
    """Return the colours of train, validation and test: three steps of one hue, for they mean one thing in parts."""
    return theme.shade(theme.SPLITS)


def shorten(text: str, length: int) -> str:
    """Return text cut to a length, with an ellipsis where something was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"

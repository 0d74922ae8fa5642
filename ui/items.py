"""Items of a data set as a person sees them: pictures in a grid, texts as cards."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st
from PIL import Image

from tl_core.data.dataset import Dataset
from ui.words import tell

THUMB = 220
LETTERS = 320


@st.cache_data(show_spinner=False, max_entries=2000)
def thumbnail(path: str, version: int, side: int = THUMB) -> Image.Image:
    """Return a picture no larger than `side` pixels; `version` is the file's time, so that a new file is read anew."""
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((side, side))
        return small


def show_image(path: Path, alt: str, width: int | str = "stretch") -> None:
    """Show a picture, or say in words that it cannot be shown."""
    try:
        picture = thumbnail(str(path), path.stat().st_mtime_ns)
    except OSError:
        st.caption(f"{tell(path.name)} cannot be shown")
        return
    st.image(picture, width=width, alt=alt)  # type: ignore[arg-type]


def show_items(dataset: Dataset, rows: Sequence[int], captions: Mapping[int, str], key: str) -> None:
    """Show items by their row in the manifest, each with its caption."""
    images = dataset.modality == "image"
    with st.grid("auto", min_column_width=150 if images else 300, gap="small", key=key):
        for row in rows:
            item = dataset.items.iloc[row]
            with st.container(border=True, gap="xsmall"):
                if images:
                    show_image(dataset.folder / str(item["path"]), f"{item['id']}. {captions.get(row, '')}")
                else:
                    text = str(item["text"])
                    st.text(text if len(text) <= LETTERS else text[:LETTERS].rsplit(" ", 1)[0] + " …")
                if captions.get(row):
                    st.caption(captions[row])
                st.caption(tell(str(item["id"]).replace("/", " / ")))

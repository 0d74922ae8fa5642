"""Items of a data set on a page: pictures in a grid, texts as cards, and pictures with their texts."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st
from PIL import Image, ImageOps

from tl_core.data.dataset import Dataset
from tl_core.data.images import open_image
from tl_core.errors import DataError
from ui.words import escape

THUMB = 220
GAP = 6
LETTERS = 320


@st.cache_data(show_spinner=False, max_entries=2000)
def thumbnail(path: str, version: int, side: int = THUMB, square: bool = False) -> bytes:
    """Return a PNG thumbnail, at most `side` pixels wide and high; tiny pictures are enlarged without blurring.

    `square` crops the middle and adds a clear margin, because Streamlit sets images edge to edge. `version` is the
    file's modification time, so that a changed file is read again. Raises DataError if the file is no picture.
    """
    image = open_image(Path(path))
    if max(image.size) < side // 2:
        factor = side // max(image.size)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    if square:
        tile = Image.new("RGBA", (side + 2 * GAP, side + 2 * GAP))
        tile.paste(ImageOps.fit(image, (side, side)), (GAP, GAP))
        image = tile
    else:
        image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def show_image(path: Path, alt: str, width: int | str = "stretch") -> None:
    """Show a picture, or a note that it cannot be shown."""
    try:
        picture = thumbnail(str(path), path.stat().st_mtime_ns)
    except (OSError, DataError):
        st.caption(f"{escape(path.name)} cannot be shown")
        return
    st.image(picture, width=width, alt=alt)  # type: ignore[arg-type]


def show_items(dataset: Dataset, rows: Sequence[int], captions: Mapping[int, str], key: str) -> None:
    """Show the items in these rows of the manifest, each with its caption."""
    images = "image" in dataset.parts
    with st.grid("auto", min_column_width=150 if images else 300, gap="small", key=key):
        for row in rows:
            item = dataset.items.iloc[row]
            with st.container(border=True, gap="xsmall"):
                if images:
                    show_image(dataset.folder / str(item["path"]), f"{item['id']}. {captions.get(row, '')}")
                if "text" in dataset.parts:
                    text = str(item["text"])
                    st.text(text if len(text) <= LETTERS else text[:LETTERS].rsplit(" ", 1)[0] + " …")
                if captions.get(row):
                    st.caption(captions[row])
                st.caption(escape(str(item["id"]).replace("/", " / ")))

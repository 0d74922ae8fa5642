"""The question what the folders of a source mean: each way to read them, with the classes and splits that it gives."""

import streamlit as st

from tl_core.data.options import ImportOptions
from tl_core.data.sources import FolderPreview
from tl_core.data.sources.table_preview import FolderWay
from ui.words import escape, plural, shorten


def draw(preview: FolderPreview, key: str) -> ImportOptions | None:
    """Draw the ways to read the folders; return the options of the chosen one, None before one is chosen."""
    if preview.question:
        st.warning(escape(preview.question), icon=":material/help:")
    chosen = st.radio(
        "What do the folders mean?", range(len(preview.ways)), index=None if preview.question else 0,
        format_func=lambda number: escape(sentence(preview.ways[number])),
        captions=[escape(result(way)) for way in preview.ways], key=f"{key}_folders",
    )  # fmt: skip
    return None if chosen is None else preview.ways[chosen].options


def sentence(way: FolderWay) -> str:
    """Return a way to read folders, as a sentence."""
    return f"{way.title[0].upper()}{way.title[1:]}"


def result(way: FolderWay) -> str:
    """Return the classes, and the items of each split, that a way to read folders gives."""
    named = ", ".join(shorten(name, 30) for name in way.classes) + (", …" if way.n_classes > len(way.classes) else "")
    splits = ", ".join(f"{n:,} {split}" for split, n in way.splits)
    return f"{plural(way.n_classes, 'class', 'classes')}: {named}" + (f". Split: {splits}" if splits else "")

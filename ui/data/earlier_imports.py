"""What was imported earlier: listed a page at a time, opened, and thrown away where nothing needs it."""

import math
import shutil
from pathlib import Path

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.unlabelled import NO_LABEL
from ui import rail, session
from ui.runs import lookup
from ui.words import plural, tell

PAGE = 8
ICONS = {"image": "image", "text": "article"}


def folders() -> list[Path]:
    """Return the folders of every data set, the latest import first."""
    found = [
        f for f in session.workspace().folder("datasets").glob("*/dataset.json") if not f.parent.name.startswith(".")
    ]
    return [file.parent for file in sorted(found, key=lambda file: -file.stat().st_mtime)]


def draw() -> str:
    """Draw a page of the list; return the fingerprint of what is to be opened, "" for none."""
    known = folders()
    if not known:
        st.caption("Nothing yet. What you bring in is kept here, so that you can use it again.")
        return ""
    pages, opened = math.ceil(len(known) / PAGE), ""
    place = st.container(gap="small", key="data_shelf")
    page = st.pagination(pages, key="data_shelf_page") if pages > 1 else 1
    with place:
        for folder in known[(page - 1) * PAGE : page * PAGE]:
            dataset = session.open_dataset(folder.name)
            if dataset and _row(dataset):
                opened = dataset.fingerprint
    return opened


def title(dataset: Dataset) -> str:
    """Return what a data set is: its name, its items and its classes."""
    count = dataset.receipt.taken
    classes = plural(len(dataset.classes), "class", "classes")
    labels = "without labels" if tuple(dataset.classes) == (NO_LABEL,) else f"in {classes}"
    return (
        f":material/{ICONS[dataset.modality]}: **{tell(dataset.name)}** :gray[· {count:,} "
        f"{rail.noun(dataset.modality, count)} {labels}]"
    )


def _row(dataset: Dataset) -> bool:
    name = dataset.fingerprint
    with st.container(horizontal=True, vertical_alignment="center", key=f"data_row_{name}"):
        st.markdown(title(dataset), width="stretch")
        with st.popover("", icon=":material/delete:", type="tertiary", key=f"data_bin_{name}", help="Throw away"):
            _bin(dataset)
        return st.button("Open", key=f"data_open_{name}", type="tertiary")


def _bin(dataset: Dataset) -> None:
    """Offer to throw a data set away, where no project and no run needs it."""
    if users := needed_by(dataset.fingerprint):
        st.write(f"This is needed by {users}, so it stays.")
        return
    st.write("Nothing uses this. Thrown away, it is gone; the files that you brought it from are not touched.")
    if st.button("Throw it away", type="primary", key=f"data_throw_{dataset.fingerprint}"):
        throw_away(dataset.fingerprint)
        st.rerun()


def needed_by(fingerprint: str) -> str:
    """Return which projects and runs name a data set, in words; "" where none does."""
    projects = sum(fingerprint in (each.dataset, each.source, each.target) for each in session.projects())
    tasks = [state.task for state in lookup.store().list()]
    runs = sum(fingerprint in (task.fingerprint, task.source, task.target) for task in tasks)
    named = [plural(count, noun) for count, noun in ((projects, "project"), (runs, "run")) if count]
    return " and ".join(named)


def throw_away(fingerprint: str) -> None:
    """Delete a data set: out of the list at once, whatever happens while its files go."""
    folder = session.workspace().folder("datasets") / Path(fingerprint).name
    gone = folder.with_name(f".{folder.name}.part")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)

"""Data sets imported earlier: a list to open them from, or to delete those that nothing uses."""

import math
import shutil
from pathlib import Path

import streamlit as st

from tl_core.data.dataset import Dataset
from tl_core.data.unlabelled import is_unlabelled
from tl_core.types import noun
from ui import session
from ui.runs import lookup
from ui.words import escape, plural

PAGE = 8
ICONS = {"image": "image", "text": "article", "multimodal": "art_track"}


def folders() -> list[Path]:
    """Return the folders of all data sets, the latest import first."""
    files = [
        file
        for file in session.workspace().folder("datasets").glob("*/dataset.json")
        if not file.parent.name.startswith(".")
    ]
    return [file.parent for file in sorted(files, key=lambda file: -file.stat().st_mtime)]


def draw() -> str:
    """Draw a page of the list; return the fingerprint of the data set to open, "" for none."""
    dataset_folders = folders()
    if not dataset_folders:
        st.caption("Nothing yet. Every data set that you import is kept here.")
        return ""
    pages, opened = math.ceil(len(dataset_folders) / PAGE), ""
    place = st.container(gap="small", key="data_shelf")
    page = st.pagination(pages, key="data_shelf_page") if pages > 1 else 1
    with place:
        for folder in dataset_folders[(page - 1) * PAGE : page * PAGE]:
            dataset = session.open_dataset(folder.name)
            if dataset and _row(dataset):
                opened = dataset.fingerprint
    return opened


def title(dataset: Dataset) -> str:
    """Return the title of a data set in Markdown: its name, its number of items and classes."""
    count = dataset.receipt.taken
    classes = plural(len(dataset.classes), "class", "classes")
    labels = "without labels" if is_unlabelled(dataset) else f"in {classes}"
    return (
        f":material/{ICONS[dataset.modality]}: **{escape(dataset.name)}** :gray[· {count:,} "
        f"{noun(dataset.modality, count)} {labels}]"
    )


def _row(dataset: Dataset) -> bool:
    name = dataset.fingerprint
    with st.container(horizontal=True, vertical_alignment="center", key=f"data_row_{name}"):
        st.markdown(title(dataset), width="stretch")
        with st.popover("", icon=":material/delete:", type="tertiary", key=f"data_bin_{name}", help="Delete"):
            _delete(dataset)
        return st.button("Open", key=f"data_open_{name}", type="tertiary")


def _delete(dataset: Dataset) -> None:
    """Offer to delete a data set, if no project and no run uses it."""
    if users := users_of(dataset.fingerprint):
        st.write(f"This data set is used by {users}, so it cannot be deleted.")
        return
    st.write("Nothing uses this data set. Deleting it removes Graft's copy for good. Your original files stay.")
    if st.button("Delete for good", type="primary", key=f"data_throw_{dataset.fingerprint}"):
        delete(dataset.fingerprint)
        st.rerun()


def users_of(fingerprint: str) -> str:
    """Return how many projects and runs use a data set, in words; "" if none does."""
    projects = sum(fingerprint in (project.dataset, project.source, project.target) for project in session.projects())
    tasks = [state.task for state in lookup.store().list()]
    runs = sum(fingerprint in (task.fingerprint, task.source, task.target) for task in tasks)
    counts = [plural(count, noun) for count, noun in ((projects, "project"), (runs, "run")) if count]
    return " and ".join(counts)


def delete(fingerprint: str) -> None:
    """Delete a data set. It is renamed first, so that it leaves the list even if deleting its files fails."""
    folder = session.workspace().folder("datasets") / Path(fingerprint).name
    hidden = folder.with_name(f".{folder.name}.part")
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)

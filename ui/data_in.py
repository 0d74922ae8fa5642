"""The ways in: a file of one's own, a ready sample, a path on this computer, something imported before."""

from pathlib import Path
from time import monotonic

import pandas as pd
import streamlit as st

from tl_core.data.samples import SAMPLES, Sample
from tl_core.data.sources import ImportOptions, TablePreview, import_data, list_datasets, preview_table
from tl_core.errors import GraftError
from ui import errors, rail, session, uploads
from ui.brand import ASSETS
from ui.words import findings, plural, tell

PENDING = "data_pending"
CHOOSING = "data_choosing"
DELIMITERS = {",": "Comma  ,", ";": "Semicolon  ;", "\t": "Tab", "|": "Bar  |"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]
ICONS = {"image": "image", "text": "article"}
ARRANGE = """
**Pictures**: one folder per class, zipped. `train`, `validation` and `test` folders are used where you have them.
```
flowers.zip
├── daisy/   001.jpg  002.jpg …
└── tulip/   001.jpg  002.jpg …
```
**Texts**: a table with one column of texts and one of labels.
```
text,label
"The parcel never came.",complaint
"Thank you, works well!",praise
```
"""


def ways_in() -> None:
    """Draw every way in; what is chosen is imported, and becomes the project's data set."""
    pending = st.session_state.get(PENDING)
    if pending:
        table_preview(Path(pending))
        return
    left, right = st.columns([3, 2], gap="large", vertical_alignment="top")
    with left:
        st.subheader("Your own", anchor=False)
        path = uploads.uploader("A zip of pictures in folders, or a table of texts (CSV, TSV)", None, "data_upload")
        if path:
            take(path)
        with st.popover("How to arrange your files", icon=":material/help:", type="tertiary", key="data_arrange"):
            st.markdown(ARRANGE)
    with right:
        st.subheader("On this computer", anchor=False)
        with st.form("data_path_form", border=False):
            typed = st.text_input(
                "Folder or file",
                placeholder="/home/me/flowers",
                key="data_path",
                help="A folder with one sub-folder per class, a zip, or a table. Nothing is changed there.",
            )
            if st.form_submit_button("Open", icon=":material/folder_open:", key="data_path_open") and typed.strip():
                take(Path(typed.strip()).expanduser())
    st.subheader("Or start with a sample", anchor=False)
    samples()
    earlier()


def samples() -> None:
    """Draw the ready samples as cards."""
    with st.grid(3, min_column_width=260, gap="medium", key="data_samples"):
        for name, sample in ((name, SAMPLES[name]) for name in SAMPLES):
            with st.container(border=True, height="stretch", vertical_alignment="distribute", key=f"data_card_{name}"):
                with st.container(gap="small"):
                    _glimpse(name, sample)
                if st.button("Use this sample", key=f"data_sample_{name}", width="stretch"):
                    bring(f"sample:{name}", ImportOptions(name=sample.title))


def _glimpse(name: str, sample: Sample) -> None:
    for picture in sorted((ASSETS / "samples").glob(f"{name}.*")):
        st.image(str(picture), width="stretch", alt=f"A glimpse of {sample.title}")
    st.markdown(f"#### {sample.title}")
    st.write(sample.summary)
    st.caption(f"{rail.noun(sample.modality, 2).capitalize()} · {sample.licence} · [source]({sample.source})")


def earlier() -> None:
    """Draw what was imported before."""
    known = list_datasets(session.workspace())
    if not known:
        return
    st.subheader("Imported earlier", anchor=False)
    for dataset in known[:12]:
        with st.container(horizontal=True, vertical_alignment="center", key=f"data_row_{dataset.fingerprint}"):
            count = dataset.receipt.taken
            st.markdown(
                f":material/{ICONS[dataset.modality]}: **{tell(dataset.name)}** :gray[· {count:,} "
                f"{rail.noun(dataset.modality, count)} in {plural(len(dataset.classes), 'class', 'classes')}]",
                width="stretch",
            )
            if st.button("Open", key=f"data_open_{dataset.fingerprint}", type="tertiary"):
                chosen(dataset.fingerprint)


def take(path: Path) -> None:
    """Import a file or folder at once, or show a table first."""
    try:
        table = path.is_file() and preview_table(path) is not None
    except GraftError as error:
        errors.show(error)
        uploads.discard(path, session.workspace())
        return
    if table:
        st.session_state[PENDING] = str(path)
        st.rerun()
    bring(str(path), ImportOptions())


def table_preview(path: Path) -> None:
    """Show how a table was read, let it be corrected, and import it."""
    with st.container(border=True, key="data_preview"):
        st.subheader(f":material/table: {tell(path.name)}", anchor=False)
        options = ImportOptions(
            name=path.stem,
            delimiter=st.session_state.get("data_delimiter") or "",
            encoding=st.session_state.get("data_encoding") or "",
            header=st.session_state.get("data_header"),
        )
        try:
            found = preview_table(path, options, session.workspace().limits)
        except GraftError as error:
            errors.show(error)
            found = None
        if found is None:
            _cancel(path)
            return
        text, label = _corrections(found)
        st.dataframe(pd.DataFrame(list(found.rows), columns=list(found.columns)), hide_index=True, height=260,
                     key="data_rows")  # fmt: skip
        chosen = ImportOptions(path.stem, text, label, found.delimiter, found.encoding, found.header)
        if text and label and (text, label) != (found.text_column, found.label_column):
            found = preview_table(path, chosen, session.workspace().limits) or found
        findings(found.findings)
        with st.container(horizontal=True):
            if st.button("Import", type="primary", disabled=not text or not label or text == label, key="data_import"):
                bring(str(path), chosen)
            _cancel(path)


def _corrections(found: TablePreview) -> tuple[str, str]:
    """Let a person correct how a table was read; return its text and its label column, "" for none."""
    with st.grid(4, min_column_width=170, key="data_columns"):
        text = _column("Texts are in", found, found.text_column, "data_text")
        label = _column("Labels are in", found, found.label_column, "data_label")
        st.selectbox(
            "Columns are parted by",
            DELIMITERS,
            index=list(DELIMITERS).index(found.delimiter),
            format_func=lambda mark: DELIMITERS[mark],
            key="data_delimiter",
        )
        known = list(dict.fromkeys([found.encoding, *ENCODINGS]))
        st.selectbox("Letters are written in", known, key="data_encoding", help="Change it if letters look wrong.")
    st.toggle("The first row names the columns", value=found.header, key="data_header")
    return text, label


def _column(title: str, table: TablePreview, found: str, key: str) -> str:
    """Ask for a column; none is chosen where none was found."""
    place = table.columns.index(found) if found else None
    return st.selectbox(title, table.columns, index=place, placeholder="Choose a column", key=key) or ""


def bring(source: str, options: ImportOptions) -> None:
    """Import a source under a progress bar, and go on with it; a mistake is told, and nothing is left behind."""
    with st.status("Reading your data", expanded=True) as status:
        bar, last = st.progress(0.0, text="Starting"), 0.0

        def progress(stage: str, done: int, total: int) -> None:
            nonlocal last
            if monotonic() - last > 0.1 or done >= total:
                last = monotonic()
                bar.progress(min(1.0, done / max(1, total)), text=f"{stage}: {done:,} of {total:,}")

        try:
            dataset = import_data(source, session.workspace(), options, progress)
        except GraftError as error:
            status.update(label="That could not be read", state="error")
            bar.empty()
            errors.show(error)
            return
        status.update(label="Done", state="complete")
    uploads.discard(Path(source), session.workspace())
    chosen(dataset.fingerprint)


def chosen(fingerprint: str) -> None:
    """Make a data set the project's, and show it."""
    dataset = session.open_dataset(fingerprint)
    if dataset:
        session.choose_dataset(dataset)
    for key in (PENDING, CHOOSING):
        st.session_state.pop(key, None)
    st.rerun()


def _cancel(path: Path) -> None:
    if st.button("Cancel", key="data_cancel"):
        uploads.discard(path, session.workspace())
        st.session_state.pop(PENDING, None)
        st.rerun()

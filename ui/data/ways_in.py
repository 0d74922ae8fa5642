"""The ways in: one drop zone first; a path, the Hub, a sample or an earlier import beside it."""

from pathlib import Path

import streamlit as st

from tl_core import import_jobs
from tl_core.data.options import ImportOptions
from tl_core.data.samples import SAMPLES, Sample
from tl_core.data.sources.hub_source import HUB_PREFIX, is_hub
from tl_core.import_jobs import ImportJob
from ui import rail, session, uploads
from ui.brand import ASSETS
from ui.data import earlier_imports, import_progress

CHOOSING = "data_choosing"
ARRANGE = """
**Pictures**: one folder per class, zipped or as it is. `train`, `validation` and `test` folders are used where you
have them.
```
flowers
├── daisy/   001.jpg  002.jpg …
└── tulip/   001.jpg  002.jpg …
```
**Texts**: a table with one column of texts and one of labels.
```
text,label
"The parcel never came.",complaint
"Thank you, works well!",praise
```
**Pictures that a table lists**: a folder with the pictures and a table that says the file and the label of each.
"""


def ways_in() -> None:
    """Draw every way in; what is chosen is imported, and becomes the project's data set."""
    found = import_progress.pending()
    if found and found.state.status == "done":
        _taken(found)
    if found:
        import_progress.draw(found, "data")
        if found.state.status != "failed":
            return
    path = uploads.drop("Drop pictures in folders, a zip or a table here", "data_upload")
    if path:
        import_progress.start(str(path))
    with st.popover("How to arrange your files", icon=":material/help:", type="tertiary", key="data_arrange"):
        st.markdown(ARRANGE)
    names = ["Start with a sample", "A path on this computer", "From the Hugging Face Hub", "Imported earlier"]
    ready, here, hub, earlier = st.tabs(names, key="data_ways")
    with ready:
        samples()
    with here:
        path_on_this_computer()
    with hub:
        from_the_hub()
    with earlier:
        opened = earlier_imports.draw()
        if opened:
            chosen(opened)


def path_on_this_computer() -> None:
    """Ask for a folder or a file that the server can read: nothing has to travel, however large it is."""
    with st.form("data_path_form", border=False):
        typed = st.text_input(
            "Folder or file",
            placeholder="/home/me/flowers",
            key="data_path",
            help="A folder with one sub-folder per class, a zip, or a table. Nothing is changed there.",
        )
        if st.form_submit_button("Open", icon=":material/folder_open:", key="data_path_open") and typed.strip():
            import_progress.start(str(Path(typed.strip().strip("'\"")).expanduser()))


def from_the_hub() -> None:
    """Ask for a data set of the Hub, which is downloaded."""
    st.write(
        "Public data sets lie on huggingface.co. This one way needs the internet: it downloads the data set to this "
        "computer. Nothing of yours is sent, and no program that comes with it is run."
    )
    with st.form("data_hub_form", border=False):
        left, right = st.columns([2, 1])
        name = left.text_input("Name or address", placeholder="owner/name", key="data_hub").strip()
        part = right.text_input(
            "Configuration", placeholder="the usual one", key="data_hub_part",
            help="Some data sets come in several forms; leave this empty for the usual one.",
        ).strip()  # fmt: skip
        if st.form_submit_button("Download", icon=":material/download:", key="data_hub_open") and name:
            address = is_hub(name)
            import_progress.start(name if address else f"{HUB_PREFIX}{name}:{part}" if part else HUB_PREFIX + name)


def samples() -> None:
    """Draw the ready samples as cards."""
    with st.grid(3, min_column_width=260, gap="medium", key="data_samples"):
        for name, sample in ((name, SAMPLES[name]) for name in SAMPLES):
            with st.container(border=True, height="stretch", vertical_alignment="distribute", key=f"data_card_{name}"):
                with st.container(gap="small"):
                    _glimpse(name, sample)
                if st.button("Use this sample", key=f"data_sample_{name}", width="stretch"):
                    import_progress.start(f"sample:{name}", ImportOptions(name=sample.title))


def _glimpse(name: str, sample: Sample) -> None:
    for picture in sorted((ASSETS / "samples").glob(f"{name}.*")):
        st.image(str(picture), width="stretch", alt=f"A glimpse of {sample.title}")
    st.markdown(f"#### {sample.title}")
    st.write(sample.summary)
    st.caption(f"{rail.noun(sample.modality, 2).capitalize()} · {sample.licence} · [source]({sample.source})")


def _taken(found: ImportJob) -> None:
    """Go on with what was imported: whichever page sees it first puts the import away."""
    import_jobs.cancel_import(session.workspace(), found.id)
    chosen(found.state.fingerprint)


def chosen(fingerprint: str) -> None:
    """Make a data set the project's, and show it."""
    dataset = session.open_dataset(fingerprint)
    if dataset:
        session.choose_dataset(dataset)
    st.session_state.pop(CHOOSING, None)
    st.rerun()

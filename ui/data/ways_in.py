"""The ways to bring data in: the drop zone, a sample, a path, the Hub, an earlier import."""

from pathlib import Path

import streamlit as st

from tl_core import import_jobs
from tl_core.data.options import ImportOptions
from tl_core.data.samples import SAMPLES, Sample
from tl_core.data.sources.hub_source import HUB_PREFIX, is_hub
from tl_core.import_jobs import ImportJob
from tl_core.types import noun
from ui import session, uploads
from ui.brand import ASSETS
from ui.data import earlier_imports, import_progress

CHOOSING = "data_choosing"
ARRANGE = """
**Pictures**: one folder per class, zipped or not. Folders named `train`, `validation` and `test` are used as the split,
outside or inside these.
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
**Pictures listed in a table**: a folder with the pictures, and a table with the file name and the label of each.
"""


def ways_in() -> None:
    """Draw all ways to bring data in. What is chosen is imported and becomes the project's data set."""
    incoming = import_progress.pending()
    if incoming and incoming.state.status == "done":
        _use_import(incoming)
    if incoming:
        import_progress.draw(incoming, "data")
        if incoming.state.status != "failed":
            return
    path = uploads.drop("Drop pictures in folders, a zip or a table here", "data_upload")
    if path:
        import_progress.start(str(path))
    with st.popover("How to arrange your files", icon=":material/help:", type="tertiary", key="data_arrange"):
        st.markdown(ARRANGE)
    titles = ["Start with a sample", "A path on this computer", "From the Hugging Face Hub", "Imported earlier"]
    sample_tab, path_tab, hub_tab, earlier_tab = st.tabs(titles, key="data_ways")
    with sample_tab:
        samples()
    with path_tab:
        path_on_this_computer()
    with hub_tab:
        from_the_hub()
    with earlier_tab:
        opened = earlier_imports.draw()
        if opened:
            use(opened)


def path_on_this_computer() -> None:
    """Ask for a folder or file that the server can read. Nothing is uploaded, so it may be large."""
    with st.form("data_path_form", border=False):
        typed = st.text_input(
            "Folder or file",
            placeholder="/home/me/flowers",
            key="data_path",
            help="A folder with one sub-folder per class, a zip archive, or a table. The files stay unchanged.",
        )
        if st.form_submit_button("Open", icon=":material/folder_open:", key="data_path_open") and typed.strip():
            import_progress.start(str(Path(typed.strip().strip("'\"")).expanduser()))


def from_the_hub() -> None:
    """Ask for a data set on the Hugging Face Hub, which is then downloaded."""
    st.write(
        "Thousands of public data sets are on huggingface.co. This needs the internet: the data set is downloaded to "
        "this computer. Nothing of yours is sent, and no code from the data set is run."
    )
    with st.form("data_hub_form", border=False):
        left, right = st.columns([2, 1])
        name = left.text_input("Name or address", placeholder="owner/name", key="data_hub").strip()
        configuration = right.text_input(
            "Configuration", placeholder="default", key="data_hub_part",
            help="Some data sets have several configurations. Leave this empty for the default one.",
        ).strip()  # fmt: skip
        if st.form_submit_button("Download", icon=":material/download:", key="data_hub_open") and name:
            is_address = is_hub(name)
            import_progress.start(
                name if is_address else f"{HUB_PREFIX}{name}:{configuration}" if configuration else HUB_PREFIX + name
            )


def samples() -> None:
    """Draw the samples as cards."""
    with st.grid(3, min_column_width=260, gap="medium", key="data_samples"):
        for name in SAMPLES:
            sample = SAMPLES[name]
            with st.container(border=True, height="stretch", vertical_alignment="distribute", key=f"data_card_{name}"):
                with st.container(gap="small"):
                    _sample_card(name, sample)
                if st.button("Use this sample", key=f"data_sample_{name}", width="stretch"):
                    import_progress.start(f"sample:{name}", ImportOptions(name=sample.title))


def _sample_card(name: str, sample: Sample) -> None:
    for picture in sorted((ASSETS / "samples").glob(f"{name}.*")):
        st.image(str(picture), width="stretch", alt=f"Examples from {sample.title}")
    st.markdown(f"#### {sample.title}")
    st.write(sample.summary)
    st.caption(f"{noun(sample.modality, 2).capitalize()} · {sample.licence} · [source]({sample.source})")


def _use_import(incoming: ImportJob) -> None:
    """Use the imported data set; the page that sees the finished import first removes it from the list."""
    import_jobs.cancel_import(session.workspace(), incoming.id)
    use(incoming.state.fingerprint)


def use(fingerprint: str) -> None:
    """Make a data set the one of the project, and show it."""
    dataset = session.open_dataset(fingerprint)
    if dataset:
        session.choose_dataset(dataset)
    st.session_state.pop(CHOOSING, None)
    st.rerun()

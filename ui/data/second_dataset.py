"""A second data set for the project, unlabelled (target) or labelled (source): import, choose or remove it."""

from pathlib import Path

import streamlit as st

from tl_core import import_jobs
from tl_core.data.dataset import Dataset
from tl_core.import_jobs import ImportJob, Role
from tl_core.types import noun
from ui import extra_data, session, uploads
from ui.data import earlier_imports, import_progress

ROLES: dict[Role, str] = {"target": "New items to adapt to (target)", "source": "Items not to forget (source)"}
DESCRIPTIONS: dict[Role, str] = {
    "target": "{items} like those that the model will meet later. They need no labels; labels are ignored.",
    "source": "{items} with their own labels, which the backbone can recognise already and should not forget.",
}


def draw(dataset: Dataset) -> None:
    """Draw the section, unfolded if it is in use."""
    imports = {role: incoming for role in ROLES if (incoming := import_progress.pending(role))}
    project = session.current()
    used = bool(imports or project.target or project.source)
    with st.expander("A second data set", icon=":material/library_add:", expanded=used,
                     key="data_second"):  # fmt: skip
        st.write("Most projects need none. Some strategies and penalties use one; the Plan page says which.")
        role = st.segmented_control(
            "What is it for?", list(ROLES), default=next(iter(imports), "source" if project.source else "target"),
            format_func=lambda role: ROLES[role], required=True, key="data_second_role",
        )  # fmt: skip
        st.caption(DESCRIPTIONS[role].format(items=noun(dataset.modality, 2).capitalize()))
        if incoming := imports.get(role):
            _import(incoming, role, dataset)
            if incoming.state.status in ("working", "asking"):
                return
        other = session.open_dataset(getattr(project, role))
        if other:
            _chosen(other, role)
        else:
            _ways_in(role, dataset)


def _import(incoming: ImportJob, role: Role, dataset: Dataset) -> None:
    """Draw an import in progress; use one that is done, if it fits the first data set."""
    if incoming.state.status != "done":
        import_progress.draw(incoming, f"second_{role}")
        return
    other = session.open_dataset(incoming.state.fingerprint)
    import_jobs.cancel_import(session.workspace(), incoming.id)
    if other and other.fingerprint in (candidate.fingerprint for candidate in extra_data.datasets(dataset, role)):
        session.update(**{role: other.fingerprint})
        st.rerun()
    if other and other.modality == dataset.modality and other.multilabel and role == "source":
        st.error("This is multi-label data, which cannot be used as a source.", icon=":material/error:")
        return
    problem = "This is the same as your first data set." if other and other.modality == dataset.modality else (
        f"There are no {noun(dataset.modality, 2)} in it. A second data set must have the same kind of items."
    )  # fmt: skip
    st.error(problem, icon=":material/error:")


def _chosen(other: Dataset, role: Role) -> None:
    """Draw the chosen data set, with a button to remove it."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"second_{role}_row"):
        st.markdown(earlier_imports.title(other), width="stretch")
        if st.button("Remove", icon=":material/close:", type="tertiary", key=f"second_{role}_remove"):
            session.update(**{role: ""})
            st.rerun()


def _ways_in(role: Role, dataset: Dataset) -> None:
    """Offer a drop zone, a path, and the data sets imported earlier."""
    path = uploads.drop("Drop a folder, a zip or a table here", f"second_{role}", small=True)
    if path:
        import_progress.start(str(path), role=role, modality=dataset.modality)
    names = {other.fingerprint: other.name for other in extra_data.datasets(dataset, role)}
    left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
    with left, st.form(f"second_{role}_form", border=False):
        typed = st.text_input("Or a path on this computer", key=f"second_{role}_path")
        if st.form_submit_button("Open", icon=":material/folder_open:", key=f"second_{role}_open") and typed.strip():
            import_progress.start(
                str(Path(typed.strip().strip("'\"")).expanduser()), role=role, modality=dataset.modality
            )
    with right:
        chosen = st.selectbox(
            "Or one imported earlier", list(names), index=None, format_func=lambda name: names.get(name, ""),
            placeholder="Choose one" if names else "There is none yet", disabled=not names,
            key=f"second_{role}_known",
        )  # fmt: skip
        if chosen:
            session.update(**{role: chosen})
            st.rerun()

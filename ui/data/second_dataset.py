"""A second data set beside the first: unlabelled items or labelled ones, brought in here, listed, chosen, removed."""

from pathlib import Path

import streamlit as st

from tl_core import import_jobs
from tl_core.data.dataset import Dataset
from tl_core.import_jobs import ImportJob, Role
from ui import extra_data, rail, session, uploads
from ui.data import earlier_imports, import_progress

ROLES: dict[Role, str] = {"target": "More of what the model will meet", "source": "What it should not forget"}
WHAT: dict[Role, str] = {
    "target": "{items} like those that the model will meet later. They need no labels, and labels are not read.",
    "source": "{items} with labels of their own, which the backbone knows and should go on knowing.",
}


def draw(dataset: Dataset) -> None:
    """Draw the section, unfolded where there is something in it."""
    coming = {role: found for role in ROLES if (found := import_progress.pending(role))}
    now = session.current()
    used = bool(coming or now.target or now.source)
    with st.expander("A second data set beside this one", icon=":material/library_add:", expanded=used,
                     key="data_beside"):  # fmt: skip
        st.write("Most projects need none. It is for strategies and guards that the Plan page names.")
        role = st.segmented_control(
            "What is it?", list(ROLES), default=next(iter(coming), "source" if now.source else "target"),
            format_func=lambda each: ROLES[each], required=True, key="data_beside_role",
        )  # fmt: skip
        st.caption(WHAT[role].format(items=rail.noun(dataset.modality, 2).capitalize()))
        if found := coming.get(role):
            _coming(found, role, dataset)
            if found.state.status in ("working", "asking"):
                return
        other = session.open_dataset(getattr(now, role))
        if other:
            _there(other, role)
        else:
            _ways_in(role, dataset)


def _coming(found: ImportJob, role: Role, dataset: Dataset) -> None:
    """Draw an import on its way; one that is done is taken where it fits."""
    if found.state.status != "done":
        import_progress.draw(found, f"beside_{role}")
        return
    other = session.open_dataset(found.state.fingerprint)
    import_jobs.cancel_import(session.workspace(), found.id)
    if other and other.fingerprint in (each.fingerprint for each in extra_data.datasets(dataset, role)):
        session.update(**{role: other.fingerprint})
        st.rerun()
    if other and other.modality == dataset.modality and other.multilabel and role == "source":
        st.error("Its items may have several labels each, which cannot be learned from here.", icon=":material/error:")
        return
    wrong = "This is the data set that you have already." if other and other.modality == dataset.modality else (
        f"There are no {rail.noun(dataset.modality, 2)} in this, and only those can stand beside your data."
    )  # fmt: skip
    st.error(wrong, icon=":material/error:")


def _there(other: Dataset, role: Role) -> None:
    """Draw what is chosen, and let it go."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"beside_{role}_row"):
        st.markdown(earlier_imports.title(other), width="stretch")
        if st.button("Remove", icon=":material/close:", type="tertiary", key=f"beside_{role}_remove"):
            session.update(**{role: ""})
            st.rerun()


def _ways_in(role: Role, dataset: Dataset) -> None:
    """Offer a drop zone, a path, and what is there already."""
    path = uploads.drop("Drop a folder, a zip or a table here", f"beside_{role}", small=True)
    if path:
        import_progress.start(str(path), role=role, modality=dataset.modality)
    known = {each.fingerprint: each.name for each in extra_data.datasets(dataset, role)}
    left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
    with left, st.form(f"beside_{role}_form", border=False):
        typed = st.text_input("Or a path on this computer", key=f"beside_{role}_path")
        if st.form_submit_button("Open", icon=":material/folder_open:", key=f"beside_{role}_open") and typed.strip():
            import_progress.start(
                str(Path(typed.strip().strip("'\"")).expanduser()), role=role, modality=dataset.modality
            )
    with right:
        picked = st.selectbox(
            "Or one that was imported earlier", list(known), index=None, format_func=lambda each: known.get(each, ""),
            placeholder="Choose one" if known else "There is no other yet", disabled=not known,
            key=f"beside_{role}_known",
        )  # fmt: skip
        if picked:
            session.update(**{role: picked})
            st.rerun()

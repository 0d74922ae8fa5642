"""The project of a tab: everything chosen so far, as one typed value. It is a draft on disk, and the URL names it.

Memory only mirrors the disk. After a reload, in another tab or on a restarted server, the work continues where it was.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from tl_core.backbones import catalogue
from tl_core.backbones.spec import BackboneSpec
from tl_core.data import decision_log
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError, UsageError
from tl_core.plan import TransferPlan
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

KEY = "graft"


@dataclass(frozen=True)
class Session:
    """A project: each field is the result of one step, empty until it is chosen.

    `domain` says how similar the data are to the backbone's training data, if the person chose an answer; "" means as
    measured. `edited` is true if the plan was changed by hand and no longer follows from strategy and options.
    `source` and `target` are fingerprints of second data sets, `teacher` is the id of a finished run: extra data that
    some plans use.
    """

    project: str
    dataset: str = ""
    backbone: str = ""
    domain: Literal["", "similar", "different"] = ""
    strategy: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    plan: TransferPlan | None = None
    edited: bool = False
    run: str = ""
    source: str = ""
    target: str = ""
    teacher: str = ""


def workspace() -> Workspace:
    """Return the workspace of this server."""
    return Workspace.default()


def current() -> Session:
    """Return the project of this tab: from the URL, else this session, else the newest draft, else a new one."""
    project = st.query_params.get("project", "") or st.session_state.get(KEY, "")
    session = _read(project) or _newest() or Session(project=uuid.uuid4().hex[:8])
    st.session_state[KEY] = session.project
    return session


def update(**changes: Any) -> Session:
    """Change fields of the project, save the draft, and return it."""
    session = replace(current(), **changes)
    write_json(_path(session.project), dump(session))
    write_url(session)
    return session


def choose_dataset(dataset: Dataset) -> Session:
    """Choose a data set. Backbone and plan are kept if the modality is the same, else they are cleared."""
    session = current()
    if session.dataset == dataset.fingerprint:
        return session
    no_extra_data = {"source": "", "target": "", "teacher": ""}
    spec = find_backbone(session.backbone)
    if spec and spec.modality == dataset.modality:
        return update(dataset=dataset.fingerprint, domain="", run="", **no_extra_data)
    no_plan: dict[str, Any] = {"backbone": "", "strategy": "", "options": {}, "plan": None, "edited": False}
    return update(dataset=dataset.fingerprint, domain="", run="", **no_extra_data, **no_plan)


def choose_backbone(name: str) -> Session:
    """Choose a backbone. A plan names layer groups of its backbone, so another backbone clears the plan."""
    if current().backbone == name:
        return current()
    return update(backbone=name, domain="", strategy="", options={}, plan=None, edited=False)


def start_over() -> Session:
    """Start a new, empty project; the old one keeps its draft."""
    session = Session(project=uuid.uuid4().hex[:8])
    write_json(_path(session.project), dump(session))
    _enter(session)
    return session


def projects() -> list[Session]:
    """Return the projects that have data, the most recently changed first."""
    drafts = sorted(workspace().folder("projects").glob("*.json"), key=lambda path: -path.stat().st_mtime)
    return [session for path in drafts if (session := _read(path.stem)) and session.dataset]


def open_project(project: str) -> None:
    """Open another project in this tab; nothing happens if it does not exist."""
    if session := _read(project):
        _enter(session)


def write_url(session: Session) -> None:
    """Write project and run into the URL, so that the page can be reloaded and shared."""
    for key, value in query(session).items():
        if st.query_params.get(key) != value:
            st.query_params[key] = value
    if not session.run and "run" in st.query_params:
        del st.query_params["run"]


def query(session: Session) -> dict[str, str]:
    """Return the query parameters that a link to another page must keep."""
    return {"project": session.project} | ({"run": session.run} if session.run else {})


def dataset() -> Dataset | None:
    """Return the chosen data set; None if none is chosen or its folder is gone."""
    return open_dataset(current().dataset)


def open_dataset(fingerprint: str) -> Dataset | None:
    """Return the data set with this fingerprint; None if the workspace does not have it, or it is damaged."""
    folder = workspace().root / "datasets" / fingerprint
    if not re.fullmatch(r"\w+", fingerprint) or not (folder / "dataset.json").is_file():
        return None
    log = folder / decision_log.LOG
    version = (folder / "dataset.json").stat().st_mtime_ns
    try:
        if log.exists():
            return _with_decisions(str(folder), version, log.stat().st_size)
        return _open(str(folder), version)
    except DataError:
        return None


def backbone() -> BackboneSpec | None:
    """Return the chosen backbone; None if none is chosen, or it was deleted."""
    spec = find_backbone(current().backbone)
    return spec if spec and spec.ready else None


def find_backbone(name: str) -> BackboneSpec | None:
    """Return a backbone by its full name; None if there is none, or it was deleted."""
    try:
        return catalogue.find_backbone(name, workspace()) if name else None
    except UsageError:
        return None


def backbone_title(name: str) -> str:
    """Return the title of a backbone; what its name says about one that was deleted."""
    spec = find_backbone(name) or catalogue.leaf_called(name)
    return spec.title if spec else catalogue.short_name(name)


@st.cache_resource(show_spinner=False, max_entries=3)  # a million texts take 0.8 GB
def _open(folder: str, version: int) -> Dataset:
    return Dataset.open(Path(folder))


@st.cache_resource(show_spinner=False, max_entries=3)
def _with_decisions(folder: str, version: int, log_size: int) -> Dataset:
    return _open(folder, version).with_current_decisions()


def _enter(session: Session) -> None:
    st.session_state[KEY] = session.project
    st.query_params.clear()
    write_url(session)


def _path(project: str) -> Path:
    return workspace().folder("projects") / f"{project}.json"


def _read(project: str) -> Session | None:
    if not re.fullmatch(r"[0-9a-f]{8}", project) or not _path(project).is_file():
        return None
    try:
        return load(Session, read_json(_path(project)))
    except ValueError:
        return None


def _newest() -> Session | None:
    drafts = sorted(workspace().folder("projects").glob("*.json"), key=lambda path: path.stat().st_mtime)
    return _read(drafts[-1].stem) if drafts else None

"""What a person has chosen so far: one typed value, kept as a draft on disk, named in the URL.

Memory only mirrors the disk, so a reload, another tab or a restarted server goes on where the work stopped.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from pydantic import ValidationError

from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data import decision_log
from tl_core.data.dataset import Dataset
from tl_core.plan import TransferPlan
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

KEY = "graft"


@dataclass(frozen=True)
class Session:
    """A project: each field is the noun of one step, empty until it is chosen.

    `domain` is what the person says about the data's likeness to the backbone's source, where they say it;
    `edited` is true where the plan was changed by hand and no longer follows from strategy and options. `source` and
    `target` name second data sets and `teacher` a finished run, for what makes use of them.
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
    """Return the one workspace of this server."""
    return Workspace.default()


def current() -> Session:
    """Return the project of this tab: of the URL, else of this session, else the newest draft, else a new one."""
    wanted = st.query_params.get("project", "") or st.session_state.get(KEY, "")
    session = _read(wanted) or _newest() or Session(project=uuid.uuid4().hex[:8])
    st.session_state[KEY] = session.project
    return session


def update(**changes: Any) -> Session:
    """Change the project, write the draft, and return it."""
    session = replace(current(), **changes)
    write_json(_path(session.project), dump(session))
    address(session)
    return session


def choose_dataset(dataset: Dataset) -> Session:
    """Take a data set; what was planned stays where it still fits (same modality), and goes where it cannot."""
    session = current()
    if session.dataset == dataset.fingerprint:
        return session
    alone = {"source": "", "target": "", "teacher": ""}
    fits = session.backbone in BACKBONES and BACKBONES[session.backbone].modality == dataset.modality
    if fits:
        return update(dataset=dataset.fingerprint, domain="", run="", **alone)
    gone: dict[str, Any] = {"backbone": "", "strategy": "", "options": {}, "plan": None, "edited": False}
    return update(dataset=dataset.fingerprint, domain="", run="", **alone, **gone)


def choose_backbone(name: str) -> Session:
    """Take a backbone; a plan names its layer groups, so another backbone starts another plan."""
    if current().backbone == name:
        return current()
    return update(backbone=name, domain="", strategy="", options={}, plan=None, edited=False)


def start_over() -> Session:
    """Begin a new, empty project; the old one keeps its draft."""
    session = Session(project=uuid.uuid4().hex[:8])
    write_json(_path(session.project), dump(session))
    _enter(session)
    return session


def projects() -> list[Session]:
    """Return the projects that have data, the last changed first."""
    drafts = sorted(workspace().folder("projects").glob("*.json"), key=lambda path: -path.stat().st_mtime)
    return [session for path in drafts if (session := _read(path.stem)) and session.dataset]


def open_project(project: str) -> None:
    """Make another project the one of this tab, where there is such."""
    if session := _read(project):
        _enter(session)


def address(session: Session) -> None:
    """Write project and run into the URL, so that it can be reloaded and shared."""
    wanted = {"project": session.project} | ({"run": session.run} if session.run else {})
    for key, value in wanted.items():
        if st.query_params.get(key) != value:
            st.query_params[key] = value
    if not session.run and "run" in st.query_params:
        del st.query_params["run"]


def query(session: Session) -> dict[str, str]:
    """Return the query parameters that a link to another page must keep."""
    return {"project": session.project} | ({"run": session.run} if session.run else {})


def dataset() -> Dataset | None:
    """Return the chosen data set, None where there is none or its folder is gone."""
    return open_dataset(current().dataset)


def open_dataset(fingerprint: str) -> Dataset | None:
    """Return a data set of the workspace by its fingerprint, None where there is no such."""
    folder = workspace().root / "datasets" / fingerprint
    if not re.fullmatch(r"\w+", fingerprint) or not (folder / "dataset.json").is_file():
        return None
    log = folder / decision_log.LOG
    version = (folder / "dataset.json").stat().st_mtime_ns
    return _decided(str(folder), version, log.stat().st_size) if log.exists() else _open(str(folder), version)


def backbone() -> BackboneSpec | None:
    """Return the chosen backbone, None where there is none."""
    chosen = current().backbone
    return next((spec for spec in BACKBONES.values() if spec.name == chosen), None)


@st.cache_resource(show_spinner=False, max_entries=3)  # a million texts take 0.8 GB
def _open(folder: str, version: int) -> Dataset:
    return Dataset.open(Path(folder))


@st.cache_resource(show_spinner=False, max_entries=3)
def _decided(folder: str, version: int, decided: int) -> Dataset:
    return _open(folder, version).with_current_decisions()


def _enter(session: Session) -> None:
    st.session_state[KEY] = session.project
    st.query_params.clear()
    address(session)


def _path(project: str) -> Path:
    return workspace().folder("projects") / f"{project}.json"


def _read(project: str) -> Session | None:
    if not re.fullmatch(r"[0-9a-f]{8}", project) or not _path(project).is_file():
        return None
    try:
        return load(Session, read_json(_path(project)))
    except (ValidationError, ValueError):
        return None


def _newest() -> Session | None:
    drafts = sorted(workspace().folder("projects").glob("*.json"), key=lambda path: path.stat().st_mtime)
    return _read(drafts[-1].stem) if drafts else None

"""The models of the tree: the registered ones, a person's own, and those that are being brought."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tl_core import fetch_jobs
from tl_core.backbones import catalogue, fetched
from tl_core.backbones.acquire import TEXT
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.fetch_jobs import FetchJob
from tl_core.types import Modality
from tl_core.workspace import Workspace
from ui import session

State = Literal["ready", "coming", "paused", "away", "file", "add"]
WORDS: dict[State, str] = {
    "ready": "ready on this computer",
    "coming": "on its way",
    "paused": "begun, not finished",
    "away": "one press away",
    "file": "needs a file from its makers",
    "add": "add another network",
}
"""The states of a model, in the order of the legend."""
ADD = "add"
"""The id of the leaf that adds a network of one's own choice."""
JOB = "fetch:"
"""How the id of what is being brought begins, where it is no registered backbone."""


@dataclass(frozen=True)
class Entry:
    """A model of the tree: its id there, its backbone if it is known, its fetch if there is one.

    `here` are bytes of an unfinished download.
    """

    id: str
    spec: BackboneSpec | None = None
    job: FetchJob | None = None
    here: int = 0

    @property
    def state(self) -> State:
        """What it takes to use the model."""
        if self.spec and self.spec.ready:
            return "ready"
        if self.job and self.job.active:
            return "coming"
        if self.spec is None and self.job and self.job.state.status == "asking":
            return "away"
        if self.here or self.spec is None:
            return "paused"
        return "away" if self.spec.weights.name else "file"

    @property
    def modality(self) -> Modality | None:
        """What the model reads; None while nothing says it."""
        if self.spec:
            return self.spec.modality
        return "image" if self.job and self.job.request.what.partition(":")[0] in catalogue.LIBRARIES else None

    @property
    def title(self) -> str:
        """The title of the model."""
        if self.spec:
            return self.spec.title
        what = self.job.request.what if self.job else ""
        return what.rpartition("/")[2] if what.startswith("/") else catalogue.short_name(what)

    @property
    def share(self) -> float:
        """How much of its download is here, in [0, 1]."""
        state = self.job.state if self.job else None
        total = (state.total if state else 0) or (self.spec.weights.bytes if self.spec else 0)
        done = max(self.here, state.done if state else 0)
        return min(1.0, done / total) if total else 0.0


def leaves() -> tuple[Entry, ...]:
    """Return the registered backbones, in the order of the tree; a fetched one stands in for its leaf."""
    workspace = session.workspace()
    here = fetched.unfinished(workspace)
    added: dict[str, BackboneSpec] = {}
    for spec in catalogue.registered(workspace):  # the latest first
        added.setdefault(catalogue.unpinned(spec.name), spec)
    entries = []
    for leaf in BACKBONES.values():
        spec = leaf if leaf.ready else added.get(catalogue.fetched_name(leaf), leaf)
        job = None if spec.ready else _job(workspace, leaf)
        entries.append(Entry(leaf.name, spec, job, 0 if spec.ready else _here(here, leaf)))
    return tuple(entries)


def own(known: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return what a person has added beside the `known` leaves, and what is being brought."""
    workspace = session.workspace()
    taken = {entry.spec.name for entry in known if entry.spec}
    added = [Entry(spec.name, spec) for spec in catalogue.registered(workspace) if spec.name not in taken]
    jobs = [job for job in fetch_jobs.fetches(workspace) if job.request.what not in BACKBONES]
    return (*(Entry(f"{JOB}{job.id}", job=job) for job in jobs if job.state.status != "done"), *added)


def find(known: Iterable[Entry], name: str) -> Entry | None:
    """Return the model with this id, or whose backbone has this name."""
    entries = tuple(known)
    by_id = next((entry for entry in entries if entry.id == name), None)
    return by_id or next((entry for entry in entries if entry.spec and entry.spec.name == name), None)


def _job(workspace: Workspace, leaf: BackboneSpec) -> FetchJob | None:
    """Return the fetch of a leaf, or that of its other part, which comes with it."""
    if job := fetch_jobs.fetch_of(workspace, leaf.name):
        return job
    name = leaf.name.removesuffix(TEXT) if leaf.name.endswith(TEXT) else leaf.name + TEXT
    job = fetch_jobs.fetch_of(workspace, name)
    return job if job and job.active else None


def _here(unfinished: dict[str, int], leaf: BackboneSpec) -> int:
    """Return the bytes that have arrived of a leaf, of whichever version there are most of."""
    sizes = [size for name, size in unfinished.items() if name.partition("@")[0] == f"hub:{leaf.weights.name}"]
    return max(sizes, default=0)

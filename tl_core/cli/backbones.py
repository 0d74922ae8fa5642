"""`backbones`: list the backbones, packaged, fetched and those that can be fetched."""

import argparse

from tl_core.backbones.acquire import remove
from tl_core.backbones.catalogue import registered
from tl_core.backbones.fetched import fetched, unfinished
from tl_core.backbones.hub.faults import readable_size
from tl_core.backbones.pair import JOIN
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.cli.console import Console
from tl_core.errors import UsageError
from tl_core.runs.store import RunStore
from tl_core.workspace import Workspace

LEGEND = (
    "ready: can be used now. download: `python -m tl_core fetch NAME` brings it. "
    "file: get it from its authors, and `python -m tl_core fetch FILE --as NAME`. "
    "no: it cannot be used."
)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print every backbone, or remove a fetched one."""
    workspace = Workspace.default()
    if arguments.delete:
        name = _pinned(arguments.delete, workspace)
        if busy := _runs_with(name, workspace):
            raise UsageError(f"{name} is being used by the run {busy[0]}.", "Let it end, or stop it first.")
        remove(workspace, name)
        console.line(f"{name} is deleted.")
        return 0
    specs = (*registered(workspace), *BACKBONES.values())
    if arguments.json:
        console.json([_described(spec) for spec in specs])
        return 0
    rows = [
        (
            spec.name,
            ", ".join(spec.place),
            _state(spec),
            f"{spec.parameters / 1e6:,.1f} M" if spec.parameters else "",
            readable_size(spec.weights.bytes) if spec.weights.bytes else "",
            spec.licence,
        )
        for spec in specs
    ]
    console.table(("NAME", "place", "state", "parameters", "size", "licence"), rows)
    console.line(f"\n{LEGEND}")
    for name, words in _unfinished_states(workspace, {spec.name for spec in specs}).items():
        console.line(f"{name}: {words}. To go on: python -m tl_core fetch {name}")
    return 0


def _runs_with(name: str, workspace: Workspace) -> list[str]:
    """Return the runs that are waiting or going on with a backbone, alone or beside another."""
    active = [run for run in RunStore(workspace).list() if run.active]
    return [run.id for run in active if name in {*run.task.backbone.split(JOIN), *run.task.backbones}]


def _pinned(name: str, workspace: Workspace) -> str:
    """Return the full name of a fetched backbone; its version may be left out where there is only one."""
    names = [provenance.name for provenance in fetched(workspace)] + list(unfinished(workspace))
    versions = [full for full in dict.fromkeys(names) if full.rpartition("@")[0] == name]
    return versions[0] if len(versions) == 1 else name


def _unfinished_states(workspace: Workspace, usable: set[str]) -> dict[str, str]:
    """Return the backbones that were begun and not finished, each with its state."""
    partial = {name: f"{readable_size(size)} of it are downloaded" for name, size in unfinished(workspace).items()}
    unproven = [provenance.name for provenance in fetched(workspace) if provenance.name not in usable]
    return partial | dict.fromkeys(unproven, "it is downloaded, but its network is not checked yet")


def _state(spec: BackboneSpec) -> str:
    """Return what it takes to use a backbone: nothing, a download, or a file of its makers; "no" if nothing helps."""
    if spec.ready:
        return "ready"
    if spec.unusable:
        return "no"
    return "download" if spec.weights.name else "file"


def _described(spec: BackboneSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "title": spec.title,
        "modality": spec.modality,
        "place": list(spec.place),
        "state": _state(spec),
        "parameters": spec.parameters or None,
        "bytes": spec.weights.bytes or None,
        "licence": spec.licence,
        "source": spec.source,
        "needs": spec.needs,
    }

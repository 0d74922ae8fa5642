"""`fetch`: bring another backbone, from the hub or as one's own weights."""

import argparse
from functools import partial
from pathlib import Path

from tl_core.backbones.catalogue import check_folder, find_backbone, register_folder
from tl_core.backbones.fetched import delete, provenance_of
from tl_core.backbones.hub.faults import readable_size
from tl_core.backbones.hub.fetch import fetch_repo
from tl_core.backbones.hub.meter import DownloadProgress
from tl_core.backbones.hub.names import HubModel, is_hub_model, parse_model
from tl_core.backbones.own import bring
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.cli.console import Console, duration
from tl_core.errors import BackboneError, UsageError
from tl_core.workspace import Workspace

_TIMM = "timm:"
_WHAT = (
    "`python -m tl_core backbones` lists names; others are hub:OWNER/NAME, or the path of a folder, archive or file."
)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Make a backbone ready, and print the name to use it by."""
    workspace = Workspace.default()
    what: str = arguments.what.strip()
    leaf = _leaf(what)
    if leaf and leaf.ready:
        return _report(leaf, arguments.json, console)
    try:
        folder = _folder(what, arguments.architecture, workspace, console)
    except KeyboardInterrupt:
        console.note("What has arrived of a download is kept: the same command goes on from there.")
        raise
    return _report(_registered(workspace, folder, console), arguments.json, console)


def _leaf(what: str) -> BackboneSpec | None:
    """Return the registered backbone of that name, in any spelling; None where there is none."""
    try:
        return BACKBONES[what]
    except UsageError:
        return None


def _folder(what: str, architecture: str, workspace: Workspace, console: Console) -> Path:
    """Return the complete folder of what was asked for. Raises UsageError where nothing is called so."""
    report = partial(_show, console, what)
    if model := _model(what):
        if architecture:
            raise UsageError("--as describes one's own weights; those of the hub say themselves what they are.")
        return fetch_repo(workspace, model.repo, model.revision, report, check=check_folder)
    path = Path(what).expanduser()
    if not path.exists() and "/" not in what and not path.suffix:
        BACKBONES[what]  # raises, with the nearest name
    if not path.exists() and what.count("/") == 1 and not what.startswith((".", "~", "/")):
        raise UsageError(f"There is no folder {what}.", f"A model of the hub is called hub:{what}.")
    return bring(workspace, path, architecture, report, check=check_folder)


def _model(what: str) -> HubModel | None:
    """Return the model of the hub that is meant, None for a path. Raises UsageError for what has no download."""
    if is_hub_model(what):
        return parse_model(what)
    if what.startswith(_TIMM):
        return parse_model(f"timm/{what.removeprefix(_TIMM)}")
    leaf = _leaf(what)
    if leaf and not leaf.weights.name:
        raise UsageError(
            f"{leaf.title} is not on the hub, so it cannot be fetched by name.",
            f"Get its weights from {leaf.source} (licence: {leaf.licence}), and fetch their folder or file.",
        )
    return HubModel(leaf.weights.name) if leaf else None


def _registered(workspace: Workspace, folder: Path, console: Console) -> BackboneSpec:
    """Prove that the network of a folder can be trained in stages. Raises BackboneError and removes it where not."""
    provenance = provenance_of(folder)
    if provenance is None:
        raise BackboneError(f"What {folder.name} is can no longer be read.", "Fetch it again.")
    console.stage("Looking at the network", 0, 0)
    try:
        name = register_folder(workspace, folder, provenance)
    except BackboneError:
        delete(workspace, provenance.name)
        raise
    return find_backbone(name, workspace)


def _show(console: Console, what: str, progress: DownloadProgress) -> None:
    sizes = f"{readable_size(progress.done)} of {readable_size(progress.total)}"
    left = progress.seconds_left
    speed = f", {readable_size(progress.speed)}/s, {duration(left)} left" if left is not None else ""
    console.moving(f"Fetching {what}", f"Fetching {what}: {sizes}{speed}", last=progress.done >= progress.total)


def _report(spec: BackboneSpec, as_json: bool, console: Console) -> int:
    """Print the name alone, for scripts; what it is goes to stderr."""
    if as_json:
        console.json(
            {
                "name": spec.name,
                "modality": spec.modality,
                "parameters": spec.parameters,
                "groups": [group.name for group in spec.groups],
                "bytes": spec.weights.bytes,
                "licence": spec.licence,
                "source": spec.source,
            }
        )
        return 0
    console.note(
        f"{spec.title} is ready: it reads {spec.modality}s, and has {spec.parameters / 1e6:,.1f} million parameters "
        f"in {len(spec.groups)} layer groups. Use it as --backbone:"
    )
    console.line(spec.name)
    return 0

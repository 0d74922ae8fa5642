"""Making a backbone ready by any name that a person gives, and removing one: the way that every screen shares."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tl_core.backbones import catalogue, fetched
from tl_core.backbones.hub.fetch import Offer, fetch_repo, look_up, never
from tl_core.backbones.hub.meter import OnDownload, unseen
from tl_core.backbones.hub.names import HubModel, is_hub_model, parse_model
from tl_core.backbones.hub.torchvision_files import fetch_torchvision, look_up_torchvision
from tl_core.backbones.own import bring
from tl_core.backbones.provenance import TEXT
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.errors import BackboneError, UsageError
from tl_core.workspace import Workspace

TIMM = "timm:"


def unannounced() -> None:
    """Announce the proof to nobody."""


def make_ready(
    workspace: Workspace,
    what: str,
    architecture: str = "",
    on_progress: OnDownload = unseen,
    on_proof: Callable[[], None] = unannounced,
    cancelled: Callable[[], bool] = never,
) -> BackboneSpec:
    """Return what was asked for as a backbone that can be used, downloaded or copied where it is not here.

    `what` is a registered name, a model of the hub (`hub:OWNER/NAME`, `timm:NAME`, the address of its page), a network
    of torchvision (`torchvision:NAME`), or the path of one's own weights, which `architecture` describes where they
    have no configuration. `#text` behind a name means the part for texts. `on_proof` is called before the network is
    cut into stages and proven; one that fails the proof is removed again.
    Raises UsageError, DataError, BackboneError, WorkspaceError, DownloadError and DownloadCancelled.
    """
    what = what.strip()
    leaf = leaf_of(what)
    if leaf and leaf.ready:
        return leaf
    name, part = (what.removesuffix(TEXT), TEXT) if what.endswith(TEXT) else (what, "")
    folder = _folder(workspace, name, architecture, on_progress, cancelled)
    provenance = fetched.provenance_of(folder)
    if provenance is None:
        raise BackboneError(f"What {folder.name} is can no longer be read.", "Fetch it again.")
    on_proof()
    given = leaf_of(architecture) if architecture else None
    if given and not provenance.licence:
        provenance = replace(provenance, licence=given.licence)
    try:
        name = catalogue.register_folder(workspace, folder, provenance, part)
    except BackboneError:
        if not any(spec.name.removesuffix(TEXT) == provenance.name for spec in catalogue.registered(workspace)):
            fetched.delete(workspace, provenance.name)
        raise
    return catalogue.find_backbone(name, workspace)


def offer_of(workspace: Workspace, what: str) -> Offer | None:
    """Return what a download would bring, without downloading anything; None for what lies on this machine.

    Raises UsageError, BackboneError and DownloadError.
    """
    name = what.strip().removesuffix(TEXT)
    if name.startswith(fetched.TORCHVISION_PREFIX):
        return look_up_torchvision(name)
    model = hub_model(name)
    return look_up(workspace, model) if model else None


def remove(workspace: Workspace, name: str) -> None:
    """Remove a fetched backbone by its full name: weights, and what was derived. Raises BackboneError without any."""
    whole = name.removesuffix(TEXT)
    fetched.delete(workspace, whole)
    for part in (whole, whole + TEXT):
        catalogue.forget(workspace, part)


def other_part(spec: BackboneSpec, workspace: Workspace) -> str:
    """Return the name of the part for texts beside that for pictures, or the reverse; "" where there is none ready."""
    name = spec.name.removesuffix(TEXT) if spec.name.endswith(TEXT) else spec.name + TEXT
    return name if any(other.name == name for other in catalogue.registered(workspace)) else ""


def leaf_of(what: str) -> BackboneSpec | None:
    """Return the registered backbone of that name, in any spelling; None where there is none."""
    try:
        return BACKBONES[what]
    except UsageError:
        return None


def hub_model(what: str) -> HubModel | None:
    """Return the model of the hub that is meant, None for a path. Raises UsageError for what has no download."""
    if is_hub_model(what):
        return parse_model(what)
    if what.startswith(TIMM):
        return parse_model(f"timm/{what.removeprefix(TIMM)}")
    leaf = leaf_of(what)
    if leaf and not leaf.weights.name:
        raise UsageError(f"{leaf.title} is not on the hub, so it cannot be fetched by name.", leaf.needs)
    return HubModel(leaf.weights.name) if leaf else None


def _folder(
    workspace: Workspace, what: str, architecture: str, on_progress: OnDownload, cancelled: Callable[[], bool]
) -> Path:
    """Return the complete folder of what was asked for. Raises UsageError where nothing is called so."""
    if what.startswith(fetched.TORCHVISION_PREFIX) and not architecture:
        return fetch_torchvision(workspace, what, on_progress, cancelled)
    if model := hub_model(what):
        if architecture:
            raise UsageError("--as describes one's own weights; those of the hub say themselves what they are.")
        return fetch_repo(workspace, model.repo, model.revision, on_progress, cancelled, catalogue.check_folder)
    path = Path(what).expanduser()
    if not path.exists() and "/" not in what and not path.suffix:
        BACKBONES[what]  # raises, with the nearest name
    if not path.exists() and what.count("/") == 1 and not what.startswith((".", "~", "/")):
        raise UsageError(f"There is no folder {what}.", f"A model of the hub is called hub:{what}.")
    leaf = leaf_of(architecture) if architecture else None
    return bring(workspace, path, leaf.name if leaf else architecture, on_progress, cancelled, catalogue.check_folder)

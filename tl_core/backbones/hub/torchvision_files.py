"""The weights that torchvision names for its networks, as a complete and checked folder of the workspace."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tl_core.backbones.fetched import TORCHVISION_PREFIX, free_bytes, install, place_of, provenance_of, staging
from tl_core.backbones.hub.faults import explain, no_room
from tl_core.backbones.hub.fetch import SPARE, Offer, never, sha256_of, sha256_of_all
from tl_core.backbones.hub.listing import RepoFile, hub_client
from tl_core.backbones.hub.meter import Meter, OnDownload, unseen
from tl_core.backbones.hub.names import HubModel
from tl_core.backbones.hub.transfer import download
from tl_core.backbones.provenance import Provenance
from tl_core.errors import BackboneError, DownloadError, GraftError
from tl_core.workspace import Workspace

_FILE = "pytorch_model.bin"
_NAMED = re.compile(r"-(?P<sum>[0-9a-f]{8,64})\.pth$")
_PAGE = "https://docs.pytorch.org/vision/stable/models.html"
_PATIENCE = 30.0  # seconds


def fetch_torchvision(
    workspace: Workspace, name: str, on_progress: OnDownload = unseen, cancelled: Callable[[], bool] = never
) -> Path:
    """Return the folder of `torchvision:NAME` with torchvision's default weights; download what is missing.

    The start of the file's SHA-256, which is part of its name, is checked. Raises DownloadCancelled, DownloadError,
    BackboneError and WorkspaceError.
    """
    architecture = name.removeprefix(TORCHVISION_PREFIX).partition("@")[0]
    url = weights_url(architecture)
    checksum = _NAMED.search(url)
    if checksum is None:
        raise BackboneError(f"torchvision names no checksum for {architecture}.", "Take it from the hub: timm:NAME.")
    full = f"{TORCHVISION_PREFIX}{architecture}@{checksum['sum']}"
    if name not in (full, f"{TORCHVISION_PREFIX}{architecture}"):
        raise BackboneError(f"The installed torchvision has other weights than {name}.", f"It has {full}.")
    place = place_of(workspace, full)
    if provenance_of(place):
        return place
    with staging(workspace, place, cancelled) as part:
        if part is not None:
            try:
                file = RepoFile(_FILE, _size(url), sha256=checksum["sum"])
                if file.size + SPARE > free_bytes(part):
                    raise no_room(free_bytes(part), file.size, SPARE)
                download(url, file, part / _FILE, Meter(file.size, on_progress), cancelled)
            except Exception as error:
                raise _explained(error, architecture, url) from error
            config = {"library": "torchvision", "architecture": architecture}
            (part / "config.json").write_text(json.dumps(config), encoding="utf-8")
            digest = sha256_of_all({_FILE: sha256_of(part / _FILE)})
            install(part, place, Provenance(full, url, "", "", file.size, digest))
    return place


def look_up_torchvision(name: str) -> Offer:
    """Ask what a download of `torchvision:NAME` would bring. Raises BackboneError and DownloadError."""
    architecture = name.removeprefix(TORCHVISION_PREFIX).partition("@")[0]
    url = weights_url(architecture)
    checksum = _NAMED.search(url)
    try:
        size = _size(url)
    except Exception as error:
        raise _explained(error, architecture, url) from error
    full = f"{TORCHVISION_PREFIX}{architecture}" + (f"@{checksum['sum']}" if checksum else "")
    return Offer(full, size, "", _PAGE)


def weights_url(architecture: str) -> str:
    """Return where torchvision has the weights of a network. Raises BackboneError where it has none."""
    from tl_core.backbones.recipes import Recipe, check_recipe

    check_recipe(Recipe("torchvision", architecture))
    from torchvision import models

    chosen = getattr(models.get_model_weights(architecture), "DEFAULT", None)
    if chosen is None:
        raise BackboneError(f"torchvision has no weights for {architecture}.", "Choose another network.")
    return str(chosen.url)


def _explained(error: Exception, architecture: str, url: str) -> GraftError:
    """Return what ended a download, in the words for the hub, of torchvision's server."""
    fault = explain(error, HubModel(f"torchvision/{architecture}"), url.rpartition("/")[2])
    if isinstance(fault, DownloadError):
        server = "the server of torchvision"
        words = [
            text.replace("the hub", server).replace("The hub", "The server of torchvision")
            for text in (fault.message, fault.hint)
        ]
        return DownloadError(*words)
    return fault


def _size(url: str) -> int:
    response = hub_client().get_session().head(url, timeout=_PATIENCE, follow_redirects=True)
    response.raise_for_status()
    return int(response.headers["Content-Length"])

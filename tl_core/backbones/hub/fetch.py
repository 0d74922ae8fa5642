"""A model of the hub as a complete and checked folder of the workspace, or not at all."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tl_core.backbones.fetched import fetched, free_bytes, install, place_of, provenance_of, staging
from tl_core.backbones.hub.faults import explain, no_room
from tl_core.backbones.hub.listing import RepoFile, RepoListing, endpoint, hub_client, list_repo
from tl_core.backbones.hub.meter import Meter, OnDownload, unseen
from tl_core.backbones.hub.names import HubModel
from tl_core.backbones.hub.selection import choose_files, is_weights
from tl_core.backbones.hub.transfer import PART, download
from tl_core.backbones.provenance import Provenance
from tl_core.errors import DownloadError, GraftError
from tl_core.workspace import Workspace

SPARE = 2**29
"""Bytes of free disk that a download never touches."""


def never() -> bool:
    """Return that nobody has stopped the download."""
    return False


def accept(folder: Path) -> None:
    """Find nothing wrong with a folder."""


@dataclass(frozen=True)
class Offer:
    """What the hub would give: the pinned name, the bytes that a download takes, the licence as stated, the page.

    `gated`: only accounts that have accepted its terms may download it.
    """

    name: str
    bytes: int
    licence: str
    page: str
    gated: bool = False


def look_up(workspace: Workspace, model: HubModel, cancelled: Callable[[], bool] = never) -> Offer:
    """Ask the hub what a download would bring, without downloading anything.

    Raises DownloadCancelled, DownloadError, and BackboneError where the files cannot be a backbone.
    """
    listing = _listed(workspace, model, cancelled)
    size = sum(file.size for file in choose_files(listing.files, listing.repo))
    return Offer(listing.model.name, size, listing.licence, listing.model.page, listing.gated)


def fetch_repo(
    workspace: Workspace,
    repo: str,
    revision: str = "",
    on_progress: OnDownload = unseen,
    cancelled: Callable[[], bool] = never,
    check: Callable[[Path], None] = accept,
) -> Path:
    """Return the folder of `repo`, OWNER/NAME, at a branch, tag or commit; download what is missing of it.

    Of a commit that is already there, nothing is asked of the hub. `check` sees the folder before the weights are
    downloaded and raises where it could not be used. `cancelled` is asked ten times a second.
    Raises DownloadCancelled, DownloadError, BackboneError and WorkspaceError; what has arrived is kept.
    """
    model = HubModel(repo, revision)
    if model.pinned and provenance_of(place_of(workspace, model.name)):
        return place_of(workspace, model.name)
    listing = _listed(workspace, model, cancelled)
    place = place_of(workspace, listing.model.name)
    if provenance_of(place):
        return place
    files = choose_files(listing.files, listing.repo)
    with staging(workspace, place, cancelled) as part:
        if part is not None:
            _check_room(files, part)
            _download_all(listing, files, part, Meter(sum(f.size for f in files), on_progress), cancelled, check)
            install(part, place, _provenance(listing, files, part))
    return place


def _listed(workspace: Workspace, model: HubModel, cancelled: Callable[[], bool]) -> RepoListing:
    try:
        return list_repo(model, cancelled)
    except Exception as error:
        raise _with_earlier(explain(error, model), workspace, model) from error


def _with_earlier(error: GraftError, workspace: Workspace, model: HubModel) -> GraftError:
    """Return the error with a hint to what was fetched of the model before."""
    names = [earlier.name for earlier in fetched(workspace) if earlier.name.startswith(f"hub:{model.repo}@")]
    if names and isinstance(error, DownloadError):
        return DownloadError(error.message, f"{error.hint} What was fetched before can be used: {names[0]}")
    return error


def _check_room(files: tuple[RepoFile, ...], part: Path) -> None:
    """Drop what does not belong to a download. Raises WorkspaceError where the rest does not fit on the disk."""
    wanted = {file.path for file in files} | {file.path + PART for file in files}
    for path in part.iterdir():
        if path.name not in wanted:
            path.unlink()
    missing = sum(file.size for file in files) - sum(path.stat().st_size for path in part.iterdir())
    if missing > 0 and missing + SPARE > free_bytes(part):
        raise no_room(free_bytes(part), missing, SPARE)


def _download_all(
    listing: RepoListing,
    files: tuple[RepoFile, ...],
    part: Path,
    meter: Meter,
    cancelled: Callable[[], bool],
    check: Callable[[Path], None],
) -> None:
    checked = False
    for file in files:
        if is_weights(file.path) and not checked:
            check(part)
            checked = True
        target = part / file.path
        if target.exists() and target.stat().st_size == file.size:
            meter.finish(file.path, file.size)
            continue
        url = hub_client().hf_hub_url(listing.repo, file.path, revision=listing.commit, endpoint=endpoint())
        try:
            download(url, file, target, meter, cancelled)
        except Exception as error:
            raise explain(error, listing.model, file.path) from error


def _provenance(listing: RepoListing, files: tuple[RepoFile, ...], part: Path) -> Provenance:
    weights = [file for file in files if is_weights(file.path)]
    sums = {file.path: file.sha256 or sha256_of(part / file.path) for file in weights}
    size = sum(file.size for file in weights)
    model = listing.model
    return Provenance(model.name, model.page, listing.licence, listing.commit, size, sha256_of_all(sums))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(sums: dict[str, str]) -> str:
    """Return the one checksum of several files, from that of each by its name."""
    lines = "".join(f"{sums[path]} {path}\n" for path in sorted(sums))
    return hashlib.sha256(lines.encode()).hexdigest()

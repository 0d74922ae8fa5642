"""What a repository of the hub holds at one commit."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tl_core.backbones.hub.names import HubModel
from tl_core.backbones.hub.ticking import TICK, ticking
from tl_core.errors import DownloadCancelled

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

PATIENCE = 30.0
"""Seconds that the hub may take to list a repository."""
_SETTINGS = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@dataclass(frozen=True)
class RepoFile:
    """A file by its path in the repository, its bytes, and its checksum: `sha256`, or for a small file `git_id`.

    The start of a checksum is enough.
    """

    path: str
    size: int
    sha256: str = ""
    git_id: str = ""


@dataclass(frozen=True)
class RepoListing:
    """A repository by the name that the hub has for it, its commit (40 hex), its licence as stated, and its files.

    `gated`: only accounts that have accepted its terms may download it.
    """

    repo: str
    commit: str
    licence: str
    files: tuple[RepoFile, ...]
    gated: bool = False

    @property
    def model(self) -> HubModel:
        """The repository at this very commit."""
        return HubModel(self.repo, self.commit)


def hub_client() -> Any:
    """Return the module `huggingface_hub`, set before its first import to send no usage data."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import huggingface_hub

    return huggingface_hub


def endpoint() -> str | None:
    """Return the address of the hub where the environment names another than the usual one."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def list_repo(model: HubModel, cancelled: Callable[[], bool]) -> RepoListing:
    """Ask the hub for the commit that a revision stands for and for its files.

    Raises DownloadCancelled, TimeoutError, and whatever the hub's client raises.
    """
    client = hub_client()
    waited = 0.0

    def ask() -> list["ModelInfo"]:
        api = client.HfApi(endpoint=endpoint())
        return [api.model_info(model.repo, revision=model.revision or None, files_metadata=True, timeout=PATIENCE)]

    for info in ticking(ask):
        if cancelled():
            raise DownloadCancelled
        if info is not None:
            return _listing(info)
        waited += TICK
        if waited > PATIENCE:
            raise TimeoutError("the hub does not answer")
    raise AssertionError("the hub's client answers or raises")


def _listing(info: "ModelInfo") -> RepoListing:
    if not info.sha:
        raise ValueError("the answer names no commit")
    files = [
        RepoFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else "", file.blob_id or "")
        for file in info.siblings or ()
    ]
    return RepoListing(info.id, info.sha, _licence(info), tuple(files), bool(info.gated))


def _licence(info: "ModelInfo") -> str:
    tags = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    data: dict[str, Any] = info.card_data.to_dict() if info.card_data else {}
    return str(data.get("license_name") or (tags or [data.get("license") or ""])[0])

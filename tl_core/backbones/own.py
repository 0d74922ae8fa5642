"""A person's own weights, copied into the workspace: a folder, an archive, or one file of weights."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tl_core.backbones.fetched import OWN_PREFIX, free_bytes, install, place_of, provenance_of, staging, store_errors
from tl_core.backbones.hub.faults import no_room
from tl_core.backbones.hub.fetch import SPARE, accept, never, sha256_of_all
from tl_core.backbones.hub.listing import RepoFile
from tl_core.backbones.hub.meter import Meter, OnDownload, unseen
from tl_core.backbones.hub.selection import CONFIG, choose_files, is_weights
from tl_core.backbones.layouts import FROM_FILES
from tl_core.backbones.provenance import Provenance
from tl_core.data.sources.file_tree import MAX_FILE, ArchiveEntry, read_whole
from tl_core.data.sources.folder_source import open_tree
from tl_core.errors import BackboneError, DownloadCancelled, UnnamedNetwork, UsageError
from tl_core.workspace import Workspace

_PIECE = 2**20
_HEADER = 100 * 2**20  # bytes of the header of a safetensors file, at most
_DEEPEST = 3  # folders that are looked through for the configuration
_WEIGHTS = {".safetensors": "model.safetensors", **dict.fromkeys((".bin", ".pth", ".pt"), "pytorch_model.bin")}
_LIBRARIES = ("timm", "torchvision")
_ABOUT = ("README.md", "LICENSE", "LICENCE")
_NETWORKS = f"Write timm:NAME, torchvision:NAME, or {', '.join(FROM_FILES)}, whose authors give a file."
_LAYOUT = "Give a folder or an archive that holds config.json, the weights, and the tokenizer files of a text model."
_AS = "Say which network it belongs to: --as timm:NAME or --as torchvision:NAME. Or give a folder with its config.json."
_SLUG = 40  # characters
_DIGEST = 12


@dataclass(frozen=True)
class _OwnFile:
    """A file by the name that it gets, its bytes, and how to read it."""

    name: str
    size: int
    pieces: Callable[[], Iterable[bytes]]


def bring(
    workspace: Workspace,
    path: Path,
    architecture: str = "",
    on_progress: OnDownload = unseen,
    cancelled: Callable[[], bool] = never,
    check: Callable[[Path], None] = accept,
) -> Path:
    """Copy one's own weights into the workspace; return their folder. Only the files that are needed are taken.

    `architecture` (timm:NAME, torchvision:NAME, or the name of a registered backbone whose weights come as a file)
    describes weights that have no config.json beside them. `check` sees the folder before the weights are copied.
    Raises BackboneError, UsageError, DataError for a damaged archive, WorkspaceError and DownloadCancelled.
    """
    with _opened(path, workspace, bool(architecture)) as files:
        chosen = _chosen(files, path, architecture)
        key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:_DIGEST]
        at_work = place_of(workspace, f"{OWN_PREFIX}{_slug(path)}@{key}")
        with staging(workspace, at_work, cancelled) as part:
            assert part is not None  # `at_work` is only held, and never made
            try:
                sums = _copy(chosen, part, Meter(sum(file.size for file in chosen), on_progress), cancelled, check)
                leaf = architecture if ":" not in architecture else ""
                provenance = _provenance(path, sums, part, leaf)
                if path.resolve().is_relative_to(workspace.root.resolve() / "uploads"):
                    provenance = replace(provenance, source=path.name)  # where an upload lay tells nobody anything
                place = place_of(workspace, provenance.name)
                if not provenance_of(place):
                    install(part, place, provenance)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return place


@contextmanager
def _opened(path: Path, workspace: Workspace, alone: bool) -> Iterator[list[_OwnFile]]:
    """List the files beside the configuration; of a file of weights also what lies beside it, unless `alone`.

    Raises UsageError, BackboneError, and DataError for a damaged archive.
    """
    try:
        if not path.exists():
            raise UsageError(f"There is nothing at {path}.", "Check the path. " + _LAYOUT)
        if path.is_dir():
            yield _in_folder(path)
        elif path.suffix.lower() in _WEIGHTS:
            described = not alone and (path.parent / CONFIG).is_file()
            beside = [file for file in _in_folder(path.parent) if not is_weights(file.name)] if described else []
            yield [*beside, _own_file(path, _WEIGHTS[path.suffix.lower()])]
        elif path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"):
            with open_tree(path, workspace.limits, workspace.folder("cache")) as tree:
                yield _in_archive(tree.entries, path)
        else:
            raise UsageError(f"{path.name} is neither a folder, an archive nor a file of weights.", _LAYOUT)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Check who may read it.") from error


def _in_folder(root: Path) -> list[_OwnFile]:
    """List a folder, or the only one in it that holds a configuration. Links are followed: caches are made of them."""
    for depth in range(_DEEPEST + 1):
        if configs := list(root.glob("*/" * depth + CONFIG)):
            root = configs[0].parent if len(configs) == 1 else root
            break
    return [_own_file(path, path.name) for path in sorted(root.iterdir()) if path.is_file()]


def _own_file(path: Path, name: str) -> _OwnFile:
    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            while data := file.read(_PIECE):
                yield data

    return _OwnFile(name, path.stat().st_size, pieces)


def _in_archive(entries: list[ArchiveEntry], path: Path) -> list[_OwnFile]:
    parents = [(PurePosixPath(entry.name).parent, PurePosixPath(entry.name).name == CONFIG) for entry in entries]
    root = min(parents, key=lambda parent: (not parent[1], len(parent[0].parts)))[0]
    inside = [entry for entry in entries if PurePosixPath(entry.name).parent == root]
    if large := [entry.name for entry in inside if entry.size > MAX_FILE and entry.suffix in _WEIGHTS]:
        raise BackboneError(
            f"{large[0]} in {path.name} is larger than {MAX_FILE // 2**20} MB, the most that is read from an archive.",
            "Unpack it, and give the folder.",
        )
    return [
        _OwnFile(PurePosixPath(entry.name).name, entry.size, lambda entry=entry: [read_whole(entry)])  # type: ignore[misc]
        for entry in inside
    ]


def _chosen(files: list[_OwnFile], path: Path, architecture: str) -> list[_OwnFile]:
    """Return the files that are needed, weights last."""
    if architecture:
        if any(file.name == CONFIG for file in files):
            raise UsageError(f"{path.name} has a {CONFIG} that says which network it is.", "Leave --as out.")
        config = _config(architecture)
        files = [*files, _OwnFile(CONFIG, len(config), lambda: [config])]
    elif not any(file.name == CONFIG for file in files) and any(is_weights(file.name) for file in files):
        raise UnnamedNetwork(f"{path.name} alone does not say which network its weights belong to.", _AS)
    by_name = {file.name: file for file in files}
    return [by_name[file.path] for file in choose_files([RepoFile(f.name, f.size) for f in files], path.name)]


def _config(architecture: str) -> bytes:
    if architecture in FROM_FILES:
        return json.dumps({"layout": architecture}).encode()
    library, _, name = architecture.partition(":")
    if library not in _LIBRARIES or not re.fullmatch(r"[\w.-]+", name):
        raise UsageError(f"{architecture} does not name a network.", _NETWORKS)
    described = {"architecture": name} if library == "timm" else {"library": library, "architecture": name}
    return json.dumps(described).encode()


def _copy(
    files: list[_OwnFile], part: Path, meter: Meter, cancelled: Callable[[], bool], check: Callable[[Path], None]
) -> dict[str, str]:
    """Copy the files into an emptied folder; return the SHA-256 of each."""
    for left in part.iterdir():  # of a process that was killed
        left.unlink()
    needed = sum(file.size for file in files)
    if needed + SPARE > free_bytes(part):
        raise no_room(free_bytes(part), needed, SPARE)
    sums: dict[str, str] = {}
    for file in files:
        if is_weights(file.name) and not any(map(is_weights, sums)):
            check(part)
        sums[file.name] = _copy_file(file, part / file.name, meter, cancelled)
        if is_weights(file.name):
            check_weights(part / file.name)
        meter.finish(file.name, file.size)
    return sums


def _copy_file(file: _OwnFile, target: Path, meter: Meter, cancelled: Callable[[], bool]) -> str:
    """Copy one file; return its SHA-256."""
    checksum, have = hashlib.sha256(), 0
    with target.open("wb") as out:
        for data in file.pieces():
            if cancelled():
                raise DownloadCancelled("The copying was stopped.", "Nothing was kept of it.")
            with store_errors():  # an error in reading is another one
                out.write(data)
            checksum.update(data)
            have += len(data)
            meter.show(file.name, have, len(data))
        with store_errors():
            out.flush()
            os.fsync(out.fileno())
    return checksum.hexdigest()


def check_weights(path: Path) -> None:
    """Raise BackboneError where a file of weights is cut off, or something else under that name."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
        if head.startswith(b"version https://git-lfs"):
            raise BackboneError(f"{path.name} is only a pointer to the weights.", "Get the file itself: git lfs pull.")
        if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
            raise BackboneError(f"{path.name} is a web page, not weights.", "Download it again.")
        if path.suffix != ".safetensors":
            return
        length = int.from_bytes(head[:8], "little")
        file.seek(8)
        try:
            tensors = json.loads(file.read(length)) if 2 <= length < min(size, _HEADER) else {}
            end = max(tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BackboneError(f"{path.name} is not a safetensors file.", "Save or download it again.") from None
    if size != 8 + length + end:
        raise BackboneError(
            f"{path.name} is damaged: it has {size:,} bytes, and its header speaks of {8 + length + end:,}.",
            "Copy or download it again.",
        )


def _provenance(path: Path, sums: dict[str, str], part: Path, leaf: str) -> Provenance:
    weights = {name: checksum for name, checksum in sums.items() if is_weights(name)}
    digest = sha256_of_all({name: checksum for name, checksum in sums.items() if not name.startswith(_ABOUT)})
    size = sum((part / name).stat().st_size for name in weights)
    name = f"{OWN_PREFIX}{leaf.replace('_', '-') or _slug(path)}@{digest[:_DIGEST]}"
    return Provenance(name, str(path.resolve()), _licence(part / "README.md"), "", size, sha256_of_all(weights))


def _licence(readme: Path) -> str:
    """Return the licence that the head of a model card states, "" where there is none."""
    text = readme.read_text(encoding="utf-8", errors="replace")[:5000] if readme.is_file() else ""
    head = text[3:].partition("\n---")[0] if text.startswith("---") else ""
    match = re.search(r"^license:[ \t]*[\"']?([\w. -]+)", head, flags=re.M)
    return match[1].strip() if match else ""


def _slug(path: Path) -> str:
    name = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_SLUG] or "own"

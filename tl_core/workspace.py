"""Where everything lies on disk, and how it is written: whole or not at all."""

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from tl_core.errors import WorkspaceError
from tl_core.types import dump, load

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """The most that an untrusted upload may cost. Sizes in bytes, image area in pixels."""

    members: int = 200_000
    unpacked: int = 8 * 2**30
    download: int = 4 * 2**30
    ratio: float = 200.0
    pixels: int = 120_000_000
    cell: int = 1_000_000  # characters of one text


@dataclass(frozen=True)
class Workspace:
    """The folder of all data: datasets/, features/, runs/, uploads/, cache/ (nameless files) and small JSON files."""

    root: Path
    limits: Limits = Limits()

    @classmethod
    def default(cls) -> "Workspace":
        """Return the workspace of `GRAFT_HOME`, else the one in the user's data folder."""
        home = os.environ.get("GRAFT_HOME")
        return cls(Path(home).expanduser().resolve() if home else Path(platformdirs.user_data_dir("graft")))

    def folder(self, *parts: str) -> Path:
        """Return a folder below the root, and make it if it is missing. Raises WorkspaceError where that fails."""
        path = self.root.joinpath(*parts)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"The workspace folder {path} cannot be written ({error.strerror}).",
                "Free some space, or set GRAFT_HOME to a folder that can be written.",
            ) from error
        return path


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: a reader sees the old content or the new, never a part.

    Raises WorkspaceError where the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WorkspaceError(
            f"{path.name} could not be written ({error.strerror}).", "Check the free space of the workspace folder."
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write plain JSON types atomically. Raises WorkspaceError where the file cannot be written."""
    write_bytes(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


def read_json(path: Path) -> Any:
    """Read plain JSON types. Raises ValueError where the file holds something else, OSError where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply.") from error


def write_value(path: Path, value: Any) -> None:
    """Write a dataclass as JSON atomically. Raises WorkspaceError where the file cannot be written."""
    write_json(path, dump(value))


def read_value(kind: type[T], path: Path) -> T | None:
    """Return a dataclass that was written as JSON, or None where the file is missing or damaged."""
    try:
        return load(kind, read_json(path))
    except (OSError, ValueError):  # pydantic's ValidationError is a ValueError
        return None


def file_name(name: str) -> str:
    """Return a name (a backbone's may hold colons and slashes) as a part of file names."""
    return re.sub(r"[^\w.@+-]", "~", name)


def sweep(folder: Path, pattern: str, seconds: float = 24 * 3600) -> None:
    """Remove what matches `pattern` and was not touched for `seconds`: by then nobody is still writing it."""
    for path in folder.glob(pattern):
        with suppress(OSError):  # another process may be finishing or removing it
            if time.time() - path.stat().st_mtime > seconds:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to fill. It becomes `target` when the block ends well, and is removed when it does not.

    A `target` that appeared meanwhile is kept: names follow from the content, so it holds the same.
    """
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    part.mkdir(parents=True)
    try:
        yield part
        try:
            os.replace(part, target)
        except OSError:
            if not target.exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)

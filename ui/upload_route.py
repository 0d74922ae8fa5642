"""The HTTP route for uploads: files are streamed to disk, so that memory use does not grow with their size.

A page issues a ticket (ui/uploads.py): 128 random bits that name a folder. Only a client that knows the ticket can
write there, which no other web site does, and only until the page takes the upload.
"""

import asyncio
import contextlib
import re
import shutil
import unicodedata
from pathlib import Path
from typing import BinaryIO

import streamlit as st
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tl_core.data.sources.file_tree import is_junk
from tl_core.workspace import Workspace

ROUTE = "/api/upload"
TICKET = ".ticket"
_BLOCK = 1 << 20  # bytes per write
_MAX_DEPTH = 30  # nested folders
_EXPIRED = "This page has been open for too long. Reload it, then choose your files again."
_FULL = "There is not enough disk space. Free some space, or give a path on this computer."


class Refused(Exception):
    """A refused upload: an HTTP status, and a sentence for the person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def limit() -> int:
    """Return the most bytes of one upload, from `.streamlit/config.toml`."""
    return int(st.get_option("server.maxUploadSize")) * 2**20


def limit_words() -> str:
    """Return the upload limit in words."""
    megabytes = int(st.get_option("server.maxUploadSize"))
    return f"{megabytes / 1024:.3g} GB" if megabytes >= 1024 else f"{megabytes} MB"


def routes() -> list[Route]:
    """Return the upload routes for the app."""
    return [Route(ROUTE + "/{ticket}/{path:path}", Receiver().put, methods=["PUT"])]


class Receiver:
    """Receives files, and counts the bytes of each ticket."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}

    async def put(self, request: Request) -> Response:
        """Receive one file: the body of a PUT to `/api/upload/TICKET/PATH`."""
        try:
            folder = _folder(request)
            path = clean(request.path_params["path"])
            if path is None:
                return Response(status_code=204)
            self._check(folder, int(request.headers.get("content-length") or 0))
            count = await self._take(request, folder, path)
        except Refused as error:
            return JSONResponse({"message": error.message}, error.status)
        except ClientDisconnect:
            return Response(status_code=400)
        except OSError:
            return JSONResponse({"message": _FULL}, 507)
        return JSONResponse({"bytes": count})

    def _check(self, folder: Path, expected: int) -> None:
        if self.taken.get(folder.name, 0) + expected > limit():
            raise Refused(413, f"This is more than {limit_words()}. Give a path on this computer instead.")
        if expected > shutil.disk_usage(folder).free:
            raise Refused(507, _FULL)

    async def _take(self, request: Request, folder: Path, path: Path) -> int:
        """Write the body to a temporary file, then rename it; return its size in bytes. A failure leaves no file."""
        target, part = await asyncio.to_thread(_place, folder / path)
        try:
            with open(part, "wb") as file:
                count = await self._write(request, folder, file)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return count

    async def _write(self, request: Request, folder: Path, file: BinaryIO) -> int:
        """Write in blocks, off the event loop. The bytes of a failed file are not counted."""
        ticket, block, count = folder.name, bytearray(), 0
        try:
            async for chunk in request.stream():
                block += chunk
                count += len(chunk)
                self.taken[ticket] = self.taken.get(ticket, 0) + len(chunk)
                if len(block) >= _BLOCK:
                    self._check(folder, 0)
                    await asyncio.to_thread(file.write, block)
                    block = bytearray()
            self._check(folder, 0)
            await asyncio.to_thread(file.write, block)
        except BaseException:
            self.taken[ticket] = self.taken.get(ticket, 0) - count
            raise
        return count


def clean(path: str) -> Path | None:
    """Return a safe relative path; None for files that operating systems leave behind. Raises Refused."""
    parts = [part for part in unicodedata.normalize("NFC", path).replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or len(parts) > _MAX_DEPTH:
        raise Refused(400, "A file has a name or path that is not allowed.")
    return None if is_junk("/".join(parts)) else Path(*map(safe_name, parts))


def safe_name(name: str) -> str:
    """Return a file name without folders, control characters and leading dots, short enough for any disk."""
    base = re.sub(r"[\x00-\x1f\x7f<>:\"|?*]", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".")
    return base[-120:].encode("utf-8", "replace")[-200:].decode("utf-8", "ignore").lstrip(".") or "upload"


def _folder(request: Request) -> Path:
    """Return the folder of the request's ticket. Raises Refused for an unknown ticket or another web site."""
    ticket = request.path_params["ticket"]
    folder = Workspace.default().folder("uploads") / ticket
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, _EXPIRED)
    if not re.fullmatch(r"[0-9a-f]{32}", ticket) or not (folder / TICKET).is_file():
        raise Refused(403, _EXPIRED)
    return folder


def _place(wanted: Path) -> tuple[Path, Path]:
    """Return the target path, numbered if it exists, and the temporary file that will become it. Raises Refused."""
    with contextlib.suppress(FileExistsError):
        wanted.parent.mkdir(parents=True, exist_ok=True)
    if not wanted.parent.is_dir():
        raise Refused(400, "A file and a folder have the same name.")
    number, target = 1, wanted
    while True:
        part = target.with_name(f".{target.name}.part")  # an uploaded name never begins with a dot
        with contextlib.suppress(FileExistsError):
            part.touch(exist_ok=False)
            if not target.exists():  # checked last: the temporary file reserves the name
                return target, part
            part.unlink()
        number += 1
        target = wanted.with_name(f"{wanted.stem} {number}{wanted.suffix}")

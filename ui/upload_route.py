"""The route that takes uploads: straight to disk in a stream, so that the server's memory stays flat.

A page issues a ticket (ui/uploads.py): 128 random bits that name a folder. Only who knows them can put files there,
which no other site can, and only until the page takes what arrived.
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

from tl_core.data.sources.archive import is_junk
from tl_core.workspace import Workspace

ROUTE = "/api/upload"
TICKET = ".ticket"
_BLOCK = 1 << 20  # bytes that are written at once
_DEEP = 30  # folders below each other
_LATE = "This page has been open for too long. Load it again, then choose your files once more."
_FULL = "The disk is too full for this. Free some space, or give a path on this computer."


class Refused(Exception):
    """An upload that is not taken: an HTTP status, and a sentence for the person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def limit() -> int:
    """Return how many bytes one upload may have, as `.streamlit/config.toml` says."""
    return int(st.get_option("server.maxUploadSize")) * 2**20


def limit_words() -> str:
    """Return that limit in words."""
    megabytes = int(st.get_option("server.maxUploadSize"))
    return f"{megabytes / 1024:.3g} GB" if megabytes >= 1024 else f"{megabytes} MB"


def routes() -> list[Route]:
    """Return the routes of uploads, for the app."""
    return [Route(ROUTE + "/{ticket}/{path:path}", Receiver().put, methods=["PUT"])]


class Receiver:
    """Takes files, and counts the bytes of each ticket."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}

    async def put(self, request: Request) -> Response:
        """Take one file: the body of a PUT to `/api/upload/TICKET/PATH`."""
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
        """Write the body beside its place, then give it its name; return its bytes. What breaks off leaves nothing."""
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
        """Write in blocks, off the event loop; bytes of a file that is not kept are not counted."""
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
    """Return a relative path that cannot leave its folder; None for what systems leave behind. Raises Refused."""
    parts = [part for part in unicodedata.normalize("NFC", path).replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or len(parts) > _DEEP:
        raise Refused(400, "A file has a name that cannot be kept.")
    return None if is_junk("/".join(parts)) else Path(*map(safe_name, parts))


def safe_name(name: str) -> str:
    """Return a file name without folders, control characters or a leading dot, and not too long for a disk."""
    base = re.sub(r"[\x00-\x1f\x7f<>:\"|?*]", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".")
    return base[-120:].encode("utf-8", "replace")[-200:].decode("utf-8", "ignore").lstrip(".") or "upload"


def _folder(request: Request) -> Path:
    """Return the folder of the request's ticket. Raises Refused where there is no such, or another site asks."""
    ticket = request.path_params["ticket"]
    folder = Workspace.default().folder("uploads") / ticket
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, _LATE)
    if not re.fullmatch(r"[0-9a-f]{32}", ticket) or not (folder / TICKET).is_file():
        raise Refused(403, _LATE)
    return folder


def _place(wanted: Path) -> tuple[Path, Path]:
    """Return the path, numbered where it is taken, and the empty file beside it that becomes it. Raises Refused."""
    with contextlib.suppress(FileExistsError):
        wanted.parent.mkdir(parents=True, exist_ok=True)
    if not wanted.parent.is_dir():
        raise Refused(400, "A file and a folder have the same name.")
    number, target = 1, wanted
    while True:
        part = target.with_name(f".{target.name}.part")  # what is sent never begins with a dot
        with contextlib.suppress(FileExistsError):
            part.touch(exist_ok=False)
            if not target.exists():  # looked at last: nobody else can come to this name any more
                return target, part
            part.unlink()
        number += 1
        target = wanted.with_name(f"{wanted.stem} {number}{wanted.suffix}")

"""One file over plain HTTP: it goes on where it broke off, can be stopped at any moment, and is checked at the end.

The hub's own client starts a file anew after every error and cannot be stopped quickly, hence this one.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tl_core.backbones.hub.faults import Damaged, Stalled, WebPage, retry_after, status_of
from tl_core.backbones.hub.listing import RepoFile, endpoint, hub_client
from tl_core.backbones.hub.meter import Meter
from tl_core.backbones.hub.ticking import TICK, ticking
from tl_core.errors import DownloadCancelled

PART = ".part"
"""Suffix of a file that is not all there."""
_PIECE = 2**20  # bytes that are read from the disk at a time
_PROGRESS = 2**20  # bytes that make an attempt worth while
_BUSY, _GONE = 429, 416
_LONGEST_WAIT = 60.0  # seconds that are waited because the server asks for it


@dataclass(frozen=True)
class Patience:
    """When a download gives up. Times in seconds; `slowest` in bytes a second, over `window`.

    `attempts` are those in a row that bring next to nothing, `pause` is the wait after the first of them.
    """

    connect: float = 15.0
    silence: float = 30.0
    window: float = 60.0
    slowest: float = 2048.0
    attempts: int = 5
    pause: float = 1.0


PATIENCE = Patience()


class Refused(Exception):
    """The server answers with an error; `response` is its answer."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"status {response.status_code}")
        self.response = response


class _NoRanges(Exception):
    """The server sends the file from its beginning, though asked to go on."""


def download(url: str, file: RepoFile, target: Path, meter: Meter, cancelled: Callable[[], bool]) -> None:
    """Bring a file to `target`, going on with what lies beside it under the suffix PART.

    Raises DownloadCancelled, Damaged, WebPage, Stalled, Refused, OSError, and httpx2.TransportError.
    """
    part = target.with_name(target.name + PART)
    fruitless = damaged = 0
    while True:
        before = _size(part)
        try:
            content = _complete(url, file, part, meter, cancelled)
        except _NoRanges:
            part.unlink()
            continue
        except Exception as error:
            fruitless = 0 if _size(part) - before >= _PROGRESS else fruitless + 1
            _wait(_pause(error, fruitless, part), cancelled)
            continue
        if content.startswith(file.sha256 or file.git_id) and _size(part) == file.size:
            os.replace(part, target)
            meter.finish(file.path, file.size)
            return
        size = _size(part)
        part.unlink()
        damaged += 1
        if damaged == 2:
            raise Damaged(f"{size:,} of {file.size:,} bytes" if size != file.size else "another checksum")


def _pause(error: Exception, fruitless: int, part: Path) -> float:
    """Return how long to wait before the next attempt. Raises the error where another one makes no sense."""
    import httpx2

    status = status_of(error)
    passing = isinstance(error, (httpx2.TransportError, Stalled)) or status in (408, _BUSY) or status >= 500
    if status == _GONE:  # there is more of it than the server has
        part.unlink(missing_ok=True)
        passing = True
    if not passing or fruitless >= PATIENCE.attempts:
        raise error
    asked = retry_after(error)
    if asked > _LONGEST_WAIT:
        raise error
    return max(asked, PATIENCE.pause * 2 ** max(0, fruitless - 1))


def _wait(seconds: float, cancelled: Callable[[], bool]) -> None:
    end = monotonic() + seconds
    while monotonic() < end:
        if cancelled():
            raise DownloadCancelled
        sleep(min(TICK, seconds))


def _complete(url: str, file: RepoFile, part: Path, meter: Meter, cancelled: Callable[[], bool]) -> str:
    """Append to a part what is missing; return the checksum of it all, of the kind that the hub names."""
    checksum = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size)
    if _size(part) > file.size:
        part.unlink()
    with open(part, "a+b") as out:
        out.seek(0)
        while data := out.read(_PIECE):
            if cancelled():
                raise DownloadCancelled
            checksum.update(data)
        have = out.tell()
        meter.show(file.path, have)
        if have < file.size:
            for data in _watched(partial(_pieces, url, have), cancelled):
                out.write(data)
                checksum.update(data)
                have += len(data)
                meter.show(file.path, have, len(data))
                if have > file.size:
                    break
        out.flush()
        os.fsync(out.fileno())
    return checksum.hexdigest()


def _watched(pieces: Callable[[], Iterator[bytes]], cancelled: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the pieces, and an empty one at every tick in which nothing comes.

    Raises DownloadCancelled when asked to, and Stalled where too little comes for too long.
    """
    began = last = monotonic()
    count = 0
    for data in ticking(pieces):
        now = monotonic()
        if cancelled():
            raise DownloadCancelled
        if data:
            last = now
            count += len(data)
        yield data or b""
        if now - last > PATIENCE.silence:
            raise Stalled(f"nothing came for {PATIENCE.silence:.0f} seconds")
        if now - began > PATIENCE.window:
            if count < PATIENCE.slowest * PATIENCE.window:
                raise Stalled(f"only {count:,} bytes came in {PATIENCE.window:.0f} seconds")
            began, count = now, 0


def _pieces(url: str, start: int) -> Iterator[bytes]:
    """Yield a file from byte `start` on. Authorisation goes to the hub alone, not to where it redirects."""
    client = hub_client()
    token = None if url.startswith(endpoint() or client.constants.ENDPOINT) else False
    headers = {**client.utils.build_hf_headers(token=token), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    times = (PATIENCE.connect, PATIENCE.silence, PATIENCE.silence, PATIENCE.silence)
    with client.get_session().stream("GET", url, headers=headers, timeout=times) as response:
        if response.status_code >= 400:
            raise Refused(response)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise WebPage(url)
        if start and response.status_code != 206:
            raise _NoRanges
        if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise Damaged("another part of the file")
        yield from response.iter_bytes()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

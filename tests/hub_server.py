"""A hub of data sets and models on 127.0.0.1, as the client of https://huggingface.co/docs/hub/api speaks with it.

`with serve({"owner/name": Repo({"train.parquet": data})}) as hub:` gives its address as `hub.url`, for HF_ENDPOINT.
Models are the second argument. Their weights are redirected to another host name, as the hub does with large files,
and `hub.faults` says which answers go wrong, and how.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

REVISION = r"(refs%2F[^/]+|refs/[^/]+/[^/]+|[^/]+)"
API = re.compile(rf"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/{REVISION}/?(.*))?$")
RESOLVE = re.compile(rf"(?:/(datasets))?/([^/]+/[^/]+)/resolve/{REVISION}/(.+)$")
LARGE = (".safetensors", ".bin", ".pt")
"""Suffixes of the files of a model that lie in large file storage."""
PIECE = 16 * 2**10
STRANGER, WRONG = "stranger", "wrong"
"""Tokens: one of an account that may not read gated repositories, and one that the hub does not know."""


@dataclass
class Repo:
    """A data set or a model: its files by path, who may read it, and where its branches stand.

    The list of files of a gated model can be read by everybody, the files cannot; of a gated data set, neither.
    """

    files: dict[str, bytes]
    gated: bool = False
    branches: tuple[str, ...] = ("main",)
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes to claim in place of the true ones."""
    sums: dict[str, str] = field(default_factory=dict)
    """SHA-256 to claim in place of the true ones."""
    licence: str = ""

    @property
    def commit(self) -> str:
        content = sorted((path, _blob(data)) for path, data in self.files.items())
        return hashlib.sha1(repr(content).encode()).hexdigest()

    def entry(self, path: str) -> dict[str, object]:
        data = self.files[path]
        return {"type": "file", "path": path, "size": self.sizes.get(path, len(data)), "oid": _blob(data)}

    def sibling(self, path: str) -> dict[str, object]:
        entry = self.entry(path)
        sibling = {"rfilename": path, "size": entry["size"], "blobId": entry["oid"]}
        if path.endswith(LARGE):
            sibling["lfs"] = {"sha256": self.sha256(path), "size": entry["size"], "pointerSize": 134}
        return sibling

    def sha256(self, path: str) -> str:
        return self.sums.get(path) or _sha256(self.files[path])

    def tree(self, folder: str, recursive: bool) -> list[dict[str, object]]:
        prefix = f"{folder}/" if folder else ""
        inside = [path for path in sorted(self.files) if path.startswith(prefix)]
        parts = [path[len(prefix) :].split("/") for path in inside]
        folders = {"/".join(p[: n + 1]) for p in parts for n in range(len(p) - 1) if recursive or n == 0}
        entries: list[dict[str, object]] = [
            {"type": "directory", "path": prefix + name, "oid": "0" * 40, "size": 0} for name in sorted(folders)
        ]
        return entries + [self.entry(path) for path, p in zip(inside, parts, strict=True) if recursive or len(p) == 1]


@lru_cache(maxsize=256)
def _blob(data: bytes) -> str:
    """Return the id that git gives to a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@lru_cache(maxsize=256)
def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Fault:
    """What goes wrong with answers whose path contains `path`, for the next `times` of them.

    `status` is answered in place of the content, or `body` is, as a web page. The content is cut off after `cut` bytes,
    or stops coming after `stall` bytes while the connection stays open. `pace` is the pause after each `piece` bytes.
    `whole` sends a file from its beginning, whatever part of it was asked for.
    """

    path: str
    times: int = 10**9
    status: int = 0
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    stall: int | None = None
    pace: float = 0.0
    piece: int = PIECE
    whole: bool = False


@dataclass
class Hub:
    """A server at work: its address, what it holds, every request it had, and those that carried a token."""

    url: str
    repos: dict[str, Repo]
    models: dict[str, Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    authorized: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    """The parts of files that were asked for."""
    sent: int = 0
    """Bytes of content that were sent."""
    faults: list[Fault] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None


@contextmanager
def serve(repos: dict[str, Repo], models: dict[str, Repo] | None = None) -> Iterator[Hub]:
    """Serve data sets and models at a free port of this machine for the time of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = server.hub = Hub(f"http://127.0.0.1:{server.server_port}", repos, models or {})  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self._note()
        query = parse_qs(url.query)
        self._fault = self._hub.fault(url.path)
        if self._fault and self._fault.status:
            self._fail(self._fault.status, self._fault.code, "made to fail", self._fault.headers)
        elif self._fault and self._fault.body:
            self._send(200, self._fault.body, "text/html; charset=utf-8", {})
        elif match := API.match(url.path):
            kind, name, what, revision, path = (unquote(part or "") for part in match.groups())
            self._api(kind, name, (what, revision, path), query)
        elif url.path.startswith("/lfs/"):
            self._large(url.path.removeprefix("/lfs/"))
        elif match := RESOLVE.match(url.path):
            self._resolve(*(unquote(part or "models") for part in match.groups()))
        else:
            self._fail(404, "", "no such page")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._note()
        self._fault = None
        match = API.match(urlsplit(self.path).path)
        if not match or match[3] != "paths-info":
            self._fail(404, "", "no such page")
        elif repo := self._open(match[1], unquote(match[2]), unquote(match[4])):
            kind = self.headers.get("Content-Type", "")
            asked = json.loads(body)["paths"] if "json" in kind else parse_qs(body.decode())["paths"]
            known = {entry["path"]: entry for entry in repo.tree("", True)}
            self._json([known[path] for path in asked if path in known])

    @property
    def _hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined]

    @property
    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _note(self) -> None:
        self._hub.requests.append(f"{self.command} {self.path}")
        if self._token:
            self._hub.authorized.append(self.path)
        if "Range" in self.headers and self.path.startswith("/lfs"):
            self._hub.ranges.append(self.headers["Range"])

    def _open(self, kind: str, name: str, revision: str, content: bool = True) -> Repo | None:
        repo = (self._hub.models if kind == "models" else self._hub.repos).get(name)
        if self._token == WRONG:
            self._fail(401, "", "Invalid credentials in Authorization header")
        elif repo is None:
            self._fail(404 if self._token else 401, "RepoNotFound", "Repository not found")
        elif repo.gated and content and self._token in ("", STRANGER):
            self._fail(403 if self._token else 401, "GatedRepo", f"Access to this {kind[:-1]} is restricted")
        elif revision not in ("", repo.commit, *repo.branches):
            self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repo
        return None

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        repo = self._open(kind, name, revision)
        if repo and path not in repo.files:
            self._fail(404, "EntryNotFound", "Entry not found")
        elif repo and kind == "models" and path.endswith(LARGE):
            sha256 = _sha256(repo.files[path])
            port = urlsplit(self._hub.url).port
            headers = {"Location": f"http://localhost:{port}/lfs/{sha256}/{path}", "X-Repo-Commit": repo.commit}
            headers |= {"X-Linked-Size": str(len(repo.files[path])), "X-Linked-ETag": f'"{sha256}"'}
            self._send(302, b"", "text/plain", headers)
        elif repo:
            data = repo.files[path]
            self._content(data, {"X-Repo-Commit": repo.commit, "ETag": f'"{_blob(data)}"'})

    def _large(self, place: str) -> None:
        sha256, _, path = place.partition("/")
        files = [repo.files[path] for repo in self._hub.models.values() if path in repo.files]
        data = next((data for data in files if _sha256(data) == sha256), None)
        if data is None:
            self._fail(404, "", "no such page")
        else:
            self._content(data, {"ETag": f'"{sha256}"'})

    def _content(self, data: bytes, headers: dict[str, str]) -> None:
        headers["Accept-Ranges"] = "bytes"
        whole = self._fault is not None and self._fault.whole
        asked = re.match(r"bytes=(\d+)-(\d*)$", "" if whole else self.headers.get("Range", ""))
        if asked and int(asked[1]) >= len(data):
            self._fail(416, "", "no such range", {"Content-Range": f"bytes */{len(data)}"})
            return
        if asked:
            start, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            data = data[start : end + 1]
        self._send(206 if asked else 200, data, "application/octet-stream", headers)

    def _api(self, kind: str, name: str, asked: tuple[str, str, str], query: dict[str, list[str]]) -> None:
        what, revision, path = asked
        repo = self._open(kind, name, revision, content=kind == "datasets")
        if repo is None:
            return
        if what == "tree":
            recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            tree = repo.tree(path.strip("/"), recursive)
            self._json(tree) if tree or not path else self._fail(404, "EntryNotFound", "Entry not found")
            return
        files = [repo.sibling(path) for path in sorted(repo.files)]
        gated = "manual" if repo.gated and kind == "models" else repo.gated
        about = {"private": False, "gated": gated, "disabled": False, "tags": [], "downloads": 0, "likes": 0}
        if repo.licence:
            about |= {"cardData": {"license": repo.licence}, "tags": [f"license:{repo.licence}"]}
        self._json({"id": name, "_id": "1", "sha": repo.commit, "siblings": files, **about})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), "application/json", {})

    def _fail(self, status: int, code: str, message: str, more: dict[str, str] | None = None) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}) | (more or {})
        self._send(status, json.dumps({"error": message}).encode(), "application/json", headers)

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            self._write(data)
        except ConnectionError:  # the client went away, as it does when a download is cancelled
            self.close_connection = True

    def _write(self, data: bytes) -> None:
        fault = self._fault or Fault("")
        last = min(limit for limit in (fault.cut, fault.stall, len(data)) if limit is not None)
        piece = fault.piece if fault.pace else max(1, last)
        for start in range(0, last, piece):
            sent = data[start : min(start + piece, last)]
            self.wfile.write(sent)
            self._hub.sent += len(sent)
            if fault.pace and self._hub.closing.wait(fault.pace):
                return
        if last < len(data) or fault.stall is not None:
            self.wfile.flush()
            if fault.stall is not None:
                self._hub.closing.wait(60)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

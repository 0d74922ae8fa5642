"""A hub of data sets on 127.0.0.1, as the client of https://huggingface.co/docs/hub/api speaks with it.

`with serve({"owner/name": Repo({"train.parquet": data})}) as hub:` gives its address as `hub.url`, for HF_ENDPOINT.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

REVISION = r"(refs%2F[^/]+|refs/[^/]+/[^/]+|[^/]+)"
API = re.compile(rf"/api/datasets/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/{REVISION}/?(.*))?$")
RESOLVE = re.compile(rf"/datasets/([^/]+/[^/]+)/resolve/{REVISION}/(.+)$")


@dataclass
class Repo:
    """A data set: its files by path, who may read it, and where its branches stand."""

    files: dict[str, bytes]
    gated: bool = False
    branches: tuple[str, ...] = ("main",)
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes to claim in place of the true ones."""

    @property
    def commit(self) -> str:
        content = sorted((path, _hash(data)) for path, data in self.files.items())
        return _hash(repr(content).encode())

    def entry(self, path: str) -> dict[str, object]:
        data = self.files[path]
        return {"type": "file", "path": path, "size": self.sizes.get(path, len(data)), "oid": _hash(data)}

    def tree(self, folder: str, recursive: bool) -> list[dict[str, object]]:
        prefix = f"{folder}/" if folder else ""
        inside = [path for path in sorted(self.files) if path.startswith(prefix)]
        parts = [path[len(prefix) :].split("/") for path in inside]
        folders = {"/".join(p[: n + 1]) for p in parts for n in range(len(p) - 1) if recursive or n == 0}
        found: list[dict[str, object]] = [
            {"type": "directory", "path": prefix + each, "oid": "0" * 40, "size": 0} for each in sorted(folders)
        ]
        return found + [self.entry(path) for path, p in zip(inside, parts, strict=True) if recursive or len(p) == 1]


def _hash(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@dataclass
class Hub:
    """A server at work: its address, its data sets, and every request it had."""

    url: str
    repos: dict[str, Repo]
    requests: list[str] = field(default_factory=list)


@contextmanager
def serve(repos: dict[str, Repo]) -> Iterator[Hub]:
    """Serve data sets at a free port of this machine for the time of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = server.hub = Hub(f"http://127.0.0.1:{server.server_port}", repos)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self._hub.requests.append(f"{self.command} {self.path}")
        query = parse_qs(url.query)
        if found := RESOLVE.match(url.path):
            self._resolve(*map(unquote, found.groups()))
        elif found := API.match(url.path):
            name, what, revision, path = (unquote(each or "") for each in found.groups())
            self._api(name, what, revision, path, query)
        else:
            self._fail(404, "", "no such page")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._hub.requests.append(f"POST {self.path}")
        found = API.match(urlsplit(self.path).path)
        if not found or found[2] != "paths-info":
            self._fail(404, "", "no such page")
        elif repo := self._open(unquote(found[1]), unquote(found[3])):
            kind = self.headers.get("Content-Type", "")
            asked = json.loads(body)["paths"] if "json" in kind else parse_qs(body.decode())["paths"]
            known = {each["path"]: each for each in repo.tree("", True)}
            self._json([known[path] for path in asked if path in known])

    @property
    def _hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined]

    def _open(self, name: str, revision: str) -> Repo | None:
        repo = self._hub.repos.get(name)
        if repo is None:
            self._fail(401, "RepoNotFound", "Repository not found")
        elif repo.gated and "Authorization" not in self.headers:
            self._fail(401, "GatedRepo", "Access to this dataset is restricted")
        elif revision not in ("", repo.commit, *repo.branches):
            self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repo
        return None

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._open(name, revision)
        if repo and path not in repo.files:
            self._fail(404, "EntryNotFound", "Entry not found")
        elif repo:
            data = repo.files[path]
            headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{_hash(data)}"', "Accept-Ranges": "bytes"}
            asked = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
            if asked:
                start, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
                headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
                data = data[start : end + 1]
            self._send(206 if asked else 200, data, "application/octet-stream", headers)

    def _api(self, name: str, what: str, revision: str, path: str, query: dict[str, list[str]]) -> None:
        repo = self._open(name, revision)
        if repo is None:
            return
        if what == "tree":
            recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            found = repo.tree(path.strip("/"), recursive)
            self._json(found) if found or not path else self._fail(404, "EntryNotFound", "Entry not found")
            return
        known = [repo.entry(path) for path in sorted(repo.files)]
        files = [{"rfilename": each["path"], "size": each["size"], "blobId": each["oid"]} for each in known]
        about = {"private": False, "gated": repo.gated, "disabled": False, "tags": [], "downloads": 0, "likes": 0}
        self._json({"id": name, "_id": "1", "sha": repo.commit, "siblings": files, **about})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), "application/json", {})

    def _fail(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(status, json.dumps({"error": message}).encode(), "application/json", headers)

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

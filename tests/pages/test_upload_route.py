"""The upload route: what is accepted, what is refused, and that no partial or foreign file stays."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from tl_core.workspace import Workspace
from ui import upload_route, uploads
from ui.upload_route import TICKET

KNOWN = "0123456789abcdef" * 2


@pytest.fixture
def ticket(workspace: Workspace) -> Path:
    folder = workspace.folder("uploads", KNOWN)
    (folder / TICKET).touch()
    return folder


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(upload_route, "limit", lambda: 3 * 2**20)
    return 3 * 2**20


async def ask(app: Starlette, path: str, body: AsyncIterator[bytes], headers: dict[str, str]) -> tuple[int, bytes]:
    """Send one PUT as a server would; a body that ends early is a browser that went away."""
    answer: list[dict] = []

    async def receive() -> dict:
        try:
            return {"type": "http.request", "body": await anext(body), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        except ConnectionError:
            return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        answer.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        **{"type": "http", "http_version": "1.1", "method": "PUT", "scheme": "http", "query_string": b""},
        **{"path": path, "raw_path": path.encode(), "headers": raw, "server": ("127.0.0.1", 80), "root_path": ""},
    }
    await app(scope, receive, send)
    return answer[0]["status"], b"".join(part.get("body", b"") for part in answer[1:])


def put(path: str, *chunks: bytes, breaks: bool = False, app: Starlette | None = None, **headers: str):  # type: ignore[no-untyped-def]
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        if breaks:
            raise ConnectionError

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(ask(app or Starlette(routes=upload_route.routes()), path, body(), named))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file_arrives_as_it_was_sent(ticket: Path) -> None:
    chunks = [bytes([index]) * 70_000 for index in range(40)]
    assert put(f"/api/upload/{KNOWN}/flowers.zip", *chunks)[0] == 200
    assert (ticket / "flowers.zip").read_bytes() == b"".join(chunks)
    assert files(ticket) == [TICKET, "flowers.zip"]


def test_a_folder_keeps_its_shape_without_what_systems_leave_behind(ticket: Path) -> None:
    for path in ("fl/a/1.jpg", "fl/b/1.jpg", "fl/.DS_Store", "fl/__MACOSX/a/._1.jpg", "fl/Thumbs.db"):
        assert put(f"/api/upload/{KNOWN}/{path}", b"x")[0] in (200, 204)
    assert files(ticket) == [TICKET, "fl/a/1.jpg", "fl/b/1.jpg"]


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "a/../../../b.txt", "a\\..\\..\\b.txt", "/".join("a" * 40), "", "/", "./."]
)
def test_no_path_leaves_its_folder(ticket: Path, workspace: Workspace, path: str) -> None:
    status, answer = put(f"/api/upload/{KNOWN}/{path}", b"x")
    assert status == 400
    assert b"name" in answer
    assert files(workspace.root) == [f"uploads/{KNOWN}/{TICKET}"]


@pytest.mark.parametrize(
    "path", ["a:b?.csv", "C:\\data\\x.csv", "...x", "ü" * 200 + ".zip", "CON", ".ticket", ".x.zip.part"]
)
def test_odd_names_are_kept_inside_and_the_ticket_stays(ticket: Path, workspace: Workspace, path: str) -> None:
    status, _ = put(f"/api/upload/{KNOWN}/{path}", b"x")
    assert status in (200, 204)
    assert (ticket / TICKET).read_bytes() == b""
    assert all(name.startswith(f"uploads/{KNOWN}/") for name in files(workspace.root))


@pytest.mark.parametrize("other", ["f" * 32, "..", "x", KNOWN.upper(), KNOWN[:-1]])
def test_without_a_valid_ticket_nothing_is_accepted(ticket: Path, workspace: Workspace, other: str) -> None:
    status, answer = put(f"/api/upload/{other}/x.zip", b"x")
    assert status in (403, 404)
    assert status == 404 or b"Reload it" in answer
    assert files(workspace.root) == [f"uploads/{KNOWN}/{TICKET}"]


def test_another_site_cannot_send_even_with_the_ticket(ticket: Path) -> None:
    assert put(f"/api/upload/{KNOWN}/x.zip", b"x", sec_fetch_site="cross-site")[0] == 403
    assert put(f"/api/upload/{KNOWN}/x.zip", b"x", sec_fetch_site="same-origin")[0] == 200
    assert files(ticket) == [TICKET, "x.zip"]


def test_a_broken_upload_leaves_nothing_and_counts_nothing(ticket: Path, small_limit: int) -> None:
    app = Starlette(routes=upload_route.routes())
    for _ in range(3):
        put(f"/api/upload/{KNOWN}/x.zip", b"x" * (2 * 2**20), breaks=True, app=app)
        assert files(ticket) == [TICKET]
    assert put(f"/api/upload/{KNOWN}/x.zip", b"x" * small_limit, app=app)[0] == 200


def test_the_limit_is_checked_before_a_byte_is_read_and_over_all_files(ticket: Path, small_limit: int) -> None:
    app = Starlette(routes=upload_route.routes())
    status, answer = put(f"/api/upload/{KNOWN}/x.zip", breaks=True, app=app, content_length=str(small_limit + 1))
    assert status == 413
    assert b"path on this computer" in answer
    assert put(f"/api/upload/{KNOWN}/a.zip", b"x" * (2 * 2**20), app=app)[0] == 200
    assert put(f"/api/upload/{KNOWN}/b.zip", *[b"x" * 2**19] * 3, app=app)[0] == 413  # nothing page_text its length
    assert files(ticket) == [TICKET, "a.zip"]
    assert put(f"/api/upload/{KNOWN}/c.zip", b"x" * 2**20, app=app)[0] == 200


def test_a_full_disk_is_reported(ticket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_route.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    status, answer = put(f"/api/upload/{KNOWN}/x.zip", b"", content_length="11")
    assert status == 507
    assert b"not enough disk space" in answer


def test_equal_names_are_both_kept_and_a_file_is_no_folder(ticket: Path) -> None:
    for content in (b"1", b"2", b"3"):
        assert put(f"/api/upload/{KNOWN}/a.csv", content)[0] == 200
    assert files(ticket) == [TICKET, "a 2.csv", "a 3.csv", "a.csv"]
    assert put(f"/api/upload/{KNOWN}/a.csv/b.csv", b"x")[0] == 400


def test_a_file_created_meanwhile_is_not_overwritten(ticket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other file appears between the check of the name and its reservation."""
    touch = Path.touch

    def late(path: Path, **how: bool) -> None:
        if path.name == ".a.csv.part":
            (ticket / "a.csv").write_bytes(b"other")
        touch(path, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "touch", late)
    assert put(f"/api/upload/{KNOWN}/a.csv", b"mine")[0] == 200
    assert ((ticket / "a.csv").read_bytes(), (ticket / "a 2.csv").read_bytes()) == (b"other", b"mine")
    assert files(ticket) == [TICKET, "a 2.csv", "a.csv"]


def test_the_limit_is_the_one_that_is_configured() -> None:
    assert upload_route.limit() == 8192 * 2**20
    assert upload_route.limit_words() == "8 GB"


def test_names_are_safe() -> None:
    assert uploads.safe_name("x" * 300 + ".zip").endswith(".zip")
    assert len(uploads.safe_name("図" * 300 + ".zip").encode()) <= 255

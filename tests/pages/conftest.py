"""The real app over the real core, on tiny data. Background runs are only queued."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tl_core import fetch_jobs, fetch_worker, import_jobs, import_worker
from tl_core.runs import supervisor
from tl_core.workspace import Workspace
from ui import uploads
from ui.try_out import predictor

ROOT = Path(__file__).parents[2]
PAGES = {path.stem[2:]: str(path) for path in (ROOT / "pages").glob("*.py")}


DROPPED: dict[str, str] = {}
"""The next event of a drop zone, by its ticket, as the browser would send it."""


@pytest.fixture(autouse=True)
def queue_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "start", lambda store, task: store.create(task))
    monkeypatch.setattr(supervisor, "resume", lambda store, run_id: store.resume(run_id))
    monkeypatch.setattr(supervisor, "stop", lambda store, run_id: store.stop(run_id))
    monkeypatch.setattr(predictor, "warm", lambda bundle: None)
    monkeypatch.setattr(import_jobs, "start_process", import_worker.work)  # in this process, to its end
    monkeypatch.setattr(fetch_jobs, "start_process", fetch_worker.work)
    monkeypatch.setattr(uploads, "drop_zone", lambda lead, ticket, **more: DROPPED.pop(ticket, ""))


@pytest.fixture
def app(workspace: Workspace) -> AppTest:
    """The app on its first page, with an empty workspace."""
    return AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60)


def csv_bytes(rows: int = 40) -> bytes:
    lines = ["text,label"]
    for index in range(rows):
        label = ("praise", "complaint")[index % 2]
        lines.append(f'"{label} number {index} about the parcel and the weather",{label}')
    return "\n".join(lines).encode()


def zip_bytes(per_class: int = 12, classes: tuple[str, ...] = ("daisy", "tulip")) -> bytes:
    buffer, draw = io.BytesIO(), np.random.default_rng(0)
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, label in enumerate(classes):
            for index in range(per_class):
                pixels = draw.integers(0, 120, (24, 24, 3), dtype=np.uint8) + np.uint8(min(100 * number, 130))
                picture = io.BytesIO()
                Image.fromarray(pixels).save(picture, "PNG")
                archive.writestr(f"{label}/{index:03d}.png", picture.getvalue())
        archive.writestr("__MACOSX/._junk", b"x")
    return buffer.getvalue()


def upload(app: AppTest, name: str, content: bytes, key: str = "data_upload") -> AppTest:
    """Drop a file on the data page."""
    app.run()
    ticket = app.session_state[f"{key}_ticket"]
    (Workspace.default().folder("uploads", ticket) / name).write_bytes(content)
    DROPPED[ticket] = "sent"
    return app.run()


def page_text(app: AppTest) -> str:
    """All text of the page, in one string."""
    parts = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    return "\n".join(str(part.value) for part in parts)

"""Import jobs in processes of their own: their states, cancelling, and that a cancelled one leaves nothing behind."""

import io
import os
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tl_core import background, import_jobs, import_worker
from tl_core.backbones.reading import profile_for
from tl_core.data.options import ImportOptions
from tl_core.data.sources import import_data, open_dataset
from tl_core.import_jobs import ImportRequest
from tl_core.runs import process
from tl_core.types import load
from tl_core.workspace import Workspace, read_json

SLOW = 60.0


def pictures(path: Path, count: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(count):
            picture = io.BytesIO()
            pixels = np.full((16, 16, 3), index % 251, dtype=np.uint8)
            pixels[0, 0] = index // 251
            Image.fromarray(pixels).save(picture, "PNG")
            archive.writestr(f"{'ab'[index % 2]}/{index:05d}.png", picture.getvalue())
    return path


def uploaded(workspace: Workspace, name: str) -> Path:
    return workspace.folder("uploads", "0123") / name


def until(workspace: Workspace, name: str, stage: str) -> None:
    deadline = time.monotonic() + SLOW
    while time.monotonic() < deadline:
        latest = import_jobs.read_import(workspace, name)
        assert latest is not None
        assert latest.state.status == "working", latest.state
        if latest.state.stage == stage and (latest.state.done or stage == "Opening the source"):
            return
        time.sleep(0.01)
    raise AssertionError("the import never got there")


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a source whose import hangs, like a network disk that does not answer."""
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "from tl_core.data import sources\n"
        "look = sources.preview_source\n"
        "def preview_source(source, *rest):\n"
        "    time.sleep(600) if source.endswith('endless.csv') else None\n"
        "    return look(source, *rest)\n"
        "sources.preview_source = preview_source\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(import_jobs.__file__).parents[1]}")
    (tmp_path / "endless.csv").write_text("text,label\n")
    return str(tmp_path / "endless.csv")


def everything(workspace: Workspace) -> list[str]:
    """Return every file of the workspace, hidden ones too."""
    return [str(path.relative_to(workspace.root)) for path in workspace.root.rglob("*") if path.is_file()]


def test_an_upload_becomes_a_data_set_and_goes(workspace: Workspace) -> None:
    source = pictures(uploaded(workspace, "letters.zip"), 20)
    started = import_jobs.start_import(workspace, ImportRequest(str(source), project="p1"))
    now = import_jobs.wait_for_import(workspace, started, SLOW)
    assert now is not None
    assert now.state.status == "done", now.state
    dataset = open_dataset(workspace, now.state.fingerprint)
    assert (dataset.name, len(dataset.items), dataset.classes) == ("letters", 20, ("a", "b"))
    assert not source.parent.exists()
    assert import_jobs.latest_import(workspace, "p1") == now  # another tab finds it
    assert import_jobs.latest_import(workspace, "p2") is None
    import_jobs.cancel_import(workspace, now.id)
    assert import_jobs.latest_import(workspace, "p1") is None
    assert open_dataset(workspace, now.state.fingerprint).folder.is_dir()


def test_a_table_is_shown_first_and_goes_on_as_corrected(workspace: Workspace, tmp_path: Path) -> None:
    rows = "".join(f"{index};a note on goal {index};{'ab'[index % 2]};x{index % 3}\n" for index in range(30))
    (tmp_path / "notes.csv").write_text("nr;note;kind;other\n" + rows)
    started = import_jobs.start_import(workspace, ImportRequest(str(tmp_path / "notes.csv"), project="p1"))
    asking = import_jobs.wait_for_import(workspace, started, SLOW)
    assert asking is not None
    assert asking.state.status == "asking"
    assert asking.preview is not None
    assert (asking.preview.text_column, asking.preview.delimiter, asking.preview.n_rows) == ("note", ";", 30)
    assert not (workspace.root / "datasets").exists()
    again = import_jobs.wait_for_import(
        workspace, import_jobs.resume_import(workspace, asking, ImportOptions(delimiter=","), False), SLOW
    )
    assert again is not None
    assert again.preview is not None
    assert len(again.preview.columns) == 1
    done = import_jobs.wait_for_import(
        workspace, import_jobs.resume_import(workspace, again, ImportOptions("mine", "note", "other", ";")), SLOW
    )
    assert done is not None
    assert done.preview is None
    dataset = open_dataset(workspace, done.state.fingerprint)
    assert (dataset.name, dataset.classes) == ("mine", ("x0", "x1", "x2"))
    assert (tmp_path / "notes.csv").exists()  # what was not uploaded is not ours


def test_the_page_that_follows_does_not_wait_for_the_profile(workspace: Workspace, monkeypatch) -> None:
    started = import_jobs.start_import(
        workspace, ImportRequest(str(pictures(uploaded(workspace, "letters.zip"), 20)), project="p1")
    )
    now = import_jobs.wait_for_import(workspace, started, SLOW)
    assert now is not None
    dataset = open_dataset(workspace, now.state.fingerprint)
    monkeypatch.setattr("tl_core.data.profile.count_classes", None)
    assert profile_for(dataset).n == 20


@pytest.mark.parametrize("earlier", [False, True])
def test_a_data_set_goes_where_its_profile_was_cancelled_unless_it_was_there_before(
    workspace: Workspace, tmp_path: Path, monkeypatch, earlier: bool
) -> None:
    request = ImportRequest(str(pictures(tmp_path / "letters.zip", 20)))
    existing = [import_data(request.source, workspace).fingerprint] if earlier else []

    def cancelled(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(import_worker, "profile_for", cancelled)
    with pytest.raises(SystemExit):
        import_worker._import(request, workspace, lambda stage, done, total: None)
    assert [path.name for path in workspace.folder("datasets").iterdir()] == existing


def test_an_import_that_is_cancelled_when_its_data_set_is_whole_is_done(workspace: Workspace, tmp_path, monkeypatch):
    """The signal comes after the data set is complete but before the state says so: it still counts as done."""
    source = pictures(uploaded(workspace, "letters.zip"), 20)
    discard = background.delete_upload

    def late(*arguments: object) -> None:
        background.end_work(import_worker._COMPLETE)
        discard(*arguments)

    monkeypatch.setattr(import_jobs, "start_process", import_worker.work)
    monkeypatch.setattr(background, "delete_upload", late)
    started = import_jobs.start_import(workspace, ImportRequest(str(source), project="p1"))
    assert started.state.status == "done"
    assert len(open_dataset(workspace, started.state.fingerprint).items) == 20
    assert import_jobs.cancel_import(workspace, started.id), "whoever cancels is told"
    assert not source.parent.exists()
    assert list((workspace.root / "imports").iterdir()) == []


def test_what_cannot_be_read_ends_in_a_sentence_and_can_be_tried_again(workspace: Workspace, tmp_path: Path) -> None:
    now = import_jobs.wait_for_import(
        workspace, import_jobs.start_import(workspace, ImportRequest(str(tmp_path / "none.zip"))), SLOW
    )
    assert now is not None
    assert now.state.status == "failed"
    assert "none.zip" in now.state.message
    assert now.state.hint
    pictures(tmp_path / "none.zip", 6)
    again = import_jobs.wait_for_import(
        workspace, import_jobs.resume_import(workspace, now, now.request.options, now.request.confirmed), SLOW
    )
    assert again is not None
    assert again.state.status == "done"


def test_a_cancelled_import_leaves_nothing(workspace: Workspace) -> None:
    source = pictures(uploaded(workspace, "many.zip"), 8000)
    started = import_jobs.start_import(workspace, ImportRequest(str(source)))
    until(workspace, started.id, "Reading pictures")
    owner = load(process.Owner, read_json(workspace.root / "imports" / started.id / background.OWNER))
    import_jobs.cancel_import(workspace, started.id)
    assert not process.alive(owner)
    assert everything(workspace) == []
    assert list((workspace.root / "datasets").iterdir()) == []
    assert list((workspace.root / "imports").iterdir()) == []
    assert list((workspace.root / "uploads").iterdir()) == []


def test_an_import_that_hangs_in_a_read_can_be_cancelled(workspace: Workspace, hanging: str) -> None:
    started = import_jobs.start_import(workspace, ImportRequest(hanging))
    until(workspace, started.id, "Opening the source")
    before = time.monotonic()
    import_jobs.cancel_import(workspace, started.id)
    assert time.monotonic() - before < background.PATIENCE
    assert everything(workspace) == []


def test_a_new_import_of_a_project_takes_the_place_of_the_last(workspace: Workspace, hanging: str) -> None:
    first = import_jobs.start_import(workspace, ImportRequest(hanging, project="p"))
    extra = import_jobs.start_import(workspace, ImportRequest("sample:digits", project="p", role="target"))
    second = import_jobs.start_import(workspace, ImportRequest("sample:digits", project="p"))
    assert import_jobs.read_import(workspace, first.id) is None
    latest = [import_jobs.latest_import(workspace, "p", role) for role in ("data", "target")]
    assert [job.id for job in latest if job] == [second.id, extra.id]
    for job in (extra, second):
        now = import_jobs.wait_for_import(workspace, job, SLOW)
        assert now is not None
        assert now.state.status == "done"


@pytest.mark.parametrize(
    ("number", "message"), [(signal.SIGKILL, "ended unexpectedly"), (signal.SIGTERM, "was closed")]
)
def test_an_import_that_is_ended_from_outside_says_so(
    workspace: Workspace, hanging: str, number: signal.Signals, message: str
) -> None:
    started = import_jobs.start_import(workspace, ImportRequest(hanging))
    until(workspace, started.id, "Opening the source")
    owner = load(process.Owner, read_json(workspace.root / "imports" / started.id / background.OWNER))
    if number == signal.SIGTERM:
        import_jobs.stop_all(workspace)
    else:
        os.kill(owner.pid, number)
    now = import_jobs.wait_for_import(workspace, started, SLOW)
    assert now is not None
    assert now.state.status == "failed"
    assert message in now.state.message


def test_an_import_whose_process_cannot_start_does_not_stay_at_work(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(import_jobs, "start_process", full)
    assert "No space left" in import_jobs.start_import(workspace, ImportRequest("sample:digits")).state.message


@pytest.mark.parametrize("source", ["../../x.zip", "uploads", "uploads/../..", "/etc/hostname", "\0", "sample:digits"])
def test_only_uploads_are_discarded(workspace: Workspace, tmp_path: Path, source: str) -> None:
    own_upload = uploaded(workspace, "mine.zip")
    own_upload.write_bytes(b"x")
    (tmp_path / "x.zip").write_bytes(b"x")
    background.delete_upload(str(workspace.root / source) if source[0] in "u." else source, workspace)
    assert own_upload.exists()
    assert (tmp_path / "x.zip").exists()
    background.delete_upload(own_upload, workspace)
    assert list(workspace.folder("uploads").iterdir()) == []

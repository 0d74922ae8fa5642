"""Fetch jobs: what a person asked for is brought by a process of its own, and can be stopped and gone on with."""

import re
import time
import zipfile
from pathlib import Path

import pytest

from tests.backbones.tiny_checkpoints import bert_files, lay, timm_files
from tests.hub_fixture import local_hub
from tests.hub_server import Fault, Repo
from tl_core import background, fetch_jobs, fetch_worker
from tl_core.backbones import fetched
from tl_core.backbones.catalogue import find_backbone
from tl_core.backbones.hub import torchvision_files
from tl_core.errors import UsageError
from tl_core.fetch_jobs import FetchJob, FetchRequest, FetchState
from tl_core.runs import process
from tl_core.workspace import Workspace, read_value

LEAF, REPO = "resnet50", "timm/resnet50.a1_in1k"
SLOW = 120.0


@pytest.fixture(scope="module")
def repos() -> dict[str, Repo]:
    bert = bert_files()
    return {
        REPO: Repo(timm_files("test_resnet"), licence="apache-2.0"),
        "lab/bert": Repo(bert, licence="mit"),
        "lab/gated": Repo(bert, gated=True),
    }


@pytest.fixture
def hub(repos, workspace, monkeypatch, tmp_path):
    with local_hub(repos, monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the work in this process, to its end."""
    monkeypatch.setattr(fetch_jobs, "start_process", fetch_worker.work)


def until(workspace: Workspace, job: FetchJob, holds) -> FetchJob:
    end = time.monotonic() + SLOW
    while True:
        now = fetch_jobs.read_fetch(workspace, job.id)
        assert now is not None
        if holds(now.state):
            return now
        assert time.monotonic() < end, now.state
        time.sleep(0.02)


def test_a_leaf_is_brought_stopped_and_gone_on_with(hub, workspace):
    hub.faults.append(Fault("/lfs", stall=50_000))
    request = FetchRequest(LEAF, agreed=True)
    job = fetch_jobs.start_fetch(workspace, request)
    seen = until(workspace, job, lambda state: state.done >= 50_000)
    assert (seen.state.stage, seen.active) == ("bringing", True)
    assert fetch_jobs.start_fetch(workspace, request).active
    weights = len(hub.models[REPO].files["model.safetensors"])
    assert weights < seen.state.total < weights + 10_000
    assert sum("/lfs" in line for line in hub.requests) == 1, "it is brought twice at once"

    owner = read_value(process.Owner, workspace.root / "fetches" / job.id / background.OWNER)
    fetch_jobs.stop_all(workspace)
    assert not process.alive(owner)
    stopped = fetch_jobs.fetch_of(workspace, LEAF)
    assert (stopped.state.status, stopped.state.total) == ("stopped", seen.state.total)
    assert next(iter(fetched.unfinished(workspace).values())) >= 50_000
    assert not find_backbone(LEAF, workspace).ready

    hub.faults.clear()
    done = until(workspace, fetch_jobs.start_fetch(workspace, request), lambda state: state.status == "done")
    assert hub.ranges == ["bytes=50000-"]
    assert done.state.name == f"hub:{REPO}@{hub.models[REPO].commit}"
    assert find_backbone(LEAF, workspace).ready


def test_a_model_of_the_hub_waits_until_its_terms_are_seen(hub, workspace, here):
    job = fetch_jobs.start_fetch(workspace, FetchRequest("hub:lab/bert"))
    offer = job.state.offer
    assert (job.state.status, offer.licence, offer.gated) == ("asking", "mit", False)
    assert offer.bytes == sum(len(data) for data in hub.models["lab/bert"].files.values())
    assert not any("/resolve/" in line for line in hub.requests), "something was downloaded"
    seen = hub.models["lab/bert"].commit
    assert offer.name == f"hub:lab/bert@{seen}"
    done = fetch_jobs.start_fetch(workspace, FetchRequest("hub:lab/bert", agreed=True))
    assert (done.state.status, done.state.name) == ("done", offer.name)
    assert fetch_jobs.start_fetch(workspace, FetchRequest("hub:lab/gated")).state.offer.gated


def test_the_weights_of_torchvision_are_offered_too(workspace, here, monkeypatch):
    monkeypatch.setattr(torchvision_files, "_size", lambda url: 46_830_571)
    job = fetch_jobs.start_fetch(workspace, FetchRequest("torchvision:resnet18"))
    assert job.state.status == "asking", job.state
    assert re.fullmatch(r"torchvision:resnet18@[0-9a-f]{8}", job.state.offer.name)
    assert (job.state.offer.bytes, job.state.offer.licence) == (46_830_571, "")


@pytest.mark.parametrize(
    ("what", "fault", "message", "hint"),
    [
        ("hub:lab/gated", None, "only given to people who are signed in", "hf auth login"),
        ("hub:lab/none", None, "The hub has no model lab/none", "Check how its page spells it"),
        ("hub:lab/bert", Fault("/lfs", status=403), "The hub refuses", "hf auth login"),
        ("medclip", None, "MedCLIP is not on the hub", "https://github.com"),
    ],
)
def test_what_goes_wrong_is_told_with_a_way_on(what, fault, message, hint, hub, workspace, here):
    hub.faults += [fault] if fault else []
    fetch_jobs.start_fetch(workspace, FetchRequest(what))
    state = fetch_jobs.start_fetch(workspace, FetchRequest(what, agreed=True)).state
    assert state.status == "failed"
    assert message in state.message
    assert hint in state.hint
    assert not fetched.fetched(workspace)


def test_an_upload_that_does_not_say_its_network_asks_for_it(hub, workspace, here):
    folder = workspace.folder("uploads", "0123")
    (folder / "mine.safetensors").write_bytes(timm_files("test_vit")["model.safetensors"])
    what = str(folder / "mine.safetensors")
    assert fetch_jobs.start_fetch(workspace, FetchRequest(what)).state.status == "unnamed"
    named = fetch_jobs.start_fetch(workspace, FetchRequest(what, "timm:test_vit"))
    assert named.state.status == "done", named.state
    assert named.state.name.startswith("folder:mine@")
    assert not folder.exists(), "the upload is still there"
    assert find_backbone(named.state.name, workspace).source == "mine.safetensors"
    assert hub.requests == []


def test_an_archive_is_brought_and_its_job_forgotten(workspace, tmp_path, here):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for name, data in bert_files().items():
            archive.writestr(f"own/{name}", data)
    done = fetch_jobs.start_fetch(workspace, FetchRequest(str(tmp_path / "own.zip")))
    assert done.state.status == "done", done.state
    fetch_jobs.dismiss_fetch(workspace, done.id)
    assert fetch_jobs.fetches(workspace) == ()
    assert find_backbone(done.state.name, workspace).modality == "text"
    assert (tmp_path / "own.zip").exists()


def test_a_process_that_died_is_told(workspace, monkeypatch):
    def dies(folder: Path) -> None:
        background.write_owner(folder, 0)
        fetch_jobs.write_state(folder, FetchState(stage="bringing", done=41, total=102))

    monkeypatch.setattr(fetch_jobs, "start_process", dies)
    state = fetch_jobs.start_fetch(workspace, FetchRequest(LEAF, agreed=True)).state
    assert (state.status, state.done, state.total) == ("failed", 41, 102)
    assert "goes on where it was" in state.hint


def test_what_was_agreed_to_is_kept_where_no_process_starts(hub, workspace, here, monkeypatch):
    def refuses(folder: Path) -> None:
        raise OSError(12, "Cannot allocate memory")

    what = "hub:lab/bert"
    offer = fetch_jobs.start_fetch(workspace, FetchRequest(what)).state.offer
    with monkeypatch.context() as patch:
        patch.setattr(fetch_jobs, "start_process", refuses)
        state = fetch_jobs.start_fetch(workspace, FetchRequest(what, agreed=True)).state
    assert (state.status, state.offer) == ("failed", offer)
    assert "Cannot allocate memory" in state.message


def test_nothing_is_fetched_from_the_hub_without_the_offer_that_was_agreed_to(hub, workspace, here):
    state = fetch_jobs.start_fetch(workspace, FetchRequest("hub:lab/bert", agreed=True)).state
    assert (state.status, state.offer.licence) == ("asking", "mit")
    assert not fetched.fetched(workspace)


def test_each_thing_has_a_job_of_its_own_with_a_name_that_is_a_file(tmp_path):
    names = [
        "resnet50",
        "hub:lab/bert",
        "hub:lab/bert@main",
        "timm:resnet18",
        str(tmp_path / "a b"),
        "../../x",
        "é" * 99,
    ]
    ids = [fetch_jobs.job_id(name) for name in names]
    assert len(set(ids)) == len(ids)
    assert all("/" not in each and not each.startswith(".") and len(each.encode()) < 200 for each in ids)


def test_folders_of_ones_own_need_no_process_to_be_refused(workspace, tmp_path, here):
    state = fetch_jobs.start_fetch(workspace, FetchRequest(str(lay(tmp_path / "x", {"a.txt": b"1"})))).state
    assert state.status == "failed"
    assert "holds no weights" in state.message
    with pytest.raises(UsageError):
        find_backbone("folder:x@0123456789ab", workspace)

"""Models downloaded from a hub on this machine: whole and checked or not at all, and what goes wrong, in words."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest

from tests.hub_server import STRANGER, WRONG, Fault, Repo, serve
from tl_core.backbones import fetched
from tl_core.backbones.hub import fetch, listing, transfer
from tl_core.backbones.hub.fetch import fetch_repo
from tl_core.backbones.hub.meter import Meter
from tl_core.backbones.hub.names import HubModel, is_hub_model, parse_model
from tl_core.errors import BackboneError, DownloadCancelled, DownloadError, GraftError, UsageError, WorkspaceError

ROOT = Path(__file__).resolve().parents[2]
KIB = 2**10


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


CONFIG = b'{"model_type": "bert"}'
WEIGHTS = noise(1, 600 * KIB)
BESIDE = {"config.json": CONFIG, "tokenizer.json": noise(2, 40 * KIB), "README.md": b"---\nlicense: mit\n---\n"}
UNWANTED = {
    "modeling.py": b"open('/tmp/graft-ran-it', 'w')", ".gitattributes": b"x", "onnx/model.onnx": b"x",
    "model.fp16.safetensors": b"half", "pytorch_model.bin": b"a pickle", "tf_model.h5": b"tensorflow",
}  # fmt: skip
SHARDS = {f"model-0000{i}-of-00003.safetensors": noise(10 + i, 90 * KIB) for i in (1, 2, 3)}
MODELS = {
    "lab/tiny": Repo({**BESIDE, **UNWANTED, "model.safetensors": WEIGHTS}, branches=("main", "v1.0"), licence="mit"),
    "lab/shards": Repo({**BESIDE, **SHARDS, "model.safetensors.index.json": b'{"weight_map": {}}'}),
    "lab/pickle": Repo({"config.json": CONFIG, "pytorch_model.bin": noise(3, 9 * KIB), "flax_model.msgpack": b"x"}),
    "lab/gated": Repo({**BESIDE, "model.safetensors": WEIGHTS}, gated=True),
    "lab/gap": Repo({"config.json": CONFIG, **dict(list(SHARDS.items())[:2]), "model.safetensors.index.json": b"{}"}),
    "lab/half": Repo({"config.json": CONFIG, "model.fp16.safetensors": b"half"}),
    "lab/flax": Repo({"config.json": CONFIG, "flax_model.msgpack": b"x", "tf_model.h5": b"x"}),
    "lab/adapter": Repo({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}),
    "lab/nameless": Repo({"model.safetensors": WEIGHTS}),
    "lab/changed": Repo({"config.json": CONFIG, "model.safetensors": WEIGHTS}, sums={"model.safetensors": "0" * 64}),
    "lab/huge": Repo({"config.json": CONFIG, "model.safetensors": b"x"}, sizes={"model.safetensors": 2**60}),
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that this process downloads from, without a login and with little patience."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("HF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    quick = replace(transfer.PATIENCE, connect=2, silence=1, window=2, attempts=2, pause=0.01)
    monkeypatch.setattr(transfer, "PATIENCE", quick)
    models = {name: replace(repo) for name, repo in MODELS.items()}
    with serve({}, models) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
        huggingface_hub.close_session()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != fetched.PROVENANCE}


def parts(workspace) -> dict[str, int]:
    """Return the unfinished files in the workspace and how much of each is there."""
    folder = workspace.root / "backbones" / ".parts"
    return {path.name: path.stat().st_size for path in folder.glob("*/*") if path.name.endswith(".part")}


def nothing_is_installed(workspace) -> bool:
    return not fetched.fetched(workspace) and not list((workspace.root / "backbones").glob("[!.]*/*"))


def gets(hub, path: str) -> int:
    """Return how often a file was asked for at the place where it lies."""
    return sum(request.startswith("GET /lfs") and request.endswith(path) for request in hub.requests)


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("hub:lab/tiny", HubModel("lab/tiny")),
        (" hub:lab/my.tiny_2@v1.0 ", HubModel("lab/my.tiny_2", "v1.0")),
        ("hub:gpt2", HubModel("gpt2")),
        ("hub:lab/tiny@refs/pr/1", HubModel("lab/tiny", "refs/pr/1")),
        ("https://huggingface.co/lab/tiny", HubModel("lab/tiny")),
        ("https://huggingface.co/lab/tiny/tree/v1.0/", HubModel("lab/tiny", "v1.0")),
    ],
)
def test_the_name_of_a_model(text, model):
    assert is_hub_model(text)
    assert parse_model(text) == model


@pytest.mark.parametrize(
    "text",
    ["hub:", "hub:../x", "hub:a/b/c", "hub:/etc/passwd", "hub:a/..b", "hub:a--b/c", "hub:a/b@", "hub:a/b@../c",
     "https://huggingface.co/datasets/lab/pets"],
)  # fmt: skip
def test_what_names_no_model(text):
    with pytest.raises(UsageError, match="does not name a model of the hub"):
        parse_model(text)


def test_what_is_needed_comes_and_nothing_else(hub, workspace):
    folder = fetch_repo(workspace, "lab/tiny")
    commit = hub.models["lab/tiny"].commit
    assert folder == workspace.root / "backbones" / "hub" / f"lab--tiny@{commit}"
    assert contents(folder) == {**BESIDE, "model.safetensors": WEIGHTS}
    (provenance,) = fetched.fetched(workspace)
    assert (provenance.name, provenance.licence) == (f"hub:lab/tiny@{commit}", "mit")
    assert (provenance.source, provenance.revision) == ("https://huggingface.co/lab/tiny", commit)
    assert provenance.bytes == len(WEIGHTS)
    assert fetched.folder_of(workspace, provenance.name) == folder
    assert fetched.unfinished(workspace) == {}
    assert not list((workspace.root / "backbones" / ".parts").iterdir())


def test_a_commit_that_is_there_needs_no_network(hub, workspace):
    folder = fetch_repo(workspace, "lab/tiny", "v1.0")
    hub.requests.clear()
    assert fetch_repo(workspace, "lab/tiny", hub.models["lab/tiny"].commit) == folder
    assert hub.requests == []
    assert fetch_repo(workspace, "lab/tiny") == folder
    assert len(hub.requests) == 1


def test_a_branch_that_moved_is_another_backbone(hub, workspace):
    old = fetch_repo(workspace, "lab/tiny")
    hub.models["lab/tiny"] = Repo({**BESIDE, "model.safetensors": noise(7, KIB)})
    new = fetch_repo(workspace, "lab/tiny")
    assert new != old
    assert contents(old)["model.safetensors"] == WEIGHTS
    assert len(fetched.fetched(workspace)) == 2


def test_shards_come_all_with_their_index(hub, workspace):
    files = contents(fetch_repo(workspace, "lab/shards"))
    assert files == {**BESIDE, **SHARDS, "model.safetensors.index.json": b'{"weight_map": {}}'}


def test_a_pickle_is_taken_where_there_is_nothing_better(hub, workspace):
    assert set(contents(fetch_repo(workspace, "lab/pickle"))) == {"config.json", "pytorch_model.bin"}


@pytest.mark.parametrize(
    ("repo", "message"),
    [
        ("lab/gap", "lab/gap holds no weights that can be used: some parts of them are missing."),
        ("lab/half", "lab/half holds no weights that can be used: only the variant model.fp16.safetensors."),
        ("lab/flax", "lab/flax holds no weights that can be used, only weights for TensorFlow and weights for Flax."),
        ("lab/adapter", "only an adapter, which needs the network that it was made for."),
        ("lab/nameless", "lab/nameless holds no config.json, so nothing says which network its weights belong to."),
    ],
)
def test_what_cannot_be_used_is_not_downloaded(repo, message, hub, workspace):
    with pytest.raises(BackboneError) as caught:
        fetch_repo(workspace, repo)
    assert caught.value.message.endswith(message)
    assert "config.json with model.safetensors" in caught.value.hint
    assert hub.sent < KIB


def test_the_folder_is_looked_at_before_the_weights_come(hub, workspace):
    def refuse(folder):
        assert set(contents(folder)) == set(BESIDE)
        raise BackboneError("no such network")

    with pytest.raises(BackboneError, match="no such network"):
        fetch_repo(workspace, "lab/tiny", check=refuse)
    assert gets(hub, "model.safetensors") == 0
    assert nothing_is_installed(workspace)


def test_progress_in_bytes(hub, workspace):
    hub.faults.append(Fault("/lfs", pace=0.02))
    seen = []
    fetch_repo(workspace, "lab/tiny", on_progress=seen.append)
    total = len(WEIGHTS) + sum(map(len, BESIDE.values()))
    assert {progress.total for progress in seen} == {total}
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == total
    middle = [progress for progress in seen if progress.file == "model.safetensors" and 0 < progress.done < total]
    assert len(middle) > 3
    assert 100 * KIB < middle[-1].speed < 2000 * KIB
    assert 0 < middle[0].seconds_left < 20


def test_time_left_is_unknown_while_nothing_comes():
    seen = []
    Meter(1000, seen.append).finish("config.json", 10)
    assert (seen[0].done, seen[0].seconds_left) == (10, None)


@pytest.mark.parametrize("fault", [Fault("/lfs", stall=100 * KIB), Fault("/lfs", pace=0.05), Fault("/api", stall=5)])
def test_it_stops_within_a_second(fault, hub, workspace, monkeypatch):
    monkeypatch.setattr(transfer, "PATIENCE", replace(transfer.PATIENCE, silence=30))
    hub.faults.append(fault)
    asked = []

    def cancelled():
        if not asked and (fault.path == "/api" or parts(workspace).get("model.safetensors.part", 0) >= 64 * KIB):
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(DownloadCancelled, match="kept"):
        fetch_repo(workspace, "lab/tiny", cancelled=cancelled)
    assert time.monotonic() - asked[0] < 1
    assert nothing_is_installed(workspace)
    hub.faults.clear()
    if kept := parts(workspace):
        assert contents(fetch_repo(workspace, "lab/tiny"))["model.safetensors"] == WEIGHTS
        assert hub.ranges == [f"bytes={kept['model.safetensors.part']}-"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/lfs", times=1, cut=200 * KIB),
        Fault("/lfs", times=1, stall=200 * KIB),
        Fault("/lfs", times=1, pace=0.3, piece=100),
        Fault("/lfs", times=1, status=503),
        Fault("/resolve", times=1, status=429, headers={"Retry-After": "0"}),
    ],
    ids=["cut", "stall", "trickle", "503", "429"],
)
def test_what_passes_is_waited_out(fault, hub, workspace):
    hub.faults.append(fault)
    assert contents(fetch_repo(workspace, "lab/tiny"))["model.safetensors"] == WEIGHTS
    assert hub.sent <= len(WEIGHTS) + 50 * KIB
    assert fault.times == 0


def test_a_part_that_is_not_of_this_file_is_thrown_away(hub, workspace):
    hub.faults.append(Fault("/lfs", stall=0, times=3))
    with pytest.raises(DownloadError):
        fetch_repo(workspace, "lab/tiny")
    (part,) = (workspace.root / "backbones" / ".parts").glob("*/model.safetensors.part")
    for content in (b"x" * 1000, b"x" * (len(WEIGHTS) + 5)):
        part.write_bytes(content)
        with part.parent.joinpath("stray.bin").open("wb") as stray:
            stray.write(b"of an earlier version")
        assert contents(fetch_repo(workspace, "lab/tiny")) == {**BESIDE, "model.safetensors": WEIGHTS}
        fetched.delete(workspace, fetched.fetched(workspace)[0].name)
        part.parent.mkdir(parents=True)


def test_a_server_that_cannot_go_on_sends_it_anew(hub, workspace):
    hub.faults += [Fault("/lfs", times=1, cut=200 * KIB), Fault("/lfs", times=2, whole=True)]
    assert contents(fetch_repo(workspace, "lab/tiny"))["model.safetensors"] == WEIGHTS
    assert gets(hub, "model.safetensors") == 3


FAULTS = {
    "cut": (Fault("/lfs", cut=100), "The connection broke off again and again while model.safetensors", "goes on"),
    "stall": (Fault("/lfs", stall=100), "The connection broke off again and again while model.safet", "goes on"),
    "503": (Fault("/lfs", status=503), "The hub has a fault of its own at the moment (status 503).", "some minutes"),
    "503 at once": (Fault("/api", status=503), "The hub has a fault of its own at the moment (status 503)", "minutes"),
    "429": (
        Fault("/resolve", status=429, headers={"Retry-After": "90"}),
        "The hub has had too many requests from here and asks to wait.", "Try again in 90 seconds.",
    ),
    "403": (Fault("/lfs", status=403), "The hub refuses model.safetensors.", "token"),
    "404": (Fault("/lfs", status=404), "lists model.safetensors of lab/tiny but does not have it.", "fetch FOLDER"),
    "page": (Fault("/lfs", body=b"<html>Guest Wi-Fi</html>"), "A web page came in place of model.safe", "sign in"),
    "page at once": (Fault("/api", body=b"<html>Guest Wi-Fi</html>"), "A web page came in place of lab/tiny.", "sign"),
    "silent": (Fault("/api", stall=0), "The hub cannot be reached, so lab/tiny cannot be downloaded.", "fetch FOLDER"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_sentence_and_a_way_on(name, hub, workspace, monkeypatch):
    monkeypatch.setattr(listing, "PATIENCE", 1.0)
    fault, message, hint = FAULTS[name]
    hub.faults.append(fault)
    with pytest.raises(DownloadError) as caught:
        fetch_repo(workspace, "lab/tiny")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert nothing_is_installed(workspace)


@pytest.mark.parametrize(
    ("repo", "revision", "token", "message", "hint"),
    [
        ("lab/none", "", "", "The hub has no model lab/none, or it is private.", "OWNER/NAME"),
        ("lab/none", "", "mine", "The hub has no model lab/none, or it is private.", "OWNER/NAME"),
        ("lab/tiny", "v9", "", "lab/tiny has no revision v9.", "newest"),
        ("lab/gated", "", "", "lab/gated is only given to people who are signed in and have accepted", "hf auth login"),
        ("lab/gated", "", STRANGER, "The account of this machine has no access to lab/gated yet.", "co/lab/gated"),
        ("lab/tiny", "", WRONG, "The hub does not accept the login of this machine.", "hf auth login"),
    ],
)  # fmt: skip
def test_what_is_not_given_says_why(repo, revision, token, message, hint, hub, workspace, monkeypatch):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(DownloadError) as caught:
        fetch_repo(workspace, repo, revision)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_login_opens_a_gated_model_and_goes_to_the_hub_alone(hub, workspace, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "mine")
    folder = fetch_repo(workspace, "lab/gated")
    assert contents(folder)["model.safetensors"] == WEIGHTS
    assert any("/resolve/" in path for path in hub.authorized)
    assert not any(path.startswith("/lfs") for path in hub.authorized), "the token went to the storage"
    assert not any(b"mine" in path.read_bytes() for path in workspace.root.rglob("*.json"))


def test_another_content_than_promised_is_not_kept(hub, workspace):
    with pytest.raises(DownloadError, match=r"arrived twice with another content .*checksum"):
        fetch_repo(workspace, "lab/changed")
    assert gets(hub, "model.safetensors") == 2
    assert parts(workspace) == {}
    assert nothing_is_installed(workspace)


def test_a_small_file_is_checked_by_its_git_id(hub, workspace):
    class Liar(Repo):
        def sibling(self, path):
            return super().sibling(path) | ({"blobId": "0" * 40} if path == "config.json" else {})

    hub.models["lab/tiny"] = Liar(dict(hub.models["lab/tiny"].files))
    with pytest.raises(DownloadError, match=r"config.json of lab/tiny arrived twice"):
        fetch_repo(workspace, "lab/tiny")


def test_too_little_disk_is_told_before_anything_comes(hub, workspace):
    with pytest.raises(WorkspaceError, match=r"needs 1,152,921,504.6 GB, but only .* can be used"):
        fetch_repo(workspace, "lab/huge")
    assert hub.sent < KIB


def test_a_disk_that_fills_up(hub, workspace, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transfer.os, "fsync", full)
    with pytest.raises(WorkspaceError, match=r"disk was full before README.md of lab/tiny had arrived \(No space"):
        fetch_repo(workspace, "lab/tiny")


def test_without_a_hub(hub, workspace, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError) as caught:
        fetch_repo(workspace, "lab/tiny")
    assert caught.value.message == "The hub cannot be reached, so lab/tiny cannot be downloaded."
    assert "bring its folder" in caught.value.hint


def test_without_a_hub_what_was_fetched_before_is_named(hub, workspace, monkeypatch):
    fetch_repo(workspace, "lab/tiny")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError) as caught:
        fetch_repo(workspace, "lab/tiny")
    assert caught.value.hint.endswith(f"hub:lab/tiny@{hub.models['lab/tiny'].commit}")


def test_a_damaged_folder_is_fetched_again(hub, workspace):
    folder = fetch_repo(workspace, "lab/tiny")
    (folder / fetched.PROVENANCE).write_text("damaged")
    (folder / "model.safetensors").unlink()
    assert fetch_repo(workspace, "lab/tiny") == folder
    assert contents(folder)["model.safetensors"] == WEIGHTS


def test_offline_by_choice(hub, workspace, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "is_offline_mode", lambda: True)
    with pytest.raises(DownloadError, match="switched off on this machine by HF_HUB_OFFLINE"):
        fetch_repo(workspace, "lab/tiny")


FETCH = """
import sys
from pathlib import Path
from tl_core.backbones.hub.fetch import fetch_repo
from tl_core.workspace import Workspace
print(fetch_repo(Workspace(Path(sys.argv[1])), "lab/tiny"))
"""


def start(workspace) -> "subprocess.Popen[str]":
    """Start a download in another process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FETCH, str(workspace.root)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition) -> None:
    end = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_download_goes_on_where_it_was(hub, workspace):
    hub.faults.append(Fault("/lfs", stall=300 * KIB))
    process = start(workspace)
    wait_for(lambda: parts(workspace).get("model.safetensors.part", 0) == 300 * KIB)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert nothing_is_installed(workspace)
    (name,) = fetched.unfinished(workspace)
    assert name == f"hub:lab/tiny@{hub.models['lab/tiny'].commit}"
    hub.faults.clear()
    fetch_repo(workspace, "lab/tiny")
    assert hub.ranges == [f"bytes={300 * KIB}-"]
    assert [provenance.name for provenance in fetched.fetched(workspace)] == [name]


def test_two_processes_that_want_the_same_share_one_download(hub, workspace):
    hub.faults.append(Fault("/lfs", pace=0.05, piece=64 * KIB))
    processes = [start(workspace) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert gets(hub, "model.safetensors") == 1
    assert contents(Path(outputs[0][0].strip()))["model.safetensors"] == WEIGHTS


def test_who_waits_for_another_download_can_leave(hub, workspace):
    place = fetched.place_of(workspace, f"hub:lab/tiny@{hub.models['lab/tiny'].commit}")
    leave = threading.Event()
    with fetched.staging(workspace, place, fetch.never) as part:
        assert part
        threading.Timer(0.3, leave.set).start()
        with pytest.raises(DownloadCancelled):
            fetch_repo(workspace, "lab/tiny", cancelled=leave.is_set)
    fetch_repo(workspace, "lab/tiny")


def test_old_leftovers_are_cleared_away_and_those_in_use_are_not(hub, workspace):
    root = workspace.folder("backbones", ".parts")
    for name in ("hub--lab--old@0123456789", "hub--lab--new@0123456789", "own--x@0123456789", "gone-1"):
        (root / name).mkdir()
        (root / name / "model.safetensors.part").write_bytes(b"x")
    for path in (root / "hub--lab--old@0123456789" / "model.safetensors.part", root / "hub--lab--old@0123456789"):
        os.utime(path, (0, 0))
    held = fetched.place_of(workspace, "folder:used@0123456789")
    with fetched.staging(workspace, held, fetch.never):
        fetch_repo(workspace, "lab/tiny")
        assert sorted(path.name for path in root.iterdir()) == ["hub--lab--new@0123456789", "own--used@0123456789"]


def test_a_backbone_is_deleted_whole(hub, workspace):
    fetch_repo(workspace, "lab/tiny")
    (provenance,) = fetched.fetched(workspace)
    fetched.delete(workspace, provenance.name)
    assert nothing_is_installed(workspace)
    assert not list((workspace.root / "backbones" / ".parts").iterdir())
    for name in (provenance.name, "hub:lab/tiny", "folder:../../x@0123456789"):
        with pytest.raises(GraftError, match="backbones"):
            fetched.delete(workspace, name)
    with pytest.raises(BackboneError, match=f"python -m tl_core fetch {provenance.name}"):
        fetched.folder_of(workspace, provenance.name)

"""One's own weights, brought as a folder, an archive or a file: copied whole, or refused in words."""

import errno
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from tl_core.backbones import fetched, own
from tl_core.backbones.own import bring
from tl_core.errors import BackboneError, DataError, DownloadCancelled, GraftError, UsageError, WorkspaceError
from tl_core.workspace import Limits, Workspace

WEIGHTS = save({"layer.weight": np.arange(4000, dtype=np.float32)}, {"format": "pt"})
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "README.md": b"---\ntags: [x]\nlicense: apache-2.0\n---\n# Mine\n",
}
STRAY = {"modeling.py": b"print('never run')", "optimizer.pt": b"large", "1_Pooling/config.json": b"{}"}


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zipped(path: Path, files: dict[str, bytes], inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(inside + name, data)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != fetched.PROVENANCE}


def nothing_is_left(workspace: Workspace) -> bool:
    root = workspace.root / "backbones"
    return not list(root.glob("own/*")) and not list((root / ".parts").glob("*"))


def as_folder(tmp_path: Path) -> Path:
    return lay(tmp_path / "My model", {**FILES, **STRAY})


def as_folder_in_a_folder(tmp_path: Path) -> Path:
    lay(tmp_path / "My model" / "snapshots" / "0123", FILES)
    return tmp_path / "My model"


def as_links(tmp_path: Path) -> Path:
    lay(tmp_path / "blobs", FILES)
    (tmp_path / "My model").mkdir()
    for name in FILES:
        (tmp_path / "My model" / name).symlink_to(tmp_path / "blobs" / name)
    return tmp_path / "My model"


def as_zip(tmp_path: Path) -> Path:
    return zipped(tmp_path / "My model.zip", {**FILES, **STRAY})


def as_zipped_folder(tmp_path: Path) -> Path:
    return zipped(tmp_path / "My model.zip", {**FILES, **STRAY}, "a folder/of mine/")


def as_tar(tmp_path: Path) -> Path:
    lay(tmp_path / "packed", FILES)
    with tarfile.open(tmp_path / "My model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "packed", "packed")
    return tmp_path / "My model.tar.gz"


@pytest.mark.parametrize("make", [as_folder, as_folder_in_a_folder, as_links, as_zip, as_zipped_folder, as_tar])
def test_what_is_needed_is_copied_in(make, workspace, tmp_path):
    source = make(tmp_path)
    seen = []
    folder = bring(workspace, source, on_progress=seen.append)
    assert contents(folder) == FILES
    assert not any(path.is_symlink() for path in folder.iterdir())
    (provenance,) = fetched.fetched(workspace)
    assert provenance.name == f"folder:my-model@{folder.name.partition('@')[2]}"
    assert (provenance.licence, provenance.bytes, provenance.revision) == ("apache-2.0", len(WEIGHTS), "")
    assert provenance.source == str(source)
    assert fetched.folder_of(workspace, provenance.name) == folder
    assert seen[-1].done == seen[-1].total == sum(map(len, FILES.values()))
    assert not list((workspace.root / "backbones" / ".parts").iterdir())
    assert bring(workspace, source) == folder


def test_other_files_make_another_backbone(workspace, tmp_path):
    first = bring(workspace, lay(tmp_path / "mine", FILES))
    second = bring(workspace, lay(tmp_path / "mine", {"tokenizer.json": b'{"other": 1}'}))
    assert first != second
    third = bring(workspace, lay(tmp_path / "mine", {"README.md": b"said differently"}))
    assert third == second


def test_a_file_beside_its_configuration(workspace, tmp_path):
    lay(tmp_path / "mine", {**FILES, "best.safetensors": save({"layer.weight": np.zeros(3, np.float32)})})
    folder = bring(workspace, tmp_path / "mine" / "best.safetensors")
    assert contents(folder)["model.safetensors"] != WEIGHTS
    assert set(contents(folder)) == set(FILES)


@pytest.mark.parametrize(
    ("name", "architecture", "config", "weights"),
    [
        ("w.safetensors", "timm:resnet18", {"architecture": "resnet18"}, "model.safetensors"),
        ("w.pth", "torchvision:resnet18", {"library": "torchvision", "architecture": "resnet18"}, "pytorch_model.bin"),
    ],
)
def test_a_file_alone_is_described_by_hand(name, architecture, config, weights, workspace, tmp_path):
    lay(tmp_path, {name: WEIGHTS, "config.json": b"of something else"})
    files = contents(bring(workspace, tmp_path / name, architecture))
    assert json.loads(files.pop("config.json")) == config
    assert files == {weights: WEIGHTS}


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1000\n"
REFUSED = {
    "nothing": ({}, "", "There is nothing at", "Check the path"),
    "no weights": ({"config.json": b"{}"}, "", "holds no weights that can be used.", "config.json with model"),
    "no config": ({"model.safetensors": WEIGHTS}, "", "mine alone does not say which network", "config.json"),
    "cut": ({**FILES, "model.safetensors": WEIGHTS[:-10]}, "", "is damaged: it has", "again"),
    "empty": ({**FILES, "model.safetensors": b""}, "", "model.safetensors of mine is empty.", "another model"),
    "noise": ({**FILES, "model.safetensors": b"\x99" * 900}, "", "is not a safetensors file.", "again"),
    "no tensors": ({**FILES, "model.safetensors": save({})}, "", "is not a safetensors file.", "again"),
    "pointer": ({**FILES, "model.safetensors": POINTER}, "", "is only a pointer to the weights.", "git lfs pull"),
    "page": ({**FILES, "model.safetensors": b"\n<!DOCTYPE html>"}, "", "is a web page, not weights.", "again"),
    "twice said": (FILES, "timm:resnet18", "mine has a config.json that says which network", "Leave --as out."),
    "misspelt": ({"model.safetensors": WEIGHTS}, "resnet18", "resnet18 does not name a network.", "timm:NAME"),
    "elsewhere": ({"model.safetensors": WEIGHTS}, "timm:../x", "does not name a network.", "timm:NAME"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_words(name, workspace, tmp_path):
    files, architecture, message, hint = REFUSED[name]
    lay(tmp_path / "mine", files)
    with pytest.raises((BackboneError, UsageError)) as caught:
        bring(workspace, tmp_path / "mine", architecture)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert nothing_is_left(workspace)


def test_a_file_that_nothing_describes(workspace, tmp_path):
    lay(tmp_path, {"w.safetensors": WEIGHTS, "notes.txt": b"x"})
    with pytest.raises(UsageError, match=r"w.safetensors alone does not say .* --as timm:NAME"):
        bring(workspace, tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="neither a folder, an archive nor a file of weights"):
        bring(workspace, tmp_path / "notes.txt")


def test_an_archive_that_does_harm(workspace, tmp_path):
    small = Workspace(workspace.root, Limits(unpacked=1000))
    with pytest.raises(DataError, match="would unpack to"):
        bring(small, zipped(tmp_path / "big.zip", FILES))
    with pytest.raises(GraftError, match="damaged"):
        bring(workspace, lay(tmp_path, {"cut.zip": as_zip(tmp_path).read_bytes()[:-100]}) / "cut.zip")
    climbing = bring(workspace, zipped(tmp_path / "climb.zip", {**FILES, "../vocab.txt": b"x", "/merges.txt": b"x"}))
    assert contents(climbing) == FILES
    assert not list(tmp_path.rglob("vocab.txt"))


def test_too_large_for_an_archive(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(own, "MAX_FILE", 1000)
    with pytest.raises(BackboneError, match=r"model.safetensors in My model.zip is larger than .* give the folder"):
        bring(workspace, as_zip(tmp_path))


def test_the_folder_is_looked_at_before_the_weights_come(workspace, tmp_path):
    def refuse(folder):
        assert set(contents(folder)) == {"config.json", "tokenizer.json", "README.md"}
        raise BackboneError("no such network")

    with pytest.raises(BackboneError, match="no such network"):
        bring(workspace, lay(tmp_path / "mine", FILES), check=refuse)
    assert nothing_is_left(workspace)


def test_stopping_leaves_nothing(workspace, tmp_path):
    answers = iter([False, False, True])
    with pytest.raises(DownloadCancelled, match="Nothing was kept"):
        bring(workspace, lay(tmp_path / "mine", FILES), cancelled=lambda: next(answers, True))
    assert nothing_is_left(workspace)


def test_a_full_disk(workspace, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    mine = lay(tmp_path / "mine", FILES)
    with monkeypatch.context() as patched:
        patched.setattr(own.os, "fsync", full)
        with pytest.raises(WorkspaceError, match="No space left"):
            bring(workspace, mine)
    assert nothing_is_left(workspace)
    monkeypatch.setattr(own, "free_bytes", lambda folder: 1000)
    with pytest.raises(WorkspaceError, match=r"needs 16 kB, but only 0 kB can be used"):
        bring(workspace, mine)

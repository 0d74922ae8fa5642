"""Fixtures that every test may use; see tests/tiny.py for what they are made of."""

from pathlib import Path

import pytest

from tl_core.backbones.spec import BACKBONES
from tl_core.data.dataset import Dataset
from tl_core.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace, which is also the default one for the time of the test."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "graft"))
    return Workspace.default()


@pytest.fixture
def tiny_images(workspace: Workspace) -> Dataset:
    """24 images in 3 classes, in the workspace."""
    from tests.tiny import make_images

    return make_images(workspace)


@pytest.fixture
def tiny_texts(workspace: Workspace) -> Dataset:
    """40 texts in 2 classes, in the workspace."""
    from tests.tiny import make_texts

    return make_texts(workspace)


@pytest.fixture
def tiny_pairs(workspace: Workspace) -> Dataset:
    """96 pictures with texts in 2 classes that only the combination decides, in the workspace."""
    from tests.tiny import make_pairs

    return make_pairs(workspace)


@pytest.fixture
def tiny_multilabel(workspace: Workspace) -> Dataset:
    """60 texts with any of 3 labels, in 2 subgroups, in the workspace."""
    from tests.tiny import make_multilabel

    return make_multilabel(workspace)


@pytest.fixture
def tiny_backbones(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Registers the tiny backbones for the time of the test; returns the names (image, text)."""
    from tests.tiny import TINY_IMAGE, TINY_TEXT

    len(BACKBONES)
    known = {**BACKBONES._values, TINY_IMAGE.name: TINY_IMAGE, TINY_TEXT.name: TINY_TEXT}
    monkeypatch.setattr(BACKBONES, "_values", known)
    return TINY_IMAGE.name, TINY_TEXT.name

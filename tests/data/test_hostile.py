"""Whatever a source holds: a data set with a receipt, or one clear sentence; and nothing else is touched.

`GRAFT_FUZZ=10000 pytest tests/data/test_hostile.py` tries so many of each kind; `make fuzz` does. A source that fails
is kept as a file, which the failure names; among so many it is not made smaller first, which could take hours.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.data.files import TWO_CLASSES
from tests.data.hostile import File, tables, tars, zips
from tl_core.data.images import open_image
from tl_core.data.sources import import_data, preview_table
from tl_core.data.split import SPLITS
from tl_core.errors import GraftError
from tl_core.workspace import Limits, Workspace

EXAMPLES = int(os.environ.get("GRAFT_FUZZ", "60"))
LIMITS = Limits(members=50, unpacked=2 * 2**20, pixels=1_000_000, cell=10_000)
DISK = 2 * LIMITS.unpacked
"""Most bytes that one import may leave in the workspace: unpacked files and the manifest."""

written: list[str] = []
"""Files that were opened for writing, from the interpreter's audit events."""
_watching = False


def _hook(event: str, args: tuple) -> None:
    if _watching and event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR) and isinstance(args[0], str | bytes):
        written.append(os.fsdecode(args[0]))


sys.addaudithook(_hook)


class Place:
    """A workspace with one data set, and a folder for the sources."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace(root / "graft", LIMITS)
        self.sources = root / "sources"
        (self.sources / "pets").mkdir(parents=True)
        for name, data in TWO_CLASSES.items():
            path = self.sources / "pets" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        self.earlier = import_data(str(self.sources / "pets"), self.workspace)
        self.before = self.everything()

    def everything(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.root)): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}

    def clean(self) -> None:
        for folder in (self.workspace.root / "datasets").iterdir():
            if folder != self.earlier.folder:
                shutil.rmtree(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("hostile"))


@contextmanager
def kept_if_it_fails(folder: Path, file: File) -> Iterator[None]:
    """If the block fails, write the file to the folder, and name it in the failure."""
    try:
        yield
    except Exception as error:
        folder.mkdir(exist_ok=True)
        path = folder / file[0]
        path.write_bytes(file[1])
        error.add_note(f"The source that failed is kept as {path}")
        raise


def check(place: Place, file: File) -> bool:
    """Import a file; return whether it became a data set."""
    global _watching
    name, data = file
    path = place.sources / name
    path.write_bytes(data)
    written.clear()
    _watching = True
    try:
        preview_table(path, limits=LIMITS)
        dataset = import_data(str(path), place.workspace)
    except GraftError as error:
        _check_sentence(error)
        dataset = None
    finally:
        _watching = False
        left = path.read_bytes()
        path.unlink()
    assert left == data, "the original is never altered"
    if dataset is not None:
        _check_dataset(dataset)
        assert sum(p.stat().st_size for p in dataset.folder.rglob("*") if p.is_file()) <= DISK
    others = [p for p in written if p != os.devnull and "__pycache__" not in p]
    outside = [p for p in others if not Path(p).is_relative_to(place.workspace.root)]
    assert not outside, outside
    assert not list((place.workspace.root / "datasets").glob(".*")), "nothing half-made is left"
    if dataset is None or dataset.folder != place.earlier.folder:  # the same content may come again under another name
        place.clean()
        assert place.everything() == place.before
    return dataset is not None


def _check_sentence(error: GraftError) -> None:
    for text in (error.message, error.hint):
        assert text.endswith((".", ")")), text
        assert len(text) < 700, text
        assert not any(mark in text for mark in ("Traceback", "Error(", "Exception", "<class", "0x", "errno")), text
    assert error.hint


def _check_dataset(dataset) -> None:
    assert len(dataset.items) == dataset.receipt.taken > 0
    assert dataset.items["id"].is_unique
    assert dataset.labels.min() >= 0
    assert dataset.labels.max() < len(dataset.classes) + dataset.multilabel
    assert set(dataset.splits) <= set(SPLITS)
    assert dataset.targets.shape == (len(dataset.items), len(dataset.classes))
    if dataset.modality == "image":
        for path in dataset.items["path"]:
            assert (dataset.folder / path).resolve().is_relative_to(dataset.folder.resolve())
            assert np.asarray(open_image(dataset.folder / path)).shape[2] == 3
    else:
        assert dataset.items["text"].str.len().between(1, LIMITS.cell).all()


QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 1000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


LARGE = settings(QUIET, phases=[Phase.explicit, Phase.generate], print_blob=True)


def test_a_source_that_fails_is_kept_and_named(tmp_path):
    failed = []

    @settings(LARGE, max_examples=60, derandomize=True, database=None)
    @given(zips())
    def holds(file: File) -> None:
        with kept_if_it_fails(tmp_path / "failed", file):
            if b"cats" in file[1]:
                failed.append(file)
                raise AssertionError("not this one")

    with pytest.raises(AssertionError, match="not this one") as error:
        holds()
    name, data = failed[-1]
    path = tmp_path / "failed" / name
    assert f"The source that failed is kept as {path}" in error.value.__notes__
    assert path.read_bytes() == data
    assert failed[0] == failed[-1], "it was not made smaller"
    assert any("reproduce_failure" in note for note in error.value.__notes__)


@pytest.mark.parametrize("kind", [zips, tars, tables], ids=["zip", "tar", "table"])
def test_it_ends_in_a_data_set_or_in_a_sentence(kind, place):
    taken = []

    @(QUIET if EXAMPLES < 1000 else LARGE)
    @given(kind())
    def holds(file: File) -> None:
        with kept_if_it_fails(place.root.with_name(f"{place.root.name}-failed"), file):
            taken.append(check(place, file))

    holds()
    assert any(taken), "something of it can be read"
    assert not all(taken), "and something cannot"

"""The probe (one forward pass of the frozen backbone over a data set) and the feature store that keeps its result."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from tl_core.backbones.compat import default_device
from tl_core.backbones.prepared import PreparedImages, PreparedPairs, PreparedTexts, open_cache, unique_items
from tl_core.backbones.preprocess import ImagePreprocessor, PairPreprocessor, TextPreprocessor, preprocessor
from tl_core.backbones.shift import ShiftMeter
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import BackboneError, DataError, WorkspaceError
from tl_core.types import dump, load
from tl_core.workspace import Workspace, file_name, new_folder, read_json, sweep, write_json

BATCH = 16
"""Pictures per batch of the probe: larger batches are no faster on a CPU, and can be stopped less often."""
TOKENS = 4096
"""Most tokens of a batch of texts, padding included."""
INPUT_BUDGET = 4 * 2**30
"""Bytes of disk for the prepared pictures of all data sets."""
STATE_BUDGET = 8 * 2**30
"""Bytes of disk for a run's activations at its frozen boundary, where memory is too small for them."""
VERSION = 1
"""Counts up when the stored features change, so that older ones are not used."""


@dataclass(frozen=True)
class Probe:
    """What one probe stores besides features: width C of each tap, shift per layer group, item counts and seconds."""

    widths: Mapping[str, int]
    shift: Mapping[str, float]
    items: int
    distinct: int
    seconds: float


class FeatureStore:
    """Pooled features of every layer group of a frozen backbone, per data set, in `workspace`/features.

    The key is the data set's fingerprint, the backbone's name, the hash of its preprocessing, and whether its states
    are pooled at the last token.
    """

    def __init__(self, workspace: Workspace, input_budget: int = INPUT_BUDGET) -> None:
        self.workspace = workspace
        self._budget = input_budget
        self._texts: dict[tuple[str, str], PreparedTexts] = {}

    def has(self, dataset: Dataset, spec: BackboneSpec) -> bool:
        """Return whether the probe has run."""
        return (self._folder(dataset, spec) / "probe.json").exists()

    def probe(self, dataset: Dataset, spec: BackboneSpec) -> Iterator[tuple[int, int]]:
        """Run the backbone once over the data, with a tap after every layer group; yields (done, total) items.

        Identical items run once. Does nothing if the result exists. Closing the generator early leaves nothing behind.
        Raises BackboneError where the backbone is not ready, DataError where an item cannot
        be read, WorkspaceError where the disk is full.
        """
        if self.has(dataset, spec):
            return
        if spec.load is None:
            raise BackboneError(f"{spec.title} is not ready on this machine.", "Choose a backbone that is ready.")
        total = len(dataset.items)
        sweep(self._folder(dataset, spec).parent, ".*.part")
        yield 0, total
        with new_folder(self._folder(dataset, spec)) as folder:
            for done in self._pass(dataset, spec, folder):
                if done < total:
                    yield done, total
        yield total, total

    def features(
        self, dataset: Dataset, spec: BackboneSpec, tap: str | None = None, pool: Literal["mean", "mean_std"] = "mean"
    ) -> np.ndarray:
        """Return float32 features `[N, C]`, or `[N, 2C]` with the means followed by the standard deviations.

        `tap` None is the last layer group. Raises DataError where the probe has not been run.
        """
        probe = self.read(dataset, spec)
        tap = tap or spec.groups[-1].name
        if tap not in probe.widths:
            raise BackboneError(f"{spec.title} has no layer group {tap!r}.", f"It has {', '.join(probe.widths)}.")
        stored = np.load(self._folder(dataset, spec) / f"{tap}.npy", mmap_mode="r")
        return np.array(stored if pool == "mean_std" else stored[:, : probe.widths[tap]], order="C")

    def shift(self, dataset: Dataset, spec: BackboneSpec) -> dict[str, float]:
        """Return the normalisation-statistics shift of each layer group that has such layers (see ShiftMeter)."""
        return dict(self.read(dataset, spec).shift)

    def read(self, dataset: Dataset, spec: BackboneSpec) -> Probe:
        """Return the stored probe. Raises DataError where it has not run."""
        if not self.has(dataset, spec):
            raise DataError(
                f"The features of {dataset.name} by {spec.title} are not there yet.",
                "Run the probe of this data set with this backbone first.",
            )
        return load(Probe, read_json(self._folder(dataset, spec) / "probe.json"))

    def prepared(self, dataset: Dataset, spec: BackboneSpec) -> Sequence[torch.Tensor]:
        """Return every preprocessed item, by row: made when first read, and cached where there is room."""
        prepare = preprocessor(spec)
        if isinstance(prepare, PairPreprocessor):
            pictures, texts = self._pictures(dataset, prepare.image), self._tokens(dataset, prepare.text)
            return PreparedPairs(pictures, texts, prepare)
        if isinstance(prepare, ImagePreprocessor):
            return self._pictures(dataset, prepare)
        assert isinstance(prepare, TextPreprocessor)
        return self._tokens(dataset, prepare)

    def _tokens(self, dataset: Dataset, prepare: TextPreprocessor) -> PreparedTexts:
        name = (dataset.fingerprint, prepare.key)
        if name not in self._texts:
            self._texts[name] = PreparedTexts(dataset, prepare)
        return self._texts[name]

    def _pictures(self, dataset: Dataset, prepare: ImagePreprocessor) -> PreparedImages:
        root = self.workspace.folder("features")
        path = root / dataset.fingerprint / f"inputs-{prepare.key}.records"
        size = 3 * prepare.input.size**2
        return PreparedImages(
            dataset, prepare, open_cache(root, path, len(unique_items(dataset)[0]), size, self._budget)
        )

    def _folder(self, dataset: Dataset, spec: BackboneSpec) -> Path:
        last = "-last" if any(stage["kind"] == "causal" for stage in (spec.card or {}).get("stages", ())) else ""
        name = f"{file_name(spec.name)}-{preprocessor(spec).key}{last}-{VERSION}"
        return self.workspace.root / "features" / dataset.fingerprint / name

    @torch.inference_mode()
    def _pass(self, dataset: Dataset, spec: BackboneSpec, folder: Path) -> Iterator[int]:
        """Fill `folder`, yielding the number of items done."""
        assert spec.load is not None
        started = time.perf_counter()
        device = default_device()
        network = spec.load(True).eval().to(device)
        prepare, items = preprocessor(spec), self.prepared(dataset, spec)
        first, index = unique_items(dataset)
        copies = np.bincount(index)
        taps: dict[int, np.ndarray] = {}
        done = 0
        with ShiftMeter(network) as meter, ThreadPoolExecutor(os.cpu_count()) as pool:
            for batch in _batches(items, first):
                state = prepare.collate(list(pool.map(items.__getitem__, first[batch])), device)
                pooled = network.taps(state, range(len(network.names)))
                for stage, values in pooled.items():
                    if stage not in taps:
                        shape = (len(index), values.shape[1])
                        taps[stage] = _new_array(folder / f"{network.names[stage]}.npy", shape)
                    taps[stage][first[batch]] = values.cpu().numpy()
                done += int(copies[batch].sum())
                yield done
        repeated = np.setdiff1d(np.arange(len(index)), first)
        for stored in taps.values():
            stored[repeated] = stored[first[index[repeated]]]
            stored.flush()  # type: ignore[attr-defined]
        widths = {network.names[stage]: stored.shape[1] // 2 for stage, stored in taps.items()}
        seconds = time.perf_counter() - started
        probe = Probe(widths, meter.by_group(spec.groups), len(index), len(first), seconds)
        write_json(folder / "probe.json", dump(probe))


def _batches(items: Sequence[torch.Tensor], first: np.ndarray) -> Iterator[np.ndarray]:
    """Yield batches of indices into `first`. Texts of similar length share a batch, the longest first."""
    if not isinstance(items, (PreparedTexts, PreparedPairs)):
        yield from np.array_split(np.arange(len(first)), max(1, -(-len(first) // BATCH)))
        return
    lengths = items.lengths[first]
    most = BATCH if isinstance(items, PreparedPairs) else len(first)
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + max(1, min(most, TOKENS // int(lengths[order[start]])))
        yield order[start:stop]
        start = stop


def _new_array(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Make a float32 array on disk with its space reserved. Raises WorkspaceError where the disk is full."""
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        if sys.platform == "linux":  # here a full disk raises an error; later it would crash the process
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        raise WorkspaceError(
            f"There is no room for the features ({error.strerror}).", "Free some space, or delete data sets and runs."
        ) from error
    return array

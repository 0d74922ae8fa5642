"""What the benchmarks share: data, timed runs, sides that are timed in turn, and the result line."""

import argparse
import dataclasses
import hashlib
import importlib
import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from time import perf_counter
from types import ModuleType

import numpy as np
import pandas as pd
import torch

from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec
from tl_core.errors import UsageError
from tl_core.plan import TransferPlan
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, PhaseStarted, RunEnded, RunEvent
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.training.loop import TrainJob, train
from tl_core.workspace import Workspace

BACKBONE = {"image": "efficientnet_lite0", "text": "all_minilm_l6_v2"}
CPU = torch.device("cpu")
PEER_MISSING = 2
"""Exit code of a benchmark whose peer is not installed."""
Ratio = tuple[float, float, float]
"""Median, least and largest."""


def parser(doc: str | None, sample: str, items: int, repeats: int = 5) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark and their defaults; `doc` is the help text."""
    parser_ = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser_.add_argument("--sample", default=sample, help="textile_defects, digits or bbc_news")
    parser_.add_argument("--items", type=int, default=items, help="number of rows of the sample, spread evenly")
    parser_.add_argument("--repeats", type=int, default=repeats)
    return parser_


def peer(package: str, module: str = "") -> ModuleType:
    """Import a module of a peer; if the package is not installed, print that and exit with PEER_MISSING."""
    try:
        ensure_torchvision()
        return importlib.import_module(module or package)
    except ImportError as error:
        print(
            f"This benchmark needs {package} ({error}); requirements-benchmarks.txt says how to install it.",
            file=sys.stderr,
        )
        raise SystemExit(PEER_MISSING) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Discard what a peer prints."""
    with open(os.devnull, "w") as sink, redirect_stdout(sink), redirect_stderr(sink):
        yield


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Lend an empty workspace."""
    with tempfile.TemporaryDirectory() as folder:
        yield Workspace(Path(folder))


def sample(name: str, items: int, place: Workspace) -> Dataset:
    """Return `items` rows of a sample, spread evenly over it, as a data set with its own fingerprint."""
    dataset = import_data(f"sample:{name}", place)
    rows = np.unique(np.linspace(0, len(dataset.items) - 1, min(items, len(dataset.items))).astype(int))
    return _with(dataset, dataset.items.iloc[rows].reset_index(drop=True), dataset.split, str(len(rows)))


def titles(dataset: Dataset) -> Dataset:
    """Return the data set with each text replaced by its first line, the headline."""
    texts = [text.strip().splitlines()[0] for text in dataset.items["text"]]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return _with(dataset, dataset.items.assign(text=texts, digest=digests), dataset.split, "titles")


def split(dataset: Dataset, validation: float = 0.0) -> Dataset:
    """Return the data set without a test part, and with the share `validation` for validation."""
    mark = f"split-{validation}"
    return _with(dataset, dataset.items.assign(given=""), SplitSpec(validation=validation, test=0.0), mark)


def few(dataset: Dataset, per_class: int, test: int, seed: int) -> tuple[Dataset, pd.DataFrame]:
    """Return `per_class` training rows per class, and `test` other items, drawn by `seed`, without duplicates."""
    first = np.sort(np.unique(dataset.items["digest"].to_numpy(dtype=str), return_index=True)[1])
    order = np.random.default_rng(seed).permutation(first)
    labels = dataset.labels[order]
    train = np.concatenate([order[labels == label][:per_class] for label in range(len(dataset.classes))])
    test_rows = order[~np.isin(order, train)][:test]
    chosen = dataset.items.iloc[train].reset_index(drop=True)
    labelled = _with(dataset, chosen, SplitSpec(validation=0.0, test=0.0), f"{per_class}-{seed}")
    return labelled, dataset.items.iloc[test_rows]


def _with(dataset: Dataset, items: pd.DataFrame, spec: SplitSpec, mark: str) -> Dataset:
    changed = dataclasses.replace(dataset, fingerprint=f"{dataset.fingerprint}-{mark}", split=spec)
    changed.__dict__["items"] = items  # fills the cached property
    return changed


def backbone(dataset: Dataset) -> BackboneSpec:
    """Return the backbone that the benchmarks use for a data set's modality."""
    return BACKBONES[BACKBONE[dataset.modality]]


def task_info(dataset: Dataset) -> TaskInfo:
    """Return the task info for a strategy, as it is before a probe."""
    spec, labels = backbone(dataset), dataset.labels[dataset.rows("train")]
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    groups = tuple(group.name for group in spec.groups)
    return TaskInfo(spec.name, spec.modality, groups, len(labels), len(dataset.classes), smallest)


def plan_of(strategy: str, dataset: Dataset) -> TransferPlan:
    """Return a strategy's own plan for a data set; ends the benchmark with the registry's sentence if there is none."""
    try:
        return STRATEGIES[strategy].make(task_info(dataset))
    except UsageError as error:
        raise SystemExit(str(error)) from error


class BarePass:
    """The least that any method pays: read and prepare each item, and run the backbone once, in evaluation mode."""

    def __init__(self, dataset: Dataset, batch: int = 32) -> None:
        spec = backbone(dataset)
        assert spec.load is not None
        self.network = spec.load(True).eval()
        if dataset.modality == "image":
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prepare = preprocessor(spec)
        items, texts = dataset.items, dataset.modality == "text"
        self.raw = items["text"].tolist() if texts else [dataset.folder / path for path in items["path"]]
        # texts in batches of similar length, as a good loop over texts makes them
        order = np.argsort([len(raw) for raw in self.raw], kind="stable") if texts else np.arange(len(self.raw))
        self.batches = [order[at : at + batch] for at in range(0, len(order), batch)]

    @torch.inference_mode()
    def __call__(self) -> float:
        """Return the seconds of one pass."""
        start = perf_counter()
        with ThreadPoolExecutor() as pool:
            for batch in self.batches:
                items = list(pool.map(self.prepare.prepare, [self.raw[row] for row in batch]))
                self.network.pool(self.network.run(self.prepare.collate(items, CPU)))
        return perf_counter() - start


@dataclasses.dataclass(frozen=True)
class Timed:
    """A run's events, and the time of each in seconds since the start."""

    events: Sequence[RunEvent]
    at: Sequence[float]

    @property
    def seconds(self) -> float:
        """How long the whole run took."""
        return self.at[-1]

    def epochs(self, phase: int | None = None) -> list[EpochDone]:
        """Return the epochs of a phase, or of all."""
        return [e for e in self.events if isinstance(e, EpochDone) and phase in (None, e.phase)]

    def learning(self, phase: int) -> float:
        """Return the seconds from the start of a phase (inputs ready) to the end of its last epoch."""
        return self._epochs_at(phase)[-1] - self._start(phase)

    def waited(self, phase: int) -> float:
        """Return the seconds between the end of the previous phase and the start of this one, spent on its inputs."""
        return self._start(phase) - self._epochs_at(phase - 1)[-1]

    def curve(self) -> list[tuple[float, float]]:
        """Return (seconds since the start of the run, validation accuracy) of every epoch."""
        return list(zip(self._epochs_at(None), (e.validation["accuracy"] for e in self.epochs()), strict=True))

    def _start(self, phase: int) -> float:
        timed_events = zip(self.events, self.at, strict=True)
        return next(at for e, at in timed_events if isinstance(e, PhaseStarted) and e.index == phase)

    def _epochs_at(self, phase: int | None) -> list[float]:
        timed_events = zip(self.events, self.at, strict=True)
        return [at for e, at in timed_events if isinstance(e, EpochDone) and phase in (None, e.phase)]


def reached(curve: Sequence[tuple[float, float]], accuracy: float) -> float:
    """Return the first time in a curve of (seconds, accuracy) with at least `accuracy`, or inf if there is none.

    >>> reached([(1.0, 0.5), (2.0, 0.8), (3.0, 0.9)], 0.8)
    2.0
    """
    return next((seconds for seconds, value in curve if value >= accuracy - 1e-9), math.inf)


def run(job: TrainJob) -> Timed:
    """Run a job as the app does; end the benchmark if the run does not succeed."""
    start, events, at = perf_counter(), [], []
    job.folder.mkdir(parents=True, exist_ok=True)
    for event in train(job, MemoryControl()):
        events.append(event)
        at.append(perf_counter() - start)
    end = events[-1]
    if not isinstance(end, RunEnded) or end.status != "done":
        raise SystemExit(f"the run failed: {end}")
    return Timed(events, at)


def measure(legs: Mapping[str, Callable[[], float]], repeats: int, warm: str = "") -> dict[str, list[float]]:
    """Time the legs in turn, in an order that rotates, after one untimed call of the leg `warm`."""
    if warm:
        legs[warm]()
    seconds: dict[str, list[float]] = {name: [] for name in legs}
    for repeat in range(repeats):
        first = repeat % len(legs)
        for name in [*list(legs)[first:], *list(legs)[:first]]:
            seconds[name].append(legs[name]())
        print(f"{repeat + 1}/{repeats}  " + "  ".join(f"{name} {seconds[name][-1]:.2f} s" for name in legs), flush=True)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Return median, least and largest of the ratios, one ratio for each repeat."""
    values = [a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(values), min(values), max(values)


def result(claim: str, ratio: Ratio, n: int, aim: str, **more: object) -> str:
    """Return the last line of a benchmark as JSON; an infinite ratio (a side never reached the target) is null."""
    median, low, high = (round(value, 3) if math.isfinite(value) else None for value in ratio)
    return json.dumps({"claim": claim, "ratio": median, "low": low, "high": high, "n": n, "aim": aim, **more})

"""Claim: training a head for 30 epochs costs little more than ONE forward pass of the backbone over the data.

Measured side by side in one run, on the same items and weights, in turn:

product   the run that the app starts, from an empty feature store: probe, 30 epochs, best weights on disk
pass      one bare pass: read and prepare each item, forward in evaluation mode; the least that any method pays
ordinary  a frozen-backbone loop as usually written: items prepared once, the backbone's forward in every epoch.
          Measured over `--ordinary-epochs` of them and scaled to all.

    python -m benchmarks.head_only [--sample digits] [--items 300] [--repeats 5] [--epochs 30]
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.sources import import_data
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import RunEnded
from tl_core.training.loop import TrainJob, train
from tl_core.workspace import Workspace

BACKBONE = {"image": "efficientnet_lite0", "text": "all_minilm_l6_v2"}
AIM = 1.3
BATCH = 32
CPU = torch.device("cpu")


class Legs:
    """The three ways to the same head, each from the raw items; a call returns seconds."""

    def __init__(self, dataset: Dataset, spec: BackboneSpec, epochs: int, ordinary_epochs: int) -> None:
        self.dataset, self.spec = dataset, spec
        self.epochs, self.ordinary_epochs = epochs, ordinary_epochs
        assert spec.load is not None
        self.network = spec.load(True).eval()
        if dataset.modality == "image":
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prepare = preprocessor(spec)
        items, texts = dataset.items, dataset.modality == "text"
        self.raw = items["text"].tolist() if texts else [dataset.folder / path for path in items["path"]]
        # texts in batches of like length, as any good loop over texts has them
        order = np.argsort([len(raw) for raw in self.raw], kind="stable") if texts else np.arange(len(self.raw))
        self.batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]

    def product(self) -> float:
        """Run what the app runs, from an empty store."""
        phase = Phase("head", self.epochs, {"head": 1e-3})
        plan = TransferPlan(self.spec.name, "feature_extraction", (phase,), batch_size=BATCH)
        with tempfile.TemporaryDirectory() as folder:
            store = FeatureStore(Workspace(Path(folder)))
            start = perf_counter()
            events = list(train(TrainJob(self.dataset, self.spec, plan, 0, Path(folder), store), MemoryControl()))
            seconds = perf_counter() - start
        end = events[-1]
        if not isinstance(end, RunEnded) or end.status != "done":
            raise SystemExit(f"the run failed: {end}")
        return seconds

    @torch.inference_mode()
    def bare(self) -> float:
        """Prepare every item and run the backbone once."""
        start = perf_counter()
        with ThreadPoolExecutor() as pool:
            for batch in self.batches:
                items = list(pool.map(self.prepare.prepare, [self.raw[row] for row in batch]))
                self.network.pool(self.network.run(self.prepare.collate(items, CPU)))
        return perf_counter() - start

    def ordinary(self) -> float:
        """Train a head on a frozen backbone that runs in every epoch; preparation, done once, is not counted."""
        items = [self.prepare.prepare(item) for item in self.raw]
        labels = torch.tensor(self.dataset.labels)
        head = torch.nn.Linear(self.spec.features, len(self.dataset.classes))
        optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3)
        start = perf_counter()
        for _ in range(self.ordinary_epochs):
            for batch in self.batches:
                with torch.no_grad():
                    state = self.prepare.collate([items[row] for row in batch], CPU)
                    features = self.network.pool(self.network.run(state))[0]
                loss = torch.nn.functional.cross_entropy(head(features), labels[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return (perf_counter() - start) * self.epochs / self.ordinary_epochs


def sample(name: str, items: int, workspace: Workspace) -> Dataset:
    """Return `items` rows of a sample, spread evenly over it, under a fingerprint of their own."""
    dataset = import_data(f"sample:{name}", workspace)
    rows = np.unique(np.linspace(0, len(dataset.items) - 1, min(items, len(dataset.items))).astype(int))
    part = dataclasses.replace(dataset, fingerprint=f"{dataset.fingerprint}-{len(rows)}")
    part.__dict__["items"] = dataset.items.iloc[rows].reset_index(drop=True)  # fills the cached property
    return part


def measure(legs: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Time the legs in turn, the order turning too, after one uncounted bare pass."""
    legs["pass"]()
    seconds: dict[str, list[float]] = {name: [] for name in legs}
    for repeat in range(repeats):
        first = repeat % len(legs)
        for name in [*list(legs)[first:], *list(legs)[:first]]:
            seconds[name].append(legs[name]())
        print(f"{repeat + 1}/{repeats}  " + "  ".join(f"{name} {seconds[name][-1]:.2f} s" for name in legs), flush=True)
    return seconds


def ratios(above: list[float], below: list[float]) -> tuple[float, float, float]:
    """Return median, least and largest of the ratios of the repeats, each taken within one repeat."""
    found = [a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(found), min(found), max(found)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", default="textile_defects", help="textile_defects, digits or bbc_news")
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--ordinary-epochs", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = sample(options.sample, options.items, Workspace(Path(folder)))
        spec = BACKBONES[BACKBONE[dataset.modality]]
        legs = Legs(dataset, spec, options.epochs, options.ordinary_epochs)
        print(f"{len(dataset.items)} items of {dataset.name}, {spec.title}, {torch.get_num_threads()} threads")
        seconds = measure({"product": legs.product, "pass": legs.bare, "ordinary": legs.ordinary}, options.repeats)
    median, low, high = ratios(seconds["product"], seconds["pass"])
    faster, slowest, fastest = ratios(seconds["ordinary"], seconds["product"])
    print(f"{options.epochs} epochs of the head cost {median:.2f} forward passes ({low:.2f} to {high:.2f})")
    print(
        f"an ordinary frozen-backbone loop takes {faster:.1f} times as long ({slowest:.1f} to {fastest:.1f}; scaled "
        f"from {options.ordinary_epochs} of {options.epochs} epochs)"
    )
    claim = f"head-only training for {options.epochs} epochs over one forward pass, {spec.name}, {options.sample}"
    result = {"claim": claim, "ratio": round(median, 3), "low": round(low, 3), "high": round(high, 3)}
    print(json.dumps({**result, "n": options.repeats, "aim": f"<= {AIM}", "faster_than_ordinary": round(faster, 1)}))


if __name__ == "__main__":
    main()

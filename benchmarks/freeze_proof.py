"""Claim: the freeze proof (what each layer group did, and whether a frozen one moved) costs almost nothing.

Measured side by side in one run, on the same items, weights and plan, in turn: the seconds from the start of the
first phase to the end of the run, with and without the proof.

watched    the run as the app starts it
unwatched  the same run without the proof

    python -m benchmarks.freeze_proof [--sample bbc_news] [--items 120] [--repeats 5] [--epochs 3] [--whole]
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

from benchmarks import common
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.events import LayerStats, PhaseStarted
from tl_core.training.layer_monitor import LayerMonitor
from tl_core.training.loop import TrainJob
from tl_core.workspace import Workspace

AIM = "<= 1.02"
GROUPS = 3
"""Layer groups that partial fine-tuning trains, the head not counted."""


class Legs:
    """The same run twice; a call returns the seconds from the start of the first epoch to the end of the run."""

    def __init__(self, dataset: Dataset, epochs: int, whole: bool, place: Workspace) -> None:
        self.dataset, self.spec, self.place = dataset, common.backbone(dataset), place
        groups = [group.name for group in self.spec.groups][0 if whole else -GROUPS :]
        phase = Phase("fine-tune", epochs, dict.fromkeys([*groups, "head"], 2e-5))
        self.plan = TransferPlan(self.spec.name, "by hand", (phase,))
        self.measured = 0

    def watched(self) -> float:
        """Run the app's training."""
        return self._run()

    def unwatched(self) -> float:
        """Run the same training without the proof."""
        with (
            mock.patch.object(LayerMonitor, "__init__", return_value=None),
            mock.patch.object(LayerMonitor, "report", _nothing),
        ):
            return self._run()

    def _run(self) -> float:
        with tempfile.TemporaryDirectory() as folder:
            job = TrainJob(self.dataset, self.spec, self.plan, 0, Path(folder), FeatureStore(self.place))
            timed = common.run(job)
        self.measured = max(self.measured, sum(isinstance(event, LayerStats) for event in timed.events))
        began = next(at for event, at in zip(timed.events, timed.at, strict=True) if isinstance(event, PhaseStarted))
        return timed.seconds - began


def _nothing(*arguments: object, **named: object) -> Iterator[LayerStats]:
    yield from ()


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = common.parser(__doc__, "bbc_news", 120)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help=f"train the whole backbone, not its last {GROUPS} groups")
    options = parser.parse_args()
    with common.workspace() as place:
        dataset = common.sample(options.sample, options.items, place)
        legs = Legs(dataset, options.epochs, options.whole, place)
        print(f"{len(dataset.items)} items of {dataset.name}, {legs.spec.title}, {torch.get_num_threads()} threads")
        seconds = common.measure(
            {"watched": legs.watched, "unwatched": legs.unwatched}, options.repeats, warm="watched"
        )
    ratio = common.ratios(seconds["watched"], seconds["unwatched"])
    print(f"{legs.measured} measurements in {options.epochs} epochs cost {100 * (ratio[0] - 1):+.1f} % of their time")
    part = "whole backbone" if options.whole else f"last {GROUPS} groups"
    claim = f"cost of the freeze proof over an epoch, {legs.spec.name}, {part}, {options.sample}"
    print(common.result(claim, ratio, options.repeats, AIM, measurements=legs.measured))


if __name__ == "__main__":
    main()

"""Claim: if only the last blocks are trained, the frozen-prefix cache halves the cost of an epoch.

Measured side by side in one run, the same plan, seed and items, in turn:

cached   the run that the app starts: the frozen stages run once, their activations are cached
without  the same run with `TrainJob.cache=0`: the frozen stages run in every epoch, without a gradient

The median epoch of the fine-tuning phase is timed, with validation. `fill_epochs` is the time to fill the cache, once
per run, in epochs of the side without it; `whole_run` is the ratio of the whole runs. The prepared items are stored
beforehand for both.

    python -m benchmarks.prefix_cache [--sample bbc_news] [--items 300] [--reach one] [--epochs 3] [--repeats 5]
"""

import statistics
from dataclasses import replace

import torch

from benchmarks.common import Timed, backbone, measure, parser, ratios, result, run, sample, task_info, workspace
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import TransferPlan
from tl_core.strategies import STRATEGIES
from tl_core.training.loop import TrainJob
from tl_core.workspace import Workspace

AIM = "<= 0.5"


class Sides:
    """The two runs; a call returns the seconds of the median epoch, and `runs` keeps the timed runs."""

    def __init__(self, dataset: Dataset, place: Workspace, reach: str, epochs: int) -> None:
        self.plan = self._plan(dataset, reach, epochs)
        spec, store = backbone(dataset), FeatureStore(place)
        list(store.probe(dataset, spec))
        self.job = TrainJob(dataset, spec, self.plan, 0, place.root / "run", store)
        self.runs: dict[str, list[Timed]] = {"cached": [], "without": []}

    @staticmethod
    def _plan(dataset: Dataset, reach: str, epochs: int) -> TransferPlan:
        plan = STRATEGIES["partial"].make(task_info(dataset), {"reach": reach, "epochs": epochs})
        return replace(plan, phases=tuple(replace(phase, patience=None) for phase in plan.phases))

    def _run(self, name: str, job: TrainJob) -> float:
        timed = run(job)
        self.runs[name].append(timed)
        return statistics.median(epoch.seconds for epoch in timed.epochs(1))

    def cached(self) -> float:
        """Run as the app does."""
        return self._run("cached", self.job)

    def without(self) -> float:
        """Run without the cache."""
        return self._run("without", replace(self.job, cache=0))

    def accuracy(self, name: str) -> float:
        """Return the best validation accuracy of a side in the last repeat; all repeats have the same seed."""
        return max(epoch.validation["accuracy"] for epoch in self.runs[name][-1].epochs(1))

    def fill(self, name: str) -> float:
        """Return the median seconds between the end of the head and the first step of the last blocks."""
        return statistics.median(timed.waited(1) for timed in self.runs[name])


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "textile_defects", 300)
    options.add_argument("--reach", default="two", choices=("one", "two", "half"), help="blocks that learn")
    options.add_argument("--epochs", type=int, default=3)
    chosen = options.parse_args()
    with workspace() as place:
        dataset = sample(chosen.sample, chosen.items, place)
        sides = Sides(dataset, place, chosen.reach, chosen.epochs)
        learning = ", ".join(sides.plan.phases[1].lr)
        print(f"{len(dataset.items)} items of {dataset.name}, {learning} learn, {torch.get_num_threads()} threads")
        seconds = measure({"cached": sides.cached, "without": sides.without}, chosen.repeats)
    ratio = ratios(seconds["cached"], seconds["without"])
    whole = ratios(*([timed.seconds for timed in sides.runs[name]] for name in ("cached", "without")))
    fill = sides.fill("cached") / statistics.median(seconds["without"])
    accuracy, other = sides.accuracy("cached"), sides.accuracy("without")
    print(f"an epoch costs {ratio[0]:.2f} of one without; validation accuracy {accuracy:.4f}, without {other:.4f}")
    claim = f"an epoch of {learning} over the same without the prefix cache, {chosen.sample}"
    print(
        result(
            claim,
            ratio,
            chosen.repeats,
            AIM,
            accuracy=round(accuracy, 4),
            accuracy_without=round(other, 4),
            whole_run=round(whole[0], 3),
            fill_epochs=round(fill, 2),
        )
    )


if __name__ == "__main__":
    main()

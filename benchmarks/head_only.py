"""Claim: training a head for 30 epochs costs little more than ONE forward pass of the backbone over the data.

Measured side by side in one run, on the same items and weights, in turn:

product   the run that the app starts, from an empty feature store: probe, 30 epochs, best weights on disk
pass      one bare pass: read and prepare each item, forward in evaluation mode; the minimum cost of any method
ordinary  a frozen-backbone loop as usually written: items prepared once, the backbone's forward in every epoch.
          Measured over `--ordinary-epochs` epochs and scaled to all.

    python -m benchmarks.head_only [--sample digits] [--items 300] [--repeats 5] [--epochs 30]
"""

from collections.abc import Callable
from time import perf_counter

import torch

from benchmarks.common import CPU, BarePass, backbone, measure, parser, ratios, result, run, sample, workspace
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.training.loop import TrainJob

AIM = "<= 1.2"
BATCH = 32


def product(dataset: Dataset, epochs: int) -> float:
    """Run the app's training from an empty store; return the seconds."""
    spec = backbone(dataset)
    plan = TransferPlan(spec.name, "feature_extraction", (Phase("head", epochs, {"head": 1e-3}),), batch_size=BATCH)
    with workspace() as place:
        return run(TrainJob(dataset, spec, plan, 0, place.root, FeatureStore(place))).seconds


def ordinary(dataset: Dataset, bare: BarePass, epochs: int) -> float:
    """Train a head on a frozen backbone that runs in every epoch; return the seconds without preparation."""
    items = [bare.prepare.prepare(item) for item in bare.raw]
    labels = torch.tensor(dataset.labels)
    head = torch.nn.Linear(backbone(dataset).features, len(dataset.classes))
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3)
    start = perf_counter()
    for _ in range(epochs):
        for batch in bare.batches:
            with torch.no_grad():
                state = bare.prepare.collate([items[row] for row in batch], CPU)
                features = bare.network.pool(bare.network.run(state))[0]
            loss = torch.nn.functional.cross_entropy(head(features), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return perf_counter() - start


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "textile_defects", 300)
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--ordinary-epochs", type=int, default=1)
    chosen = options.parse_args()
    with workspace() as place:
        dataset = sample(chosen.sample, chosen.items, place)
        bare, scale = BarePass(dataset, BATCH), chosen.epochs / chosen.ordinary_epochs
        title = backbone(dataset).title
        print(f"{len(dataset.items)} items of {dataset.name}, {title}, {torch.get_num_threads()} threads")
        legs: dict[str, Callable[[], float]] = {
            "product": lambda: product(dataset, chosen.epochs),
            "pass": bare,
            "ordinary": lambda: scale * ordinary(dataset, bare, chosen.ordinary_epochs),
        }
        seconds = measure(legs, chosen.repeats, warm="pass")
    ratio = ratios(seconds["product"], seconds["pass"])
    faster, slowest, fastest = ratios(seconds["ordinary"], seconds["product"])
    print(f"{chosen.epochs} epochs of the head cost {ratio[0]:.2f} forward passes ({ratio[1]:.2f} to {ratio[2]:.2f})")
    print(
        f"an ordinary frozen-backbone loop takes {faster:.1f} times as long ({slowest:.1f} to {fastest:.1f}; scaled "
        f"from {chosen.ordinary_epochs} of {chosen.epochs} epochs)"
    )
    claim = f"head-only training for {chosen.epochs} epochs over one forward pass, {chosen.sample}"
    print(result(claim, ratio, chosen.repeats, AIM, faster_than_ordinary=round(faster, 1)))


if __name__ == "__main__":
    main()

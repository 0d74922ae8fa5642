"""Claim: the training engine costs almost nothing over a bare PyTorch loop.

Measured side by side in one run, the same pretrained EfficientNet-Lite0, items, batch size, optimiser, threads,
precision and channels-last layout, in turn:

product  the run that the app starts, including events, gradient clipping and saving the best weights
bare     timm's own network and a linear layer: forward, cross-entropy, backward, AdamW, over items in memory

Counted are the epochs of full fine-tuning: for the product from the start of the phase to the end of its last epoch,
for the loop from the first batch to the last. Building the networks, decoding the pictures and the probe are not
counted. Every item is for training, so neither side validates. The ratio is that of the images per second.

    python -m benchmarks.full_finetuning [--sample digits] [--items 160] [--epochs 2] [--batch 16] [--repeats 5]
"""

from time import perf_counter
from typing import Any

import torch

from benchmarks.common import backbone, measure, parser, ratios, result, run, sample, split, workspace
from tl_core.backbones.compat import default_device
from tl_core.backbones.preprocess import preprocessor
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.training.loop import TrainJob
from tl_core.workspace import Workspace

AIM = ">= 0.97"
RATE = 1e-4
DECAY = 0.01


class Sides:
    """The two loops; a call returns the seconds of `epochs` epochs."""

    def __init__(self, dataset: Dataset, place: Workspace, epochs: int, batch: int, precision: torch.dtype) -> None:
        self.dataset, self.spec = dataset, backbone(dataset)
        self.epochs, self.batch, self.precision = epochs, batch, precision
        groups = [*(group.name for group in self.spec.groups), "head"]
        phase = Phase("everything", epochs, dict.fromkeys(groups, RATE), schedule="constant", weight_decay=DECAY)
        plan = TransferPlan(self.spec.name, "full", (phase,), batch_size=batch)
        self.job = TrainJob(dataset, self.spec, plan, 0, place.root / "run", FeatureStore(place))
        prepared = self.job.store.prepared(dataset, self.spec)
        self.items = [prepared[row] for row in range(len(prepared))]

    def product(self) -> float:
        """Run as the app does."""
        return run(self.job).learning(0)

    def bare(self) -> float:
        """Run a loop as usually written by hand."""
        assert self.spec.load is not None
        network: Any = self.spec.load(True)
        model = torch.nn.Sequential(network.net, torch.nn.Linear(self.spec.features, len(self.dataset.classes)))
        device = default_device()
        model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
        prepare, labels = preprocessor(self.spec), torch.tensor(self.dataset.labels, device=device)
        mixed = torch.autocast(device.type, self.precision, enabled=self.precision != torch.float32)
        start = perf_counter()
        for _ in range(self.epochs):
            for rows in torch.randperm(len(self.items)).split(self.batch):
                (pictures,) = prepare.collate([self.items[row] for row in rows.tolist()], device)
                optimiser.zero_grad()
                with mixed:
                    loss = torch.nn.functional.cross_entropy(model(pictures), labels[rows])
                loss.backward()
                optimiser.step()
        loss.item()
        return perf_counter() - start


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "textile_defects", 160)
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--precision", default="float32", choices=("float32", "bfloat16"), help="of the bare loop")
    chosen = options.parse_args()
    with workspace() as place:
        dataset = split(sample(chosen.sample, chosen.items, place))
        sides = Sides(dataset, place, chosen.epochs, chosen.batch, getattr(torch, chosen.precision))
        print(f"{len(dataset.items)} items of {dataset.name}, {torch.get_num_threads()} threads, {chosen.precision}")
        seconds = measure({"product": sides.product, "bare": sides.bare}, chosen.repeats, warm="bare")
    ratio = ratios(seconds["bare"], seconds["product"])
    images = [sorted(len(dataset.items) * chosen.epochs / s for s in seconds[name]) for name in ("product", "bare")]
    speeds = [speed_runs[len(speed_runs) // 2] for speed_runs in images]
    print(f"{speeds[0]:.1f} images a second, bare {speeds[1]:.1f}")
    claim = f"images per second of full fine-tuning over a bare PyTorch loop, {chosen.sample}, batch {chosen.batch}"
    more = {"images_per_second": round(speeds[0], 1), "bare_images_per_second": round(speeds[1], 1)}
    print(result(claim, ratio, chosen.repeats, AIM, precision=chosen.precision, **more))


if __name__ == "__main__":
    main()

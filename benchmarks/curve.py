"""Claim: a data-efficiency curve over frozen features costs little more than ONE forward pass over the data.

Measured side by side in one run, on the same items and weights, in turn:

product  from an empty feature store: the probe, then the curve's transfer arm, a logistic regression for every label
         count and every draw of `--seeds`, as the app computes and saves it
pass     one bare pass: read and prepare each item, forward in evaluation mode; the minimum cost of any method

The label counts are the app's own: doubling from one item per class to all training items, 7 counts with the default
`--items`. The last count has the same items in every draw, so the app fits it once.

    python -m benchmarks.curve [--sample bbc_news --items 400] [--items 240] [--seeds 10] [--repeats 5]
"""

from time import perf_counter

import torch

from benchmarks.common import BarePass, backbone, measure, parser, ratios, result, sample, task_info, workspace
from tl_core.data.dataset import Dataset
from tl_core.evaluation.curve import sizes, transfer_arm
from tl_core.features import FeatureStore

AIM = "<= 1.2"


class Product:
    """Probe and curve; a call returns seconds, and `fitting` collects the seconds of the curve alone."""

    def __init__(self, dataset: Dataset, seeds: int) -> None:
        self.dataset, self.seeds = dataset, seeds
        self.fitting: list[float] = []
        self.points = 0

    def __call__(self) -> float:
        """Probe the data with an empty store, then measure the whole arm."""
        spec = backbone(self.dataset)
        with workspace() as place:
            start = perf_counter()
            store = FeatureStore(place)
            list(store.probe(self.dataset, spec))
            middle = perf_counter()
            arm = list(
                transfer_arm(self.dataset, store.features(self.dataset, spec), task_info(self.dataset).l2, self.seeds)
            )[-1]
            end = perf_counter()
        self.points = sum(len(point.scores) for point in arm.points)
        self.fitting.append(end - middle)
        return end - start


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "textile_defects", 240)
    options.add_argument("--seeds", type=int, default=10)
    chosen = options.parse_args()
    with workspace() as place:
        dataset = sample(chosen.sample, chosen.items, place)
        counts, product = sizes(dataset), Product(dataset, chosen.seeds)
        print(f"{len(dataset.items)} items of {dataset.name}, counts {counts}, {torch.get_num_threads()} threads")
        seconds = measure({"product": product, "pass": BarePass(dataset)}, chosen.repeats, warm="pass")
    ratio = ratios(seconds["product"], seconds["pass"])
    assert product.points == len(counts) * chosen.seeds
    share = ratios(product.fitting, seconds["product"])[0]
    print(f"probe and curve cost {ratio[0]:.2f} forward passes; the curve is {share:.0%} of it")
    claim = (
        f"data-efficiency curve of {len(counts)} sizes x {chosen.seeds} seeds over one forward pass, {chosen.sample}"
    )
    print(result(claim, ratio, chosen.repeats, AIM, sizes=len(counts), seeds=chosen.seeds, curve_share=round(share, 3)))


if __name__ == "__main__":
    main()

"""Claim: texts are fine-tuned faster than with transformers' `Trainer` at its defaults.

Measured side by side in one run, the same packaged MiniLM, texts, token ids and cut at 256 tokens, in turn:

product  the run that the app starts for full fine-tuning, with the batch size that the strategy gives
trainer  `Trainer(BertForSequenceClassification)` with default `TrainingArguments()`: batches of 8 in random order,
         padded to the longest text, AdamW, linear decay. Progress bar, reports and saving are off.
same     the same Trainer with the product's batch size, to see the difference that is not due to the batch size

The epochs are timed: for the product from the start of the phase to the end of its last epoch, for the Trainer the call
of `train()`. By default the Trainer saves every 500 steps, which is longer than this run, so turning that off changes
nothing. Tokenizing (done beforehand on both sides), the product's probe and loading weights are not counted. Every text
is for training, so neither side validates. The plan is that for the whole sample. The ratio is that of the texts per
second.

`long` are the whole articles, most of them cut; `short` are their headlines. The last line's ratio is that of
`--texts`; with "both" it is that of the long texts, and the field `short` has the other.

So short a run uses float32, because measuring the faster precision would not pay off. A longer run chooses bfloat16
if it is faster; `--precision bfloat16` shows the time of its steps.

    python -m benchmarks.text_trainer [--items 32] [--titles 240] [--texts both] [--epochs 2] [--precision auto]
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from benchmarks.common import (
    Ratio,
    backbone,
    measure,
    parser,
    peer,
    quiet,
    ratios,
    result,
    run,
    sample,
    split,
    task_info,
    titles,
    workspace,
)
from tl_core.backbones.packages import package_file
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.sources import import_data
from tl_core.features import FeatureStore
from tl_core.plan import TransferPlan
from tl_core.strategies import STRATEGIES
from tl_core.training.loop import TrainJob
from tl_core.workspace import Workspace

AIM = ">= 1.3"


class Sides:
    """The product and the Trainer over one data set; a call returns the seconds of the plan's epochs."""

    def __init__(self, dataset: Dataset, place: Workspace, plan: TransferPlan) -> None:
        self.dataset, self.place, self.plan = dataset, place, plan
        spec = backbone(dataset)
        self.job = TrainJob(dataset, spec, self.plan, 0, place.root / "run", FeatureStore(place))
        ids = self.job.store.prepared(dataset, spec)
        labels = dataset.labels.tolist()
        self.rows = [{"input_ids": ids[row].tolist(), "labels": labels[row]} for row in range(len(ids))]

    def product(self) -> float:
        """Run as the app does."""
        return run(self.job).learning(0)

    def trainer(self, **changed: Any) -> float:
        """Run the Trainer with its default arguments, except `changed`."""
        data, folder = self.dataset, self.place.root / "trainer"
        trainer = make_trainer(
            backbone(data), self.rows, len(data.classes), folder, num_train_epochs=self.plan.epochs, **changed
        )
        start = perf_counter()
        with quiet():
            trainer.train()
        return perf_counter() - start

    def same(self) -> float:
        """Run the Trainer with the product's batch size."""
        return self.trainer(per_device_train_batch_size=self.plan.batch_size)


def make_trainer(
    spec: BackboneSpec, rows: Sequence[Mapping[str, Any]], n_classes: int, folder: Path, **changed: Any
) -> Any:
    """Return a Trainer for a classifier with the packaged weights; its arguments are the defaults except `changed`."""
    transformers = peer("transformers")
    weights = package_file(spec.weights.name, "model/config.json").parent
    with quiet():
        model = transformers.BertForSequenceClassification.from_pretrained(weights, num_labels=n_classes)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), disable_tqdm=True, report_to="none", save_strategy="no", **changed
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights)
    return transformers.Trainer(model, arguments, train_dataset=list(rows), processing_class=tokenizer)


def make_plan(name: str, place: Workspace, epochs: int, precision: Any) -> TransferPlan:
    """Return the app's plan for the whole sample, reduced to its fine-tuning phase, with `epochs` epochs."""
    plan = STRATEGIES["full"].make(task_info(import_data(f"sample:{name}", place)), {"epochs": epochs})
    return replace(plan, phases=plan.phases[-1:], precision=precision)


def compare(dataset: Dataset, place: Workspace, plan: TransferPlan, repeats: int) -> tuple[Ratio, dict[str, float]]:
    """Return the ratio to the Trainer with its defaults, and further figures."""
    sides = Sides(dataset, place, plan)
    tokens = sorted(len(row["input_ids"]) for row in sides.rows)
    print(f"{len(tokens)} texts of {tokens[len(tokens) // 2]} tokens (median), batches of {sides.plan.batch_size}")
    legs = {"product": sides.product, "trainer": sides.trainer, "same": sides.same}
    seconds = measure(legs, repeats, warm="trainer")
    median = sorted(seconds["product"])[repeats // 2]
    same = ratios(seconds["same"], seconds["product"])[0]
    speed = len(tokens) * plan.epochs / median
    print(f"{speed:.1f} texts a second; Trainer with the same batch size takes {same:.2f} times as long")
    return ratios(seconds["trainer"], seconds["product"]), {
        "texts_per_second": round(speed, 1),
        "same_batch": round(same, 3),
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "bbc_news", 32)
    options.add_argument("--titles", type=int, default=240, help="how many headlines")
    options.add_argument("--texts", default="both", choices=("long", "short", "both"))
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="of the product")
    chosen = options.parse_args()
    peer("accelerate")
    warnings.filterwarnings("ignore")  # the peer's
    results: dict[str, tuple[Ratio, dict[str, float]]] = {}
    for kind, items in (("long", chosen.items), ("short", chosen.titles)):
        if chosen.texts not in (kind, "both"):
            continue
        with workspace() as place:
            dataset = split(sample(chosen.sample, items, place))
            texts = titles(dataset) if kind == "short" else dataset
            print(f"{kind} texts of {dataset.name}, {torch.get_num_threads()} threads")
            plan = make_plan(chosen.sample, place, chosen.epochs, chosen.precision)
            results[kind] = compare(texts, place, plan, chosen.repeats)
    kinds = list(results)
    ratio, more = results[kinds[0]]
    details: dict[str, object] = dict(more)
    if len(kinds) > 1:
        (median, low, high), other = results["short"]
        details["short"] = {"ratio": round(median, 3), "low": round(low, 3), "high": round(high, 3), **other}
    claim = f"texts per second of fine-tuning over transformers Trainer with its defaults, {kinds[0]} {chosen.sample}"
    print(result(claim, ratio, chosen.repeats, AIM, **details))


if __name__ == "__main__":
    main()

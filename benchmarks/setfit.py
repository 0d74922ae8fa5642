"""Claim: contrastive fine-tuning on a few labelled texts per class is as accurate as the setfit package and faster.

Measured side by side in one run, the same packaged MiniLM weights, the same labelled texts and test texts, in turn:

product  the strategy `--strategy`, with its default options, as the app runs it, from an empty feature store
setfit   `setfit.Trainer` over `SentenceTransformer(packaged weights)` and its logistic head, with
         default `TrainingArguments()`: batches of 16 pairs, one epoch over all pairs with the rarer kind oversampled;
         texts are cut at 256 tokens. Progress bar, reports and saving are off.

Every repeat draws other texts: `--per-class` labelled texts per class, and `--test` test texts. The training is timed:
the call of `train()` for the product, which includes loading the weights, and that of `Trainer.train()` for setfit,
which does not. The accuracies are those on the test texts.

`--texts short` takes the headlines, and "long" the whole articles, which is slow because setfit trains on every pair.

    python -m benchmarks.setfit [--per-class 16] [--test 400] [--texts short] [--strategy contrastive] [--repeats 5]
"""

import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn import linear_model

from benchmarks.common import (
    backbone,
    few,
    parser,
    peer,
    plan_of,
    quiet,
    ratios,
    result,
    run,
    sample,
    titles,
    workspace,
)
from tl_core.backbones.packages import package_file
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.evaluation.predict import PreparedItems, predict
from tl_core.features import FeatureStore
from tl_core.statistics.intervals import t_quantile
from tl_core.training.loop import TrainJob, load_best
from tl_core.workspace import Workspace

AIM = "<= 1, as accurate"
Outcome = tuple[float, float]
"""Seconds of training, accuracy on the test texts."""


def product(dataset: Dataset, test: pd.DataFrame, strategy: str, seed: int, place: Workspace) -> Outcome:
    """Train as the app does, then predict the test texts."""
    spec = backbone(dataset)
    plan = plan_of(strategy, dataset)
    folder = place.root / f"run-{seed}"
    seconds = run(TrainJob(dataset, spec, plan, seed, folder, FeatureStore(place))).seconds
    model = load_best(folder, spec, plan, len(dataset.classes))
    predicted = predict(model, spec, PreparedItems(test["text"].tolist(), preprocessor(spec))).argmax(axis=1)
    return seconds, float(np.mean(predicted == test["label"]))


def setfit(dataset: Dataset, test: pd.DataFrame, seed: int, place: Workspace) -> Outcome:
    """Train the peer, then predict the test texts."""
    texts, labels = dataset.items["text"].tolist(), dataset.labels
    model, seconds = train_setfit(backbone(dataset), texts, labels, seed, place.root / "setfit")
    predicted = np.asarray(model.predict(test["text"].tolist(), show_progress_bar=False))
    return seconds, float(np.mean(predicted == test["label"]))


def train_setfit(
    spec: BackboneSpec, texts: Sequence[str], labels: np.ndarray, seed: int, folder: Path
) -> tuple[Any, float]:
    """Return a trained SetFitModel with the packaged weights in its body, and the seconds of its training."""
    package, encoders, tables = peer("setfit"), peer("sentence_transformers"), peer("datasets")
    body = encoders.SentenceTransformer(str(package_file(spec.weights.name, "model/config.json").parent), device="cpu")
    body.max_seq_length = spec.input.max_tokens  # type: ignore[union-attr]
    # the same head as SetFitModel.from_pretrained makes
    model = package.SetFitModel(model_body=body, model_head=linear_model.LogisticRegression())
    arguments = package.TrainingArguments(
        output_dir=str(folder), seed=seed, save_strategy="no", report_to="none", show_progress_bar=False
    )
    table = tables.Dataset.from_dict({"text": list(texts), "label": labels.tolist()})
    trainer = package.Trainer(model=model, args=arguments, train_dataset=table)
    start = perf_counter()
    with quiet():
        trainer.train()
    return model, perf_counter() - start


def difference(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Return the mean of the paired differences of accuracy with its 95 % interval (Student's t)."""
    differences = np.subtract(ours, theirs)
    mean = float(differences.mean())
    half = (
        t_quantile(len(differences)) * float(differences.std(ddof=1)) / len(differences) ** 0.5
        if len(differences) > 1
        else float("nan")
    )
    return mean, mean - half, mean + half


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "bbc_news", 2225)
    options.add_argument("--per-class", type=int, default=8)
    options.add_argument("--test", type=int, default=400)
    options.add_argument("--texts", default="short", choices=("short", "long"))
    options.add_argument("--strategy", default="contrastive")
    chosen = options.parse_args()
    warnings.filterwarnings("ignore")  # the peer's
    peer("setfit")
    sides: dict[str, list[Outcome]] = {"product": [], "setfit": []}
    for seed in range(chosen.repeats):
        with workspace() as place:
            whole = sample(chosen.sample, chosen.items, place)
            texts = titles(whole) if chosen.texts == "short" else whole
            dataset, test = few(texts, chosen.per_class, chosen.test, seed)
            legs = {
                "product": lambda d=dataset, t=test, s=seed, p=place: product(d, t, chosen.strategy, s, p),
                "setfit": lambda d=dataset, t=test, s=seed, p=place: setfit(d, t, s, p),
            }
            for name in list(legs) if seed % 2 else list(legs)[::-1]:
                sides[name].append(legs[name]())
        line = "  ".join(f"{name} {outcomes[-1][0]:.1f} s {outcomes[-1][1]:.3f}" for name, outcomes in sides.items())
        print(f"{seed + 1}/{chosen.repeats}  {line}", flush=True)
    seconds = {name: [side[0] for side in outcomes] for name, outcomes in sides.items()}
    accuracy = {name: [side[1] for side in outcomes] for name, outcomes in sides.items()}
    mean, low, high = difference(accuracy["product"], accuracy["setfit"])
    ratio = ratios(seconds["product"], seconds["setfit"])
    print(f"{torch.get_num_threads()} threads; accuracy {mean:+.3f} ({low:+.3f} to {high:+.3f}) against setfit")
    claim = (
        f"seconds of {chosen.strategy} over setfit, {chosen.per_class} {chosen.texts} texts a class, {chosen.sample}"
    )
    more = {name: round(statistics.mean(outcomes), 4) for name, outcomes in accuracy.items()}
    print(
        result(
            claim,
            ratio,
            chosen.repeats,
            AIM,
            accuracy=more["product"],
            setfit_accuracy=more["setfit"],
            accuracy_difference=[round(value, 4) for value in (mean, low, high)],
        )
    )


if __name__ == "__main__":
    main()

"""Claim: on data of your own, what Graft advises by default is at least as accurate as its peers with the same weights.

TRAIN and TEST are imported as in the app. Each draw has its own seed. It takes `--labelled` items per class of TRAIN
(default: all) and `--test` items of TEST, and writes them as one data set with a split column. All sides learn from
the same labelled items, start from the same packaged weights, and predict the same test items:

graft               `python -m tl_core train` with its defaults: profile, probe, advice, training, evaluation
logistic regression scikit-learn's, with its defaults, on the frozen features that Graft's probe stored
  standardised      the same, behind a StandardScaler
trainer             texts: transformers `Trainer` with its defaults, 3 epochs
setfit              texts: the setfit package with its defaults; it trains on every pair, which is slow for many items
fastai              pictures: `fine_tune(--fastai-epochs)` with its defaults; see benchmarks.fastai_images

Items of TEST that also occur in TRAIN, or whose label TRAIN does not have, are left out. A peer that is not installed
is named, and the others run. The intervals are paired Student's t intervals over the draws. A draw changes the labelled
items, the test items and the seed, so the intervals cover all three. The "ratio" of the last line is a difference: the
mean accuracy of Graft minus that of the best peer.

    python -m benchmarks.accuracy TRAIN TEST [--labelled 16] [--draws 3] [--test 500] [--peers sklearn trainer ...]
"""

import argparse
import json
import logging
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.common import backbone, peer, quiet, result, workspace
from benchmarks.fastai_images import make_learner, write_pictures
from benchmarks.setfit import difference, train_setfit
from benchmarks.text_trainer import make_trainer
from tl_core.cli.console import Console
from tl_core.data.dataset import Dataset
from tl_core.data.sources import import_data
from tl_core.errors import DataError, GraftError
from tl_core.features import FeatureStore
from tl_core.workspace import Workspace

AIM = ">= 0 above the best peer"
ROOT = Path(__file__).resolve().parents[1]
PEERS = {"text": ("sklearn", "trainer", "setfit"), "image": ("sklearn", "fastai")}
NEEDS = {"sklearn": (), "trainer": ("accelerate",), "setfit": ("setfit",), "fastai": ("fastai", "fastai.vision.all")}
MAX_ITERATIONS = 2000
"""Of the logistic regression: with the default of 100 it does not converge."""
FASTAI_BATCH = 16
"""fastai's default of 64 gives few steps per epoch, and none with fewer than 64 items."""
Scores = Mapping[str, Sequence[float]]
"""Accuracy of each side, by draw."""


@dataclass(frozen=True)
class Draw:
    """Labelled and test items as one data set, with its file, its seed, and the workspace of all sides."""

    file: Path
    dataset: Dataset
    seed: int
    place: Workspace

    @property
    def labelled(self) -> np.ndarray:
        """The rows to learn from."""
        return self.dataset.rows("train", "validation")

    @property
    def test(self) -> np.ndarray:
        """The rows to predict."""
        return self.dataset.rows("test")

    @cached_property
    def folder(self) -> Path:
        """A new folder for the files of this draw."""
        return Path(tempfile.mkdtemp(dir=self.place.root))

    def right(self, predicted: np.ndarray) -> float:
        """Return the accuracy of the predicted classes `[T]` of the test items."""
        return float(np.mean(predicted == self.dataset.labels[self.test]))


def candidates(train: Dataset, test: Dataset) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the distinct items of both, each with its `file` and label `name`; no test item is in train.

    Raises DataError if items have several labels, or if no test item is left.
    """
    if train.multilabel or test.multilabel:
        raise DataError("Items with several labels cannot be compared here.", "Give data with one label an item.")
    if train.modality != test.modality:
        raise DataError(f"{train.name} holds {train.modality}s, {test.name} {test.modality}s.", "Give two of a kind.")
    parts = []
    for data in (train, test):
        items = data.items.assign(name=[data.classes[label] for label in data.labels], file=str(data.folder) + "/")
        items["file"] += items["path"].fillna("")
        parts.append(items.drop_duplicates("digest"))
    train_items, test_items = parts
    test_items = test_items[
        ~test_items["digest"].isin(train_items["digest"]) & test_items["name"].isin(train_items["name"])
    ]
    if test_items.empty:
        raise DataError(
            f"No item of {test.name} can be used as a test item.",
            "Give other items than the training items, with the same labels.",
        )
    return train_items, test_items


def make_draw(
    parts: tuple[pd.DataFrame, pd.DataFrame], modality: str, sizes: tuple[int, int], seed: int, place: Workspace
) -> Draw:
    """Draw and import items; `sizes` is (labelled items per class, test items), and 0 takes all."""
    per_class, count = sizes
    train_items, test_items = (part.sample(frac=1, random_state=seed) for part in parts)
    train_items = train_items.groupby("name", sort=True).head(per_class or len(train_items))
    test_items = test_items.head(count or len(test_items))
    table = pd.concat([train_items.assign(split="train"), test_items.assign(split="test")], ignore_index=True)
    folder = Path(tempfile.mkdtemp(dir=place.root))
    if modality == "image":
        table["path"] = [f"{row}{Path(file).suffix}" for row, file in enumerate(table["file"])]
        for file, name in zip(table["file"], table["path"], strict=True):
            shutil.copyfile(file, folder / name)
    columns = ["path" if modality == "image" else "text", "name", "split"]
    file = folder / "items.csv"
    table[columns].rename(columns={"name": "label"}).to_csv(file, index=False)
    return Draw(file, import_data(str(file), place), seed, place)


def graft(draw: Draw, strategy: str = "") -> tuple[float, str]:
    """Run the command line's `train`; return the accuracy on the test items, and the strategy that it chose.

    `strategy` overrules the advice. Ends the benchmark if the training fails.
    """
    command = [
        *(sys.executable, "-m", "tl_core", "train"),
        str(draw.file),
        "--out",
        str(draw.folder / "graft"),
        "--json",
    ]
    command += ["--label-column", "label", "--seed", str(draw.seed), *(["--strategy", strategy] if strategy else [])]
    home = os.environ | {"GRAFT_HOME": str(draw.place.root)}
    done = subprocess.run(command, cwd=ROOT, env=home, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"Graft's training failed: {done.stderr.strip().splitlines()[-1]}")
    report = json.loads(done.stdout)
    assert report["accuracy"]["n"] == len(draw.test), "all sides must predict the same test items"
    return report["accuracy"]["value"], report["strategy"]


def sklearn(draw: Draw) -> dict[str, float]:
    """Fit logistic regression on the frozen features of the last layer group, as they are and standardised."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    spec, store, labels = backbone(draw.dataset), FeatureStore(draw.place), draw.dataset.labels
    for _ in store.probe(draw.dataset, spec):
        pass
    features = store.features(draw.dataset, spec)
    sides = {
        "logistic regression": LogisticRegression(max_iter=MAX_ITERATIONS),
        "  standardised": make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS)),
    }
    return {
        name: draw.right(side.fit(features[draw.labelled], labels[draw.labelled]).predict(features[draw.test]))
        for name, side in sides.items()
    }


def trainer(draw: Draw) -> dict[str, float]:
    """Fine-tune with transformers' Trainer."""
    spec, labels = backbone(draw.dataset), draw.dataset.labels.tolist()
    ids = FeatureStore(draw.place).prepared(draw.dataset, spec)
    rows = {
        part: [{"input_ids": ids[int(row)].tolist(), "labels": labels[row]} for row in at]
        for part, at in (("labelled", draw.labelled), ("test", draw.test))
    }
    peer("transformers").set_seed(draw.seed)  # the head is initialised before the Trainer sets the seed
    trainer_ = make_trainer(spec, rows["labelled"], len(draw.dataset.classes), draw.folder / "trainer", seed=draw.seed)
    with quiet():
        trainer_.train()
        logits = trainer_.predict(rows["test"]).predictions
    return {"trainer": draw.right(np.argmax(logits, axis=1))}


def setfit(draw: Draw) -> dict[str, float]:
    """Train the setfit package."""
    texts, labels = draw.dataset.items["text"].to_numpy(), draw.dataset.labels
    spec, labelled = backbone(draw.dataset), draw.labelled
    model, _ = train_setfit(spec, texts[labelled].tolist(), labels[labelled], draw.seed, draw.folder / "setfit")
    predicted = model.predict(texts[draw.test].tolist(), show_progress_bar=False)
    return {"setfit": draw.right(np.asarray(predicted))}


def fastai(draw: Draw, epochs: int) -> dict[str, float]:
    """Run fastai's `fine_tune`; the test items are predicted only after the last epoch."""
    callbacks = peer("fastai", "fastai.callback.core")

    class Unseen(callbacks.Callback):  # type: ignore[name-defined]
        """Skips the validation after each epoch, because the test items stand in its place."""

        def before_validate(self) -> None:
            """Skip the validation."""
            raise callbacks.CancelValidException

    (pictures := draw.folder / "pictures").mkdir()
    files = write_pictures(draw.dataset, pictures)
    batch = min(FASTAI_BATCH, len(draw.labelled))
    learner = make_learner(draw.dataset, files, draw.dataset.splits == "test", batch, draw.seed, num_workers=0)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs, cbs=[Unseen()])
        probabilities, _ = learner.get_preds(dl=learner.dls.valid)
    names = [draw.dataset.classes.index(name) for name in learner.dls.vocab]
    return {"fastai": draw.right(np.asarray(names)[probabilities.argmax(dim=1).numpy()])}


def chosen_peers(wanted: Sequence[str], modality: str, epochs: int) -> list[Callable[[Draw], dict[str, float]]]:
    """Return the peers of the modality that are installed; the missing ones are named on stderr."""
    sides = {"sklearn": sklearn, "trainer": trainer, "setfit": setfit, "fastai": lambda draw: fastai(draw, epochs)}
    chosen = []
    for name in PEERS[modality]:
        if name not in wanted:
            continue
        try:
            if NEEDS[name]:
                peer(*NEEDS[name])
        except SystemExit:
            continue  # `peer` has printed the reason
        chosen.append(sides[name])
    return chosen


def print_results(scores: Scores, claim: str, strategies: Sequence[str], out: Console) -> None:
    """Print the table of all sides, then the result line."""
    ours, n = scores["graft"], len(scores["graft"])
    against = {name: difference(list(ours), list(theirs)) for name, theirs in scores.items() if name != "graft"}
    rows = []
    for name, values in scores.items():
        cells = [f"{value:+.3f}" if math.isfinite(value) else "" for value in against.get(name, ())] or [""] * 3
        rows.append((name, *(f"{value:.3f}" for value in (statistics.mean(values), min(values), max(values))), *cells))
    out.table(("", "accuracy", "least", "largest", "graft against it", "low", "high"), rows)
    means = {name: statistics.mean(values) for name, values in scores.items()}
    best = max(against, key=lambda name: means[name], default="")
    spread = {
        name.strip(): [round(value, 4) if math.isfinite(value) else None for value in values]
        for name, values in against.items()
    }
    out.line(
        result(
            claim,
            against.get(best, (math.nan,) * 3),
            n,
            AIM,
            best_peer=best.strip(),
            strategies=list(strategies),
            accuracy={name.strip(): round(mean, 4) for name, mean in means.items()},
            differences=spread,
        )
    )


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", metavar="TRAIN", help="any source that `python -m tl_core train` takes")
    parser.add_argument("test", metavar="TEST", help="a source with the same labels and other items")
    parser.add_argument("--labelled", type=int, default=0, help="labelled items per class; default: all")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first draw; the others follow")
    parser.add_argument("--test", dest="n_test", type=int, default=500, help="test items per draw; 0 for all")
    all_peers = sorted({name for names in PEERS.values() for name in names})
    parser.add_argument("--peers", nargs="*", choices=all_peers, default=all_peers)
    parser.add_argument("--fastai-epochs", type=int, default=5)
    parser.add_argument("--strategy", default="", help="for Graft, instead of the advised one")
    return parser


def main() -> None:
    """Measure and print; the last line is JSON."""
    chosen, out = options().parse_args(), Console(sys.stdout, sys.stderr)
    warnings.filterwarnings("ignore")  # the peers'
    logging.disable(logging.WARNING)
    with workspace() as place:
        try:
            train, test = (import_data(source, place) for source in (chosen.train, chosen.test))
            parts = candidates(train, test)
        except GraftError as error:
            raise SystemExit(str(error)) from error
        sides = chosen_peers(chosen.peers, train.modality, chosen.fastai_epochs)
        print(f"{len(parts[0])} labelled items of {train.name}, {len(parts[1])} test items of {test.name}")
        scores: dict[str, list[float]] = {"graft": []}
        strategies = []
        for seed in range(chosen.first, chosen.first + chosen.draws):
            draw = make_draw(parts, train.modality, (chosen.labelled, chosen.n_test), seed, place)
            accuracy, strategy = graft(draw, chosen.strategy)
            scores["graft"].append(accuracy)
            strategies.append(strategy)
            for side in sides:
                for name, measured in side(draw).items():
                    scores.setdefault(name, []).append(measured)
            line = "  ".join(f"{name.strip()} {measured[-1]:.3f}" for name, measured in scores.items())
            print(
                f"draw {seed}, {len(draw.labelled)} labelled, {len(draw.test)} test items, {strategy}: {line}",
                flush=True,
            )
        size = f"{chosen.labelled} labelled items per class" if chosen.labelled else "all labelled items"
        print(f"{torch.get_num_threads()} threads")
        print_results(scores, f"accuracy of Graft less that of the best peer, {size}, {train.name}", strategies, out)


if __name__ == "__main__":
    main()

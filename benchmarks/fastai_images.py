"""Claim: pictures reach the accuracy that fastai's `fine_tune` ends with in at most half of its time.

Measured side by side in one run, the same packaged EfficientNet-Lite0 weights and split, no augmentation, in turn:

product  the run that the app starts for `--strategy`, from an empty feature store
fastai   `vision_learner("tf_efficientnet_lite0")` with the packaged weights put into its body, its own head, then
         `fine_tune(--fastai-epochs)` with its defaults: one epoch of the head, then the whole network with one-cycle
         rates, one worker process per core, and batches of `--batch`; the default of 64 gives two steps per epoch

A side's curve is (seconds, validation accuracy) after every epoch. The product's time
starts with the call of `train()`: decoding the picture files, the probe, building the network, checkpoints. fastai's
time starts with the call of `fine_tune`: building the learner is not counted, and its pictures are prepared beforehand
as PNG files of 224 x 224 pixels with the same pixel values as the product's. The accuracies are those of the validation
items (30 % of all), which both sides evaluate after every epoch and neither learns from. There is no test part, because
every prepared item costs time.

    ratio    the product's seconds to fastai's best accuracy, over fastai's own seconds to it; infinite for a repeat in
             which the product never reaches it
    back     the reverse: fastai's seconds to the product's best accuracy, over the product's own; null if fastai never
             reaches it
    wholes   the whole run over the whole of `fine_tune`

Repeats differ in the seed of both sides.

    python -m benchmarks.fastai_images [--sample digits] [--items 240] [--strategy partial] [--fastai-epochs 3]
"""

import math
import statistics
import tempfile
import warnings
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.common import backbone, parser, peer, plan_of, ratios, reached, result, run, sample, split, workspace
from tl_core.backbones.preprocess import ImagePreprocessor, preprocessor
from tl_core.backbones.spec import ImageInput
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.training.loop import TrainJob

AIM = "<= 0.5"
Curve = list[tuple[float, float]]
"""(seconds, validation accuracy) after every epoch."""


def product(dataset: Dataset, strategy: str, seed: int) -> tuple[Curve, float]:
    """Run the app's training from an empty store; return the curve and the seconds of the whole run."""
    plan = plan_of(strategy, dataset)
    with workspace() as place:
        timed = run(TrainJob(dataset, backbone(dataset), plan, seed, place.root / "run", FeatureStore(place)))
    return timed.curve(), timed.seconds


def write_pictures(dataset: Dataset, folder: Path) -> list[Path]:
    """Write every picture as the product prepares it; return the files, by row."""
    prepare = preprocessor(backbone(dataset))
    assert isinstance(prepare, ImagePreprocessor)
    files = [folder / f"{row}.png" for row in range(len(dataset.items))]
    for file, path in zip(files, dataset.items["path"], strict=True):
        pixels = prepare.prepare(dataset.folder / path).permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(pixels)).save(file)
    return files


def fastai(dataset: Dataset, files: list[Path], epochs: int, batch: int, seed: int) -> tuple[Curve, float]:
    """Run `fine_tune`; return the curve and its seconds."""
    callbacks = peer("fastai", "fastai.callback.core")
    learner = make_learner(dataset, files, dataset.splits == "validation", batch, seed)
    curve: Curve = []

    class Clock(callbacks.Callback):  # type: ignore[name-defined]
        """Records the time and the accuracy after every epoch."""

        order = 99

        def after_epoch(self) -> None:
            """Record both."""
            curve.append((perf_counter() - start, float(self.recorder.values[-1][-1])))

    start = perf_counter()
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs, cbs=[Clock()])
    return curve, perf_counter() - start


def make_learner(
    dataset: Dataset, files: list[Path], validation: np.ndarray, batch: int, seed: int, **loading: Any
) -> Any:
    """Return fastai's learner over the prepared pictures, with the packaged weights and the mask `validation`.

    It is not trained yet; `loading` is passed to its data loaders.
    """
    import pandas as pd

    vision = peer("fastai", "fastai.vision.all")
    vision.set_seed(seed)
    labels = [dataset.classes[label] for label in dataset.labels]
    table = pd.DataFrame({"name": [f.name for f in files], "label": labels, "held": validation})
    spec = backbone(dataset)
    assert isinstance(spec.input, ImageInput)
    assert spec.load is not None
    loaders = vision.ImageDataLoaders.from_df(
        table,
        files[0].parent,
        valid_col="held",
        bs=batch,
        batch_tfms=[vision.Normalize.from_stats(spec.input.mean, spec.input.std)],
        **loading,
    )
    learner = vision.vision_learner(
        loaders, "tf_efficientnet_lite0", pretrained=False, normalize=False, metrics=vision.accuracy
    )
    learner.model[0].model.load_state_dict(spec.load(True).net.state_dict())  # type: ignore[union-attr]
    return learner


def speedups(ours: Curve, theirs: Curve) -> tuple[float, float]:
    """Return `ratio` and `back`: each side's time to the other's best accuracy, over the other's own time to it.

    >>> speedups([(1.0, 0.8), (2.0, 0.9)], [(4.0, 0.7), (8.0, 0.8)])
    (0.125, inf)
    """
    best, other = max(accuracy for _, accuracy in ours), max(accuracy for _, accuracy in theirs)
    return reached(ours, other) / reached(theirs, other), reached(theirs, best) / reached(ours, best)


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "textile_defects", 240)
    options.add_argument("--strategy", default="partial", help="of the product, with its default options")
    options.add_argument("--fastai-epochs", type=int, default=3)
    options.add_argument("--batch", type=int, default=16, help="of fastai")
    chosen = options.parse_args()
    warnings.filterwarnings("ignore")  # the peer's
    peer("fastai", "fastai.vision.all")
    with workspace() as place, tempfile.TemporaryDirectory() as pictures:
        dataset = split(sample(chosen.sample, chosen.items, place), validation=0.3)
        files = write_pictures(dataset, Path(pictures))
        counts = [len(dataset.rows(split)) for split in ("train", "validation")]
        print(f"{counts[0]} and {counts[1]} items of {dataset.name}, {torch.get_num_threads()} threads")
        results: list[dict[str, Any]] = []
        for seed in range(chosen.repeats):
            sides = {
                "product": lambda s=seed: product(dataset, chosen.strategy, s),
                "fastai": lambda s=seed: fastai(dataset, files, chosen.fastai_epochs, chosen.batch, s),
            }
            results.append({name: sides[name]() for name in (list(sides) if seed % 2 else list(sides)[::-1])})
            for name, (curve, seconds) in results[-1].items():
                curve_text = ", ".join(f"{accuracy:.3f} at {at:.1f}" for at, accuracy in curve)
                print(f"{seed + 1}/{chosen.repeats}  {name} {seconds:.1f} s: {curve_text}", flush=True)
    both = [speedups(pair["product"][0], pair["fastai"][0]) for pair in results]
    forward, back = ([pair[side] for pair in both] for side in (0, 1))
    wholes = ratios([pair["product"][1] for pair in results], [pair["fastai"][1] for pair in results])
    best = {name: statistics.mean(max(a for _, a in pair[name][0]) for pair in results) for name in results[0]}
    middle = statistics.median(back)
    claim = f"seconds to fastai's best validation accuracy over fastai's own, {chosen.sample}, {chosen.strategy}"
    print(
        result(
            claim,
            (statistics.median(forward), min(forward), max(forward)),
            chosen.repeats,
            AIM,
            reached=f"{sum(map(math.isfinite, forward))} of {chosen.repeats}",
            back=round(middle, 3) if math.isfinite(middle) else None,
            wholes=round(wholes[0], 3),
            accuracy=round(best["product"], 4),
            fastai_accuracy=round(best["fastai"], 4),
        )
    )


if __name__ == "__main__":
    main()

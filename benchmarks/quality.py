"""Claim: the checks find most faults of a data set, and most of what they report are faults.

Faults of known kinds are planted in samples, and the findings of the check job are compared with them:

labels    5 % of the labels of train and validation changed to another class, drawn at random
copies    pictures saved again (JPEG 40), cropped to 92 % a side, at 70 % of the size, 15 % brighter; texts without 5 %
          of their words, or without their first sentence
pictures  blurred (Gaussian, 2.5 pixels), darkened to 12 %
texts     one sentence added to 5 % of them; some with only signs and links; some cut to 25 characters
outliers  pieces of photographs, digits, noise and stripes among cloth; pieces of data set descriptions among news

"Found again" is the recall: the share of planted faults that are reported. "Right" is the precision: the share of
reported items that were planted. Faults that the samples already have count as wrong, so "right" is a lower bound;
`clean` counts what is reported with nothing planted.

The last line's ratio is the recall: its median over the kinds of fault, with the least and the largest.

    python -m benchmarks.quality [--sample textile_defects] [--items 600] [--repeats 3] [--folder DIR]
"""

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.common import BACKBONE, parser, result, workspace
from tl_core.backbones.spec import BACKBONES
from tl_core.data.dataset import Dataset
from tl_core.data.options import RawItem, no_progress
from tl_core.data.quality.quality_report import QualityReport, read_quality
from tl_core.data.samples import SAMPLES
from tl_core.data.sources.store import Draft, store
from tl_core.features import FeatureStore
from tl_core.jobs import execute
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import RunEnded
from tl_core.runs.task import Task
from tl_core.workspace import Workspace, read_json, write_json

AIM = ">= 0.5"
FLIPPED = 0.05
ITEMS_PER_FAULT = 15  # for every fault but wrong labels; at most an eighth of all items
LEAST = 40  # the fewest items to plant faults in
NOTICE = "Click here to read the full story and leave your comment below."
CODES = {"copies": ("near-duplicates", "alike")}


@dataclass
class Planted:
    """The items with faults; by id, the kind of fault, and the original item that is copied or replaced."""

    items: list[RawItem] = field(default_factory=list)
    kind: dict[str, str] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, name: str, origin: RawItem, **content: object) -> None:
        """Plant one item, labelled as `origin` is."""
        item = replace(origin, id=f"{kind}/{name}/{origin.id}", **content)  # type: ignore[arg-type]
        self.items.append(item)
        self.kind[item.id] = kind
        self.origin[item.id] = origin.id


def picture(item: RawItem) -> Image.Image:
    """Return the picture of an item."""
    assert item.read is not None
    return Image.open(io.BytesIO(item.read())).convert("RGB")


def encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    """Return a picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def cropped(image: Image.Image) -> Image.Image:
    """Return the middle of a picture."""
    wide, high = (round(0.04 * side) for side in image.size)
    return image.crop((wide, high, image.width - wide, image.height - high))


PICTURE_COPIES = {
    "saved again": lambda image: encoded(image, "JPEG", quality=40),
    "cropped": lambda image: encoded(cropped(image)),
    "smaller": lambda image: encoded(image.resize((round(0.7 * image.width), round(0.7 * image.height)))),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.15)),
}
PICTURE_FAULTS = {
    "blurry": lambda image: encoded(image.filter(ImageFilter.GaussianBlur(2.5))),
    "dark": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.12)),
}


def stranger(random: np.random.Generator, size: tuple[int, int], number: int) -> Image.Image:
    """Return an outlier picture: a piece of a photograph, a digit, noise, or coloured stripes."""
    from sklearn.datasets import load_digits, load_sample_images

    wide, high = size
    match number % 4:
        case 0:
            photo = Image.fromarray(load_sample_images().images[number // 4 % 2])
            left, top = int(random.integers(photo.width - wide)), int(random.integers(photo.height - high))
            return photo.crop((left, top, left + wide, top + high))
        case 1:
            digit = load_digits().images[int(random.integers(1700))] * 15
            return Image.fromarray(digit.astype(np.uint8)).resize(size).convert("RGB")
        case 2:
            return Image.fromarray(random.integers(0, 256, (high, wide, 3), dtype=np.uint8))
        case _:
            waves = np.sin(np.arange(wide)[None, :, None] / random.uniform(3, 30, 3) + random.uniform(0, 6, 3))
            return Image.fromarray(np.repeat(127 + 127 * waves, high, axis=0).astype(np.uint8))


def items_per_fault(base: list[RawItem]) -> int:
    """Return how many items get each fault. Ends the benchmark with the reason if there are too few items."""
    if len(base) < LEAST:
        raise SystemExit(f"Faults cannot be planted in {len(base)} items: give --items {LEAST} or more.")
    return min(ITEMS_PER_FAULT, len(base) // 8)


def plant_pictures(base: list[RawItem], seed: int) -> Planted:
    """Return pictures with faults for one seed."""
    random, planted, count = np.random.default_rng(seed), Planted(), items_per_fault(base)
    chosen = iter(random.permutation(len(base)).tolist())
    for kind, make in PICTURE_COPIES.items():
        for _ in range(count):
            item = base[next(chosen)]
            planted.add("copies", kind, item, read=partial(bytes, make(picture(item))))
    for kind, make in PICTURE_FAULTS.items():
        for _ in range(count):
            item = base[next(chosen)]
            planted.add(kind, str(seed), item, read=partial(bytes, make(picture(item))))
    for number in range(count):
        content = partial(bytes, encoded(stranger(random, picture(base[0]).size, number)))
        planted.add("outlier", f"{seed} {number}", base[next(chosen)], read=content)
    return planted


def plant_texts(base: list[RawItem], seed: int) -> Planted:
    """Return texts with faults for one seed."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine

    random, planted, count = np.random.default_rng(seed), Planted(), items_per_fault(base)
    chosen = iter(random.permutation(len(base)).tolist())
    for number in range(2 * count):
        item = base[next(chosen)]
        words = item.text.split(" ")
        keep = random.random(len(words)) >= 0.05
        fewer = " ".join(word for word, stays in zip(words, keep, strict=True) if stays)
        text = fewer if number % 2 else item.text.partition(". ")[2] or fewer
        planted.add("copies", ("words gone", "beginning gone")[number % 2 == 0], item, text=text)
    for _ in range(max(count, len(base) // 20)):
        item = base[next(chosen)]
        planted.add("boilerplate", str(seed), item, text=f"{item.text}\n{NOTICE}")
    for number in range(count):
        item = base[next(chosen)]
        planted.add("no-words", str(seed), item, text=f"https://example.org/{seed}/{number} *** {number * 7} !!!")
        item = base[next(chosen)]
        planted.add("very-short", str(seed), item, text=item.text[:25])
    loaders = (load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine)
    for number in range(count):
        about = loaders[number % len(loaders)]().DESCR
        start = int(random.integers(max(1, len(about) - 800)))
        planted.add("outlier", f"{seed} {number}", base[next(chosen)], text=about[start : start + 800])
    return planted


def base_items(sample: str, count: int) -> list[RawItem]:
    """Return items of a sample, spread evenly; texts are read, and each text occurs once."""
    items = SAMPLES[sample].items()
    items = [items[i] for i in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int).tolist()]
    if SAMPLES[sample].modality == "image":
        return items
    texts = [item.read().decode("utf-8", "replace").strip() for item in items if item.read]
    first = {text: number for number, text in reversed(list(enumerate(texts)))}
    return [replace(items[number], text=text, read=None) for text, number in sorted(first.items(), key=lambda e: e[1])]


def flip(dataset: Dataset, seed: int) -> dict[str, str]:
    """Return wrong classes for a random share of the train and validation items, by id."""
    random = np.random.default_rng([7, seed])
    rows = dataset.rows("train", "validation")
    chosen = random.permutation(rows)[: round(FLIPPED * len(rows))]
    flipped = {}
    for row in chosen.tolist():
        other_classes = [name for name in dataset.classes if name != dataset.classes[dataset.labels[row]]]
        flipped[str(dataset.items["id"].iat[row])] = other_classes[int(random.integers(len(other_classes)))]
    return flipped


def lend(place: Workspace, have: Dataset, want: Dataset, backbone: str) -> None:
    """Copy the features of the data set `have` to the data set `want`, whose items are a subset of it."""
    spec, features = BACKBONES[backbone], FeatureStore(place)
    source, target = features._folder(have, spec), features._folder(want, spec)
    target.mkdir(parents=True, exist_ok=True)
    index = {digest: row for row, digest in enumerate(have.items["digest"])}
    rows = [index[digest] for digest in want.items["digest"]]
    for path in source.glob("*.npy"):
        np.save(target / path.name, np.load(path, mmap_mode="r")[rows])
    write_json(target / "probe.json", read_json(source / "probe.json"))


def check(place: Workspace, dataset: Dataset, backbone: str) -> QualityReport:
    """Run the check job as the app does, and return its report."""
    task = Task("check", backbone, dataset.fingerprint, dataset.split)
    last = list(execute(task, place, place.folder("runs", "benchmark"), MemoryControl()))[-1]
    assert isinstance(last, RunEnded), last
    assert last.status == "done", last
    report = read_quality(place, dataset, backbone)
    assert report is not None
    return report


def named(dataset: Dataset, report: QualityReport, code: str) -> set[str]:
    """Return the ids that a finding is about."""
    suspicion = report.suspicion(code)
    return set(dataset.items["id"].iloc[list(suspicion.rows)]) if suspicion else set()


def compare(dataset: Dataset, report: QualityReport, planted: Planted, flipped: Iterable[str]) -> dict[str, list[int]]:
    """Return three counts for each check: planted, found again, and reported in all."""
    counts = {}
    truth = {
        kind: {i for i, k in planted.kind.items() if k == kind} for kind in set(planted.kind.values()) - {"copies"}
    }
    truth["label-suspect"] = set(flipped)
    for code, wanted in truth.items():
        reported = named(dataset, report, code)
        counts[code] = [len(wanted), len(wanted & reported), len(reported)]
    ids = dataset.items["id"].to_numpy()
    for code in CODES["copies"]:
        suspicion = report.suspicion(code)
        groups = [set(ids[list(group)]) for group in suspicion.groups] if suspicion else []
        home = {item: group for group in groups for item in group}
        copies = [item for item, kind in planted.kind.items() if kind == "copies"]
        again = [item for item in copies if planted.origin[item] in home.get(item, ())]
        for name in dict.fromkeys(item.split("/")[1] for item in copies):
            of_kind = [item for item in copies if item.split("/")[1] == name]
            counts[f"{code}, {name}"] = [len(of_kind), len(set(of_kind) & set(again)), 0]
        right = sum(any(planted.origin.get(item) in group for item in group) for group in groups)
        counts[f"{code}, groups"] = [0, right, len(groups)]
    return counts


def main() -> None:
    """Measure and print; the last line is JSON."""
    options = parser(__doc__, "textile_defects", 600, repeats=3)
    options.add_argument("--folder", type=Path, help="a workspace to keep the features in")
    chosen = options.parse_args()
    with workspace() as own:
        place = Workspace(chosen.folder.resolve()) if chosen.folder else own
        modality = SAMPLES[chosen.sample].modality
        base, backbone = base_items(chosen.sample, chosen.items), BACKBONE[modality]
        plant = plant_pictures if modality == "image" else plant_texts
        seeds = [plant(base, seed) if chosen.sample != "digits" else Planted() for seed in range(chosen.repeats)]
        items = {(item.id, item.text): item for item in [*base, *(i for planted in seeds for i in planted.items)]}
        whole = store(list(items.values()), Draft("every one", chosen.sample, modality), place, no_progress)
        for _ in FeatureStore(place).probe(whole, BACKBONES[backbone]):
            pass
        results: dict[str, list[list[int]]] = {}
        clean = store(base, Draft("clean", chosen.sample, modality), place, no_progress)
        lend(place, whole, clean, backbone)
        untouched = {suspicion.code: len(suspicion.rows) for suspicion in check(place, clean, backbone).suspicions}
        for seed, planted in enumerate(seeds):
            replaced = {o for i, o in planted.origin.items() if planted.kind[i] != "copies"}
            mixed = [item for item in base if item.id not in replaced] + planted.items
            draft = Draft(f"planted {seed}", chosen.sample, modality)
            flipped = flip(store(mixed, draft, place, no_progress), seed)
            wrong = [replace(item, label=flipped.get(item.id, item.label)) for item in mixed]
            dataset = store(wrong, replace(draft, lines=[]), place, no_progress)
            lend(place, whole, dataset, backbone)
            learned = set(dataset.items["id"].iloc[dataset.rows("train", "validation")])
            counts = compare(dataset, check(place, dataset, backbone), planted, set(flipped) & learned)
            for code, numbers in counts.items():
                results.setdefault(code, []).append(numbers)
    print_results(chosen.sample, untouched, results)


def print_results(sample: str, clean: dict[str, int], results: dict[str, list[list[int]]]) -> None:
    """Print a line for each check: mean, least and largest over the seeds."""
    print(f"{sample}; clean: {clean}")
    lines: dict[str, dict[str, Any]] = {}
    for code, runs in sorted(results.items()):
        shares: dict[str, Any] = {}
        for name, denominator in (("found again", 0), ("right", 2)):
            values = [again[1] / again[denominator] for again in runs if again[denominator]]
            shares[name] = [float(np.mean(values)), min(values), max(values)] if values else None
        lines[code] = {"counts": runs, **shares}
        shown = (f"{name} {v[0]:.2f} ({v[1]:.2f} to {v[2]:.2f})" for name, v in shares.items() if v)
        print(f"{code:32} {', '.join(shown)}   {runs}")
    shares_found = sorted(line["found again"][0] for line in lines.values() if line["found again"])
    share = (
        (float(np.median(shares_found)), shares_found[0], shares_found[-1])
        if shares_found
        else (math.nan, math.nan, math.nan)
    )
    seeds = max((len(runs) for runs in results.values()), default=0)
    print(result(f"faults found again, {sample}", share, seeds, AIM, clean=clean, checks=lines))


if __name__ == "__main__":
    main()

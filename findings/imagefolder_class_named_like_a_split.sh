#!/usr/bin/env bash
# datasets 5.2.0: a class folder whose name holds "test", "train", "dev" or "valid" as a word takes the others' place.
#
# A good guess: load_dataset("imagefolder") over beakers/, flasks/ and "test tubes"/ gives nine labelled pictures of
# three classes. What happens: "test tubes" is read as the test SPLIT, the two other folders are left out, the label
# column is gone (one folder is left), and nothing is said. Below train/ and test/, a class called "train" is worse: the
# pictures of test/train/ are in BOTH splits, so a model learns from the items that it is tested on.
#
# Output seen:
#   beakers, flasks: train 6, labels beakers flasks
#   beakers, flasks, test tubes: test 3, no labels
#   sensors, dev boards: validation 3, no labels
#   train/bus, train/train, test/bus, test/train: train 9, labels bus train; test 6, labels bus train; 3 items in both
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q datasets==5.2.0 pillow==13.0.0 2> /dev/null
HF_HUB_OFFLINE=1 HF_HOME="$place/home" PLACE="$place" "$place/venv/bin/python" - 2> /dev/null <<'PY'
import os
import pathlib
import tempfile

import datasets
from PIL import Image

datasets.disable_progress_bars()
print("datasets", datasets.__version__)
shade = iter(range(256))


def loaded(*folders):
    """Return, for each split, its number of items and its labels; and how many items are in two splits."""
    root = pathlib.Path(tempfile.mkdtemp(dir=os.environ["PLACE"]))
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (4, 4), next(shade)).save(root / folder / f"{number}.png")
    splits = datasets.load_dataset("imagefolder", data_dir=str(root))
    seen = [item["image"].getpixel((0, 0)) for split in splits.values() for item in split]
    told = {
        name: (len(split), split.features["label"].names if "label" in split.features else None)
        for name, split in splits.items()
    }
    words = "; ".join(f"{n} {k}, {'labels ' + ' '.join(names) if names else 'no labels'}" for n, (k, names) in told.items())
    twice = len(seen) - len(set(seen))
    print(f"{', '.join(folders)}: {words}{f'; {twice} items in both' if twice else ''}")
    return told, twice


assert loaded("beakers", "flasks") == ({"train": (6, ["beakers", "flasks"])}, 0)
assert loaded("beakers", "flasks", "test tubes") == ({"test": (3, None)}, 0)
assert loaded("sensors", "dev boards") == ({"validation": (3, None)}, 0)
expected = {"train": (9, ["bus", "train"]), "test": (6, ["bus", "train"])}
assert loaded("train/bus", "train/train", "test/bus", "test/train") == (expected, 3)
PY

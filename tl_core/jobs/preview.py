"""`python -m tl_core.jobs.preview DATASET BACKBONE POLICY OUT`: draw how augmentation varies training pictures.

A process of its own, for callers that do not load torch. Each row is a training picture, then variations of it.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tl_core.backbones.catalogue import find_backbone
from tl_core.data.dataset import Dataset
from tl_core.errors import GraftError

LINES, VARIATIONS = 3, 5
GAP = 4


def sheet(dataset: Dataset, backbone: str, policy: str) -> Image.Image:
    """Return the sheet of pictures. Raises PlanError if the backbone reads no pictures or the policy does not exist."""
    from tl_core.training.augment import preview

    rows = dataset.rows("train")
    chosen = rows[np.linspace(0, len(rows) - 1, min(LINES, len(rows))).astype(int)]
    shown = preview(dataset, find_backbone(backbone), policy, chosen.tolist(), VARIATIONS)
    high, wide = shown[0][0].shape[:2]
    lines, columns = len(shown), VARIATIONS + 1
    empty = (lines * (high + GAP) - GAP, columns * (wide + GAP) - GAP, 4)
    pixels = np.zeros(empty, dtype=np.uint8)  # the gaps are clear, so that they suit any background
    for line, pictures in enumerate(shown):
        for column, picture in enumerate(pictures):
            top, left = line * (high + GAP), column * (wide + GAP)
            pixels[top : top + high, left : left + wide, :3] = picture
            pixels[top : top + high, left : left + wide, 3] = 255
    return Image.fromarray(pixels)


if __name__ == "__main__":
    try:
        sheet(Dataset.open(Path(sys.argv[1])), sys.argv[2], sys.argv[3]).save(sys.argv[4], "PNG")
    except GraftError as error:
        sys.exit(str(error))

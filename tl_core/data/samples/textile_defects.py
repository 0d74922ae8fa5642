"""Simulated textile pictures: without a defect, with a local one, with a global one."""

import numpy as np

from tl_core.data.options import RawItem
from tl_core.data.samples import SAMPLES, Sample, package_folder

_PER_CLASS = 200


def _items() -> list[RawItem]:
    root = package_folder("conformal_clip_data", "data", "textile_images", "simulated")
    items = []
    for label in ("global", "local", "nominal"):
        files = sorted((root / label).glob("*.jpg"))
        chosen = np.random.default_rng(0).permutation(len(files))[:_PER_CLASS]
        items += [RawItem(f"{label}/{files[i].name}", label, read=files[i].read_bytes) for i in sorted(chosen)]
    return items


SAMPLES.add(
    Sample(
        name="textile_defects",
        title="Textile defects",
        summary="600 pictures of woven cloth in three classes: nominal, local defect, global defect "
        f"({_PER_CLASS} a class, drawn once with a fixed seed from 2,000).",
        modality="image",
        licence="MIT",
        source="https://arxiv.org/abs/2501.12596",
        items=_items,
    ),
)

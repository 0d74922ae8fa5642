"""Augmentation by torchvision: prepared pictures are varied in ways that should not change their label.

All random numbers are torch's own, so that a step with the same seed varies its pictures in the same way.

light   a shift of up to 5 %, a size of 90 to 110 %, brightness and contrast of 90 to 110 %, half of them mirrored
strong  a random crop of half to all of the area (Szegedy et al. 2015, arXiv:1409.4842; their crops of down to 8 %
        suit large data sets), half of them mirrored, colour jitter, then one random operation of random strength
        (TrivialAugment, Mueller & Hutter 2021, arXiv:2103.10158)
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial

import numpy as np
import torch

from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.prepared import PreparedImages
from tl_core.backbones.preprocess import ImagePreprocessor, PairPreprocessor, preprocessor
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.augmentation_check import why_not_augment
from tl_core.data.dataset import Dataset
from tl_core.errors import PlanError
from tl_core.plan import TransferPlan
from tl_core.types import PARTS, Finding, Modality

Policy = Callable[[torch.Tensor], torch.Tensor]
"""Turns a prepared picture uint8 `[3, S, S]` into a varied one, by torch's own random numbers."""
CROP = (0.5, 1.0)
"""Smallest and largest share of the area that a strong crop keeps."""
MIRRORED = 0.5
"""Share of the pictures that are mirrored."""


def policy(name: str, size: int) -> Policy:
    """Return a policy for pictures of `size` x `size` pixels. Raises PlanError for a name that does not exist."""
    if name not in ("none", "light", "strong"):
        raise PlanError(f"There is no augmentation policy {name!r}.", "There are: none, light, strong.")
    return _policy(name, size)


def augmentation(plan: TransferPlan, spec: BackboneSpec) -> Policy | None:
    """Return how a plan varies pictures, None where it does not. Raises PlanError where the items are not pictures."""
    require_pictures(plan, spec.modality)
    if plan.augment.policy == "none" or spec.image_input is None:
        return None
    vary, prepare = policy(plan.augment.policy, spec.image_input.size), preprocessor(spec)
    if isinstance(prepare, PairPreprocessor):
        return partial(_vary_picture, vary, prepare)
    return vary


def _vary_picture(vary: Policy, prepare: PairPreprocessor, item: torch.Tensor) -> torch.Tensor:
    """Vary the picture of a prepared picture with text; the text stays."""
    picture, ids = prepare.split(item)
    return prepare.join(vary(picture), ids)


def require_pictures(plan: TransferPlan, modality: Modality) -> None:
    """Raise PlanError where a plan would vary items that are not pictures."""
    if plan.augment.policy != "none" and "image" not in PARTS[modality]:
        raise PlanError(
            f"The plan varies its items ({plan.augment.policy} augmentation), which is made for pictures, not texts.",
            "Set the augmentation to none.",
        )


def caveats(plan: TransferPlan, dataset: Dataset) -> tuple[Finding, ...]:
    """Return the reasons against the plan's augmentation on this data."""
    reason = why_not_augment(dataset) if plan.augment.policy != "none" else ""
    if not reason:
        return ()
    message = f"The pictures of {dataset.name} are mirrored and cropped, which may make labels wrong: {reason}."
    hint = "Set the augmentation to none, or compare with a run without it."
    return (Finding("warn", "augment-labels", message, hint),)


def view(vary: Policy) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """Return a policy that depends on a seed alone; the caller's random numbers stay as they are."""

    def varied(item: torch.Tensor, seed: int) -> torch.Tensor:
        """Return the item varied as `seed` decides."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return vary(item)

    return varied


def preview(
    dataset: Dataset, spec: BackboneSpec, name: str, rows: Sequence[int], count: int, seed: int = 0
) -> list[list[np.ndarray]]:
    """Return the prepared picture of each row and `count` variations of it, each uint8 `[S, S, 3]`.

    Raises PlanError where the backbone takes no pictures.
    """
    if spec.image_input is None:
        raise PlanError(f"{spec.title} takes no pictures, so there is nothing to vary.", "Choose an image backbone.")
    pictures = PreparedImages(dataset, ImagePreprocessor(spec.image_input), None)
    vary = view(policy(name, spec.image_input.size))
    previews = []
    for row in rows:
        item = pictures[row]
        previews.append([_array(item), *(_array(vary(item, seed * 1_000_003 + row * 101 + n)) for n in range(count))])
    return previews


def _array(item: torch.Tensor) -> np.ndarray:
    return item.permute(1, 2, 0).contiguous().numpy()


@lru_cache(maxsize=8)
def _policy(name: str, size: int) -> Policy:
    ensure_torchvision()
    from torchvision.transforms import InterpolationMode, v2

    smooth = InterpolationMode.BILINEAR
    steps: Iterable[torch.nn.Module] = ()
    if name == "light":
        move = v2.RandomAffine(0, translate=(0.05, 0.05), scale=(0.9, 1.1), interpolation=smooth, fill=128)
        steps = (v2.RandomHorizontalFlip(MIRRORED), move, v2.ColorJitter(brightness=0.1, contrast=0.1))
    elif name == "strong":
        crop = v2.RandomResizedCrop(size, scale=CROP, interpolation=smooth, antialias=True)
        colours = v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05)
        steps = (crop, v2.RandomHorizontalFlip(MIRRORED), colours, v2.TrivialAugmentWide(interpolation=smooth))
    return torch.nn.Sequential(*steps)

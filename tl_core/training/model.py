"""The model that is trained, saved and exported: a backbone cut at the tap, and the head that is grafted on.

B items, D pooled features, K classes.
"""

from collections.abc import Container, Sequence

import torch
from torch import nn

from tl_core.backbones.preprocess import PairPreprocessor, preprocessor
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.staged import Staged, State
from tl_core.errors import BackboneError, PlanError
from tl_core.layers import HEAD, LayerGroup, partition
from tl_core.plan import Head, TransferPlan
from tl_core.training.precision import Precision, autocast, lay_out
from tl_core.types import Part


class HeadLayers(nn.Module):
    """Class scores `[B, K]` from pooled features `[B, D]`.

    The buffers `mean` and `std` `[D]` standardise the features; they are the identity until `standardise`.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, width: int, n_classes: int, plan: Head) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        inner = plan.hidden if plan.kind == "mlp" else width
        self.hidden = nn.Sequential(nn.Linear(width, inner), nn.ReLU()) if plan.kind == "mlp" else nn.Identity()
        self.dropout = nn.Dropout(plan.dropout)
        self.out = nn.Linear(inner, n_classes)

    def forward(self, features_BD: torch.Tensor) -> torch.Tensor:
        """Standardise, then classify."""
        return self.classify(self.standardised(features_BD))

    def standardised(self, features_BD: torch.Tensor) -> torch.Tensor:
        """Return features `[B, D]` minus `mean`, divided by `std`."""
        return (features_BD - self.mean) / self.std

    def classify(self, standardised_BD: torch.Tensor) -> torch.Tensor:
        """Return class scores `[B, K]` of features that are standardised already."""
        return self.out(self.dropout(self.hidden(standardised_BD)))

    @torch.no_grad()
    def standardise(self, features: torch.Tensor) -> None:
        """Set `mean` and `std` from features `[N, D]`; advice.linear.spread explains the formula."""
        double = features.double()
        mean, variance = double.mean(dim=0), double.var(dim=0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_((variance + variance.mean() + 1e-12).sqrt())


class TransferModel(nn.Module):
    """A backbone that ends at the plan's tap, and a head on its pooled output."""

    def __init__(self, backbone: Staged, head: HeadLayers, stages: int, deviation: bool) -> None:
        """Join the first `stages` stages of a backbone to a head.

        With `deviation` the features are mean and standard deviation over the positions, else the mean alone.
        """
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.stages = stages
        self.deviation = deviation
        self.precision = Precision()
        """What the stages compute in; pooling, head and loss are always in float32."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.head.mean.device

    def first_trained(self, groups: Container[str]) -> int:
        """Return the first stage that learns where `groups` learn; the number of stages where only the head does."""
        names = self.backbone.names[: self.stages]
        return next((index for index, name in enumerate(names) if name in groups), self.stages)

    def reset_precision(self, parts: tuple[Part, ...]) -> None:
        """Compute in float32; pictures in channels-last layout, which convolutions are faster in."""
        self.precision = Precision()
        if "image" in parts:
            lay_out(self, Precision(channels_last=True))

    def states(self, state: State, start: int = 0) -> State:
        """Return the state after the last stage, in float32, from the state at the input of stage `start`."""
        with autocast(self.precision, self.device):
            state = self.backbone.run(state, start, self.stages)
        if self.precision.dtype == "float32":
            return state
        return tuple(tensor.float() if tensor.is_floating_point() else tensor for tensor in state)

    def features(self, state: State, start: int = 0) -> torch.Tensor:
        """Return pooled features `[B, D]`, from the state at the input of stage `start`."""
        mean, std = self.backbone.pool(self.states(state, start), self.stages - 1)
        return torch.cat((mean, std), dim=1) if self.deviation else mean

    def forward(self, state: State, start: int = 0) -> torch.Tensor:
        """Return class scores (logits) `[B, K]`, from the state at the input of stage `start`."""
        return self.head(self.features(state, start))


def build_model(spec: BackboneSpec, plan: TransferPlan, n_classes: int, seed: int) -> TransferModel:
    """Build the model of a plan, in evaluation mode on the CPU; every random weight follows from `seed`.

    Raises BackboneError where the weights are not on this machine, PlanError where the tap is not one of its groups.
    """
    if spec.load is None:
        raise BackboneError(
            f"The weights of {spec.title} are not on this machine.", "Choose a backbone that is marked as ready."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = spec.load(plan.init == "pretrained")
        stages = cut(backbone, spec.groups, plan.head.tap)
        deviation = plan.head.pool == "mean_std"
        whole = spec.features and stages == len(spec.groups)
        width = spec.features if whole else _width(backbone.eval(), spec, stages)
        head = HeadLayers(2 * width if deviation else width, n_classes, plan.head)
    return TransferModel(backbone, head, stages, deviation).eval()


def cut(backbone: Staged, groups: Sequence[LayerGroup], tap: str | None) -> int:
    """Drop the weights of every stage after `tap`; return how many stages are left.

    Raises PlanError where there is no such stage.
    """
    names = tuple(backbone.names)
    if tap is None or tap == names[-1]:
        return len(names)
    if tap not in names:
        raise PlanError(
            f"The plan cuts the backbone at {tap!r}, which it does not have.", f"It has {', '.join(names)}."
        )
    tensors = [name for name, _ in [*backbone.named_parameters(), *backbone.named_buffers()]]
    owned = partition(tensors, groups)
    keep = names[: names.index(tap) + 1]
    kept = {prefix for group in keep for name in owned[group] for prefix in _prefixes(name)}
    for group in names[len(keep) :]:
        for name in owned[group]:
            _remove(backbone, name, kept)
    return len(keep)


def groups_of(model: TransferModel, spec: BackboneSpec) -> dict[str, list[str]]:
    """Return the names of the parameters and buffers of each layer group, input side first, the head last.

    Raises BackboneError, with the names, where some tensors are not in exactly one group.
    """
    stages = model.backbone.names[: model.stages]
    groups = [LayerGroup(g.name, rf"backbone\.(?:{g.pattern})") for g in spec.groups if g.name in stages]
    tensors = [name for name, _ in [*model.named_parameters(), *model.named_buffers()]]
    return partition(tensors, [*groups, LayerGroup(HEAD, r"head\.")])


def _prefixes(name: str) -> list[str]:
    """Return "a", "a.b", "a.b.c" for "a.b.c"."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _remove(root: nn.Module, name: str, kept: set[str]) -> None:
    """Replace the outermost module that holds `name`, and nothing that is kept, with an empty one.

    A tensor of a module that is kept goes alone.
    """
    for prefix in _prefixes(name)[:-1]:
        if prefix not in kept:
            parent, _, child = prefix.rpartition(".")
            setattr(root.get_submodule(parent), child, nn.Identity())
            return
    parent, _, child = name.rpartition(".")
    setattr(root.get_submodule(parent), child, None)


def _blank(spec: BackboneSpec) -> torch.Tensor:
    """Return a prepared item: a black picture, a text of two tokens, or both."""
    ids = torch.zeros(2, dtype=torch.int32)
    size = spec.image_input.size if spec.image_input else 0
    picture = torch.zeros(3, size, size, dtype=torch.uint8)
    prepare = preprocessor(spec)
    if isinstance(prepare, PairPreprocessor):
        return prepare.join(picture, ids)
    return picture if size else ids


@torch.no_grad()
def _width(backbone: Staged, spec: BackboneSpec, stages: int) -> int:
    """Return the number of features C at the end of the first `stages` stages, from one blank item."""
    state = preprocessor(spec).collate([_blank(spec)], torch.device("cpu"))
    return backbone.pool(backbone.run(state, 0, stages), stages - 1)[0].shape[1]

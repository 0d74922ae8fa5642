"""Who may move: freezing, training modes, and optimiser groups with their rates."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from tl_core.plan import Phase, rate_at
from tl_core.training.model import TransferModel

CLIP = 1.0
"""The largest norm of the whole gradient, as in the BERT and ViT fine-tuning recipes."""
HELPER_RATE = 1e-3
"""The rate of networks that are new and serve training alone (a discriminator), as of any new layer."""


class Freezer:
    """Knows the layer group of every parameter and module of a model, and lets chosen groups move."""

    def __init__(
        self, model: TransferModel, owned: Mapping[str, list[str]], may_learn: Callable[[str], bool] = lambda name: True
    ) -> None:
        """Take the tensors of each group; those that `may_learn` refuses (below an adapter) never move."""
        self.owned = owned
        self.may_learn = may_learn
        self._model = model
        self._group_of = {name: group for group, names in owned.items() for name in names}
        self._module_groups = _module_groups(model, self._group_of)
        self._still = {
            name
            for name, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and not may_learn(f"{name}.running_mean")
        }

    def thaw_only(self, moving: Collection[str]) -> None:
        """Freeze every group but the moving ones: no gradient, and evaluation mode."""
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(self._group_of[name] in moving and self.may_learn(name))
            parameter.grad = None
        self.training_mode(moving)

    def training_mode(self, moving: Collection[str]) -> None:
        """Put the modules of the moving groups in training mode, all others in evaluation mode.

        Evaluation mode keeps the running statistics of normalisation layers that may not move as they are.
        """
        for name, module in self._model.named_modules():
            module.training = self._module_groups.get(name) in moving and name not in self._still


def make_optimiser(
    model: TransferModel, owned: Mapping[str, list[str]], phase: Phase, helpers: Sequence[nn.Module] = ()
) -> torch.optim.Optimizer:
    """Return AdamW with two parameter groups a layer group: weights decay, biases and normalisation do not.

    Each parameter group carries "name" (the layer group) and "base" (its rate before the schedule). Helper networks
    learn under the name "" at HELPER_RATE.
    """
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    members = [(g, rate, [parameters[n] for n in owned[g] if n in parameters]) for g, rate in phase.lr.items()]
    members.append(("", HELPER_RATE, [p for helper in helpers for p in helper.parameters()]))
    groups = []
    for name, rate, own in members:
        for some, decay in (([p for p in own if p.ndim > 1], phase.weight_decay), ([p for p in own if p.ndim <= 1], 0)):
            if some:
                groups.append({"params": some, "name": name, "base": rate, "lr": rate, "weight_decay": float(decay)})
    return torch.optim.AdamW(groups, fused=True)  # one pass over the memory: five times as fast on a CPU


def set_rates(optimiser: torch.optim.Optimizer, phase: Phase, position: float) -> dict[str, float]:
    """Set the rates for a position in [0, 1] of the phase; returns the rate of each layer group."""
    factor = rate_at(phase.schedule, phase.warmup, position)
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor
    return {group["name"]: group["lr"] for group in optimiser.param_groups if group["name"]}


def step(optimiser: torch.optim.Optimizer) -> torch.Tensor:
    """Take one step against the gradient, clipped as a whole; returns the norm that it had before."""
    moving = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    size = torch.nn.utils.clip_grad_norm_(moving, CLIP)
    optimiser.step()
    return size


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread: a head is so small that waiting for a second one takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on the graphics card or on the CPU (torch says it as RuntimeError)."""
    told = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in told


def _module_groups(model: nn.Module, group_of: Mapping[str, str]) -> dict[str, str]:
    """Return the group of each module all of whose tensors are in one; a module without any follows its parent."""
    holds: dict[str, set[str]] = {}
    for tensor, group in group_of.items():
        parts = tensor.split(".")
        for end in range(len(parts)):
            holds.setdefault(".".join(parts[:end]), set()).add(group)
    found = {}
    for name, _ in model.named_modules():
        at = name
        while at not in holds:
            at = at.rpartition(".")[0]
        if len(holds[at]) == 1:
            found[name] = next(iter(holds[at]))
    return found

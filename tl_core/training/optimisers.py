"""What may learn: freezing, training modes, and the optimiser's parameter groups with their learning rates."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from tl_core.backbones.staged import BatchNorm
from tl_core.plan import Phase
from tl_core.training.model import TransferModel

HELPER_RATE = 1e-3
"""Learning rate of helper networks, which are new and only serve training (a discriminator, for example)."""


class Freezer:
    """Knows the layer group of every parameter and module of a model, and lets chosen groups learn."""

    def __init__(
        self, model: TransferModel, owned: Mapping[str, list[str]], may_learn: Callable[[str], bool] = lambda name: True
    ) -> None:
        """Take the tensors of each group; those that `may_learn` refuses (the weights under an adapter) never learn."""
        self.model = model
        self.owned = owned
        self.may_learn = may_learn
        self._group_of = {name: group for group, names in owned.items() for name in names}
        self._module_groups = _module_groups(model, self._group_of)
        self._fixed_norms = {
            name
            for name, module in model.named_modules()
            if isinstance(module, BatchNorm) and not may_learn(f"{name}.running_mean")
        }

    def thaw_only(self, groups: Collection[str]) -> None:
        """Let `groups` learn, and freeze all others: no gradient, and evaluation mode."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self._group_of[name] in groups and self.may_learn(name))
            parameter.grad = None
        self.training_mode(groups)

    def training_mode(self, groups: Collection[str]) -> None:
        """Put the modules of `groups` in training mode, all others in evaluation mode.

        Evaluation mode keeps the running statistics of frozen normalisation layers as they are.
        """
        for name, module in self.model.named_modules():
            module.training = self._module_groups.get(name) in groups and name not in self._fixed_norms


def make_optimiser(
    model: TransferModel, owned: Mapping[str, list[str]], phase: Phase, helpers: Sequence[nn.Module] = ()
) -> torch.optim.Optimizer:
    """Return AdamW with two parameter groups for each layer group: weights decay, biases and normalisation do not.

    Each parameter group carries "name" (the layer group) and "base" (its rate before the schedule). Helper networks
    have the name "" and learn at HELPER_RATE.
    """
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    members = [(g, rate, [parameters[n] for n in owned[g] if n in parameters]) for g, rate in phase.lr.items()]
    members.append(("", HELPER_RATE, [p for helper in helpers for p in helper.parameters()]))
    groups = []
    for name, rate, own in members:
        matrices, vectors = [p for p in own if p.ndim > 1], [p for p in own if p.ndim <= 1]
        for params, decay in ((matrices, phase.weight_decay), (vectors, 0)):
            if params:
                groups.append({"params": params, "name": name, "base": rate, "lr": rate, "weight_decay": float(decay)})
    return torch.optim.AdamW(groups, fused=True)  # one pass over the memory: five times as fast on a CPU


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread: a head is so small that to wait for a second thread takes longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out, on the graphics card or the CPU (there a RuntimeError)."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in str(error).lower()


def _module_groups(model: nn.Module, group_of: Mapping[str, str]) -> dict[str, str]:
    """Return the group of every module whose tensors all belong to one; a module without tensors has its parent's."""
    groups_in: dict[str, set[str]] = {}
    for tensor, group in group_of.items():
        parts = tensor.split(".")
        for end in range(len(parts)):
            groups_in.setdefault(".".join(parts[:end]), set()).add(group)
    module_groups = {}
    for name, _ in model.named_modules():
        holder = name
        while holder not in groups_in:
            holder = holder.rpartition(".")[0]
        if len(groups_in[holder]) == 1:
            module_groups[name] = next(iter(groups_in[holder]))
    return module_groups

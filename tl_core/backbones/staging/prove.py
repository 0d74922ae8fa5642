"""Proof that a network cut into stages is still the library's network: equal to the bit at every cut."""

import torch
from torch import nn

from tl_core.backbones.staged import State
from tl_core.backbones.staging.network import GatedNetwork
from tl_core.errors import BackboneError

TRAINED = 2
"""Cuts at which a step in training mode is compared as well: the first and the last."""

Left = dict[str, torch.Tensor | None]
"""What a pass leaves: its output under "", gradients by the parameter's name, and buffers."""


def failing_cuts(network: GatedNetwork, traced: tuple[State, torch.Tensor]) -> list[str]:
    """Return the modules at whose end the network must not be cut.

    `traced` is a batch, and what the library made of it. At a good cut, running up to it and then on from it gives the
    output and the gradients of one pass. Whatever a run from the middle leaves out is filled with NaN, so that nothing
    of it can be in the result. At TRAINED cuts a step in training mode, from the same random numbers, is compared too,
    with the buffers that it moves. Raises BackboneError where the whole network does not give what the library's own
    forward pass gave, or gives something else each time.
    """
    state, expected = traced
    every = range(len(network.names))
    whole = _learn(network, state, 0, 0)
    network.eval()
    if not (_same(whole[""], expected) and torch.equal(network.run(state)[0], expected)):
        raise BackboneError(
            "This network gives another result each time, or another one than its library's own forward pass.",
            "Choose another network.",
        )
    middles = {index: tuple(t.detach() for t in kept) for index, kept in network.states(state, every).items()}
    cuts = every[:-1]
    trained = {cuts[round(part * (len(cuts) - 1) / (TRAINED - 1))] for part in range(TRAINED)}
    network.poison = True
    try:
        return [
            network.layout.stages[cut].module
            for cut in cuts
            if not _holds(network, (state, middles[cut]), whole, cut + 1, cut in trained)
        ]
    finally:
        network.poison = False
        network.eval()


def _holds(network: GatedNetwork, states: tuple[State, State], whole: Left, start: int, training: bool) -> bool:
    """Whether the stages from `start` on, run from the second of `states`, do what the whole network does."""
    state, middle = states
    try:
        part = _learn(network, middle, start, start)
        if not all(_same(tensor, whole[name]) for name, tensor in part.items()):
            return False
        if not training:
            return True
        one, two = (_learn(network, state, begin, start, training=True) for begin in (0, start))
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False
    return all(_same(one[name], two[name]) for name in one)


def _learn(network: GatedNetwork, state: State, begin: int, start: int, training: bool = False) -> Left:
    """Run from stage `begin` with gradients for the stages from `start` on.

    Where these are in `training` mode, nothing below them learns, and `state` is that at the input, whatever `begin`
    is: some layers compute in another way where nothing below them learns. Buffers that this moves are put back.
    """
    tensors = {f"net.{name}": tensor for name, tensor in network.net.state_dict(keep_vars=True).items()}
    above = {f"net.{name}" for names in network.layout.owned[start:] for name in names}
    buffers = {name: tensor.clone() for name, tensor in tensors.items() if not isinstance(tensor, nn.Parameter)}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_((name in above or not training) and parameter.is_floating_point())
        parameter.grad = None
    for name, module in network.named_modules():
        own = [f"{name}.{below}" for below, _ in module.named_parameters()]
        module.training = training and bool(own) and set(own) <= above
    with torch.random.fork_rng(devices=[]):
        if training and begin:
            state = network.run(state, 0, begin)
        torch.manual_seed(0)
        output = network.run(state, begin)[0]
        weights = torch.linspace(-1, 1, output.numel()).view(output.shape).to(output)
        (output * weights).sum().backward()
    left: Left = {"": output.detach()}
    for name, parameter in network.named_parameters():
        if name in above:
            left[name] = parameter.grad
        parameter.grad = None
        parameter.requires_grad_(parameter.is_floating_point())
    for name, before in buffers.items():
        left[f"buffer {name}"] = tensors[name].clone()
        tensors[name].copy_(before)
    return left


def _same(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    if one is None or two is None:
        return one is two
    return torch.equal(one, two)

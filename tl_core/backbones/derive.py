"""What follows from a network itself: its stages, what each holds, and the proof that it may be cut there."""

import re
from collections.abc import Collection
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from tl_core.backbones.contracts import assumed_input, image_input, text_input
from tl_core.backbones.network_card import Card, Proof, StageEnd, fingerprint, plain
from tl_core.backbones.provenance import Provenance
from tl_core.backbones.recipes import Recipe, build, modality_of
from tl_core.backbones.spec import ImageInput, TextInput
from tl_core.backbones.staging.discover import Discovered, discover, without_values
from tl_core.backbones.staging.gates import plain_class
from tl_core.backbones.staging.network import GatedNetwork
from tl_core.backbones.staging.prove import failing_cuts
from tl_core.backbones.staging.stages import patterns
from tl_core.backbones.weight_files import Tensors, weight_files
from tl_core.errors import BackboneError
from tl_core.layers import LayerGroup
from tl_core.types import load

if TYPE_CHECKING:
    from tl_core.backbones.staging.trace import Entry

Matrix = tuple[int, int, int]
TRIES = 4
"""How often stages are found anew without those that failed the proof."""


def derive(recipe: Recipe, folder: Path | None, provenance: Provenance, tokenizer: Path) -> Card:
    """Build a network, cut it into stages, prove them, and return what it is; a text's tokenizer is put in a file.

    Raises BackboneError where any of this fails.
    """
    modality = modality_of(recipe)
    net, entry, missing = build(recipe, folder)
    check_values(net)
    if folder is not None and not recipe.encoder and not recipe.layout:
        check_depth(net, Tensors(weight_files(folder)))
    contract: ImageInput | TextInput
    if modality == "image":
        contract = image_input(recipe, folder)
    elif folder is not None:
        contract = text_input(folder, net, tokenizer)
    else:
        raise BackboneError("A text network needs a tokenizer.", "Bring it as a folder.")
    network, without, shapes_tell = _proven(net, entry, contract)
    read = {name for names in network.layout.owned for name in names}
    if lost := [name for name in missing if name in read and not name.endswith("num_batches_tracked")]:
        raise BackboneError(
            f"The weights lack {len(lost)} tensors of the network, {lost[0]} among them.",
            "They are of another network, or incomplete: bring them from where their config.json is from.",
        )
    return replace(_card(recipe, provenance, contract, (network, without)), shapes_tell=shapes_tell)


def check_values(net: nn.Module) -> None:
    """Raise BackboneError where a tensor of the network is not finite: all that is computed with it would be lost."""
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BackboneError(
                f"The weights hold values that are no numbers (infinite or NaN), in {name} for one.",
                "They are damaged, or were saved after a training that failed: bring others.",
            )


def check_depth(net: nn.Module, weights: Collection[str]) -> None:
    """Raise BackboneError where weights have more blocks than the network, which would be left out without a word."""
    names = set(net.state_dict())
    numbered = {_without_numbers(name) for name in names}
    for name in weights:
        forms = {name, name.partition(".")[2]}  # libraries put the network's own name before each tensor's
        if not forms & names and {_without_numbers(form) for form in forms} & numbered:
            raise BackboneError(
                f"The weights hold more blocks than the network of their config.json has: {name} has no place in it.",
                "Bring weights and config.json from the same place.",
            )


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def outline(recipe: Recipe, provenance: Provenance) -> Card:
    """Build a network with random weights, cut it into stages without a proof, and return what it is.

    What its input will be is assumed where the weights would say it. Raises BackboneError where it cannot be built.
    """
    net, entry, _ = build(recipe)
    contract = assumed_input(recipe, modality_of(recipe), net)
    try:
        network = GatedNetwork(net, entry, _side(contract), discover(net, entry, _side(contract)))
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise _not_plain(error) from error
    return _card(recipe, provenance, contract, (network, ()))


def _card(
    recipe: Recipe,
    provenance: Provenance,
    contract: ImageInput | TextInput,
    cut: tuple[GatedNetwork, tuple[str, ...]],
) -> Card:
    """Return what a network is that was cut into stages, `without` the boundaries that failed the proof."""
    network, without = cut
    parameters = dict(network.net.named_parameters())
    ends = zip(network.layout.stages, network.widths, strict=True)
    libraries = {recipe.library, "torch"}
    return Card(
        provenance=provenance,
        modality="image" if isinstance(contract, ImageInput) else "text",
        recipe=plain(recipe),
        input=contract,
        stages=tuple(StageEnd(s.name, s.module, s.kind, s.prefix, width) for s, width in ends),
        groups=_groups(network),
        group_parameters=tuple(
            sum(parameters[name].numel() for name in names if name in parameters) for names in network.layout.owned
        ),
        group_matrices=tuple(_matrices(network.net, names) for names in network.layout.owned),
        unread=network.layout.unread,
        proof=Proof({name: version(name) for name in sorted(libraries)}, _fingerprint(network)),
        without=without,
        custom_convolutions=tuple(
            name
            for name, names in zip(network.names, network.layout.owned, strict=True)
            if _all_custom(_adaptable(network.net, names))
        ),
    )


def load_network(card: Card, folder: Path | None) -> GatedNetwork:
    """Build the network of a card, with its weights or random ones, cut as it was when it was proven.

    Raises BackboneError where the installed libraries build another network than then.
    """
    with torch.inference_mode(False), torch.enable_grad():  # tensors that are made in inference mode never learn
        net, entry, _ = build(load(Recipe, card.recipe), folder)
        watched = without_values(net) if card.shapes_tell else net
        found = discover(watched, entry, _side(card.input), card.without)
        network = GatedNetwork(net, entry, _side(card.input), found, [stage.kind for stage in card.stages])
    network.built_by = card.recipe
    if _fingerprint(network) != card.proof.fingerprint:
        then = ", ".join(f"{name} {number}" for name, number in card.proof.versions.items())
        raise BackboneError(
            f"{card.provenance.name} is built otherwise by the installed libraries than it was with {then}.",
            "Install those versions, or make it ready again: python -m tl_core fetch.",
        )
    return network


def _proven(
    net: nn.Module, entry: "Entry", contract: ImageInput | TextInput
) -> tuple[GatedNetwork, tuple[str, ...], bool]:
    """Cut a network into stages that hold the proof; returns it, the modules that failed it, and `shapes_tell`."""
    without: tuple[str, ...] = ()
    for _ in range(TRIES):
        try:
            found = discover(net, entry, _side(contract), without)
            network = GatedNetwork(net, entry, _side(contract), found)
            failing = failing_cuts(network, found.traced)
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            raise _not_plain(error) from error
        if not failing:
            return network, without, _shapes_tell(network, entry, found, without)
        without = (*without, *failing)
    raise BackboneError("Cut into stages, this network does not compute what it computes whole.", "Choose another.")


def _not_plain(error: Exception) -> BackboneError:
    reason = str(error).strip().split("\n")[0]
    return BackboneError(f"This network does not run on a plain batch: {reason}", "Choose another network.")


def _shapes_tell(network: GatedNetwork, entry: "Entry", found: Discovered, without: tuple[str, ...]) -> bool:
    """Return whether a pass without values, which takes no time, finds the same in a network as one with values."""
    try:
        return discover(without_values(network.net), entry, network.size, without).same(found)
    except Exception:  # some networks look at values; libraries say so in many ways
        return False


def _side(contract: ImageInput | TextInput) -> int:
    return contract.size if isinstance(contract, ImageInput) else 0


def _fingerprint(network: GatedNetwork) -> str:
    ends = network.layout.stages
    return fingerprint({f"{s.name}={s.module}": list(o) for s, o in zip(ends, network.layout.owned, strict=True)})


def _groups(network: GatedNetwork) -> tuple[LayerGroup, ...]:
    owned = network.layout.owned
    every = [name for names in owned for name in names]
    return tuple(
        LayerGroup(name, patterns(names, [other for other in every if other not in set(names)]))
        for name, names in zip(network.names, owned, strict=True)
    )


def _matrices(net: nn.Module, names: tuple[str, ...]) -> tuple[Matrix, ...]:
    """Return the layers of a group that take an adapter, as (inputs, kernel area, outputs)."""
    return tuple(_matrix(layer) for layer in _adaptable(net, names))


def _matrix(layer: nn.Module) -> Matrix:
    if isinstance(layer, nn.Conv2d):
        return layer.weight.shape[1], layer.weight[0, 0].numel(), layer.weight.shape[0]
    return layer.in_features, 1, layer.out_features  # type: ignore[return-value]


def _all_custom(layers: list[nn.Module]) -> bool:
    """Return whether all layers are convolutions of a class that is not torch's own; False where there is none."""
    return bool(layers) and all(isinstance(layer, nn.Conv2d) and type(layer) is not nn.Conv2d for layer in layers)


def _adaptable(net: nn.Module, names: tuple[str, ...]) -> list[nn.Module]:
    """Return the layers of a group that take an adapter."""
    layers: list[nn.Module] = []
    for name in names:
        path, _, leaf = name.rpartition(".")
        module = net.get_submodule(path)
        parent = net.get_submodule(path.rpartition(".")[0])
        if leaf != "weight" or isinstance(parent, nn.MultiheadAttention):
            continue
        if (isinstance(module, nn.Conv2d) and module.groups == 1) or plain_class(module) is nn.Linear:
            layers.append(module)
    return layers

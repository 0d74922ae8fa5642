"""Backbones beside the registry: what was derived of each network once, kept in the workspace and read without torch.

Names begin with where a network comes from: `timm:` and `torchvision:` (random weights of a named architecture),
`hub:`, `folder:` and `torchvision:NAME@CHECKSUM` (weights in the workspace). Of a network for pictures and texts, the
part for pictures has its name and the part for texts that name with `#text` behind it.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_core.backbones.fetched import OWN_PREFIX
from tl_core.backbones.network_card import Card
from tl_core.backbones.pair import JOIN, pair
from tl_core.backbones.provenance import Provenance
from tl_core.backbones.spec import BACKBONES, BackboneSpec, TextInput, Weights
from tl_core.errors import BackboneError, UsageError
from tl_core.types import Modality, dump, load
from tl_core.workspace import Workspace, file_name, read_value, write_value

if TYPE_CHECKING:
    from tl_core.backbones.staged import Staged

PLACE = "backbones"
LIBRARIES = ("timm", "torchvision")
"""Where architectures come from that can start from random weights without a download."""
UNSTATED = "not stated: ask where you have it from"


def find_backbone(name: str, workspace: Workspace | None = None) -> BackboneSpec:
    """Return a backbone by its name: of the registry, else of the workspace (None: the default one).

    `PICTURE+TEXT` names two backbones that read the two parts of an item.

    A name without its commit or digest, and a registered one whose weights were fetched from the hub, stand for the
    one that was made ready last. Raises UsageError for a name that there is none of.
    """
    workspace = workspace or Workspace.default()
    if JOIN in name:
        one, _, other = name.partition(JOIN)
        return pair(find_backbone(one.strip(), workspace), find_backbone(other.strip(), workspace))
    if name in BACKBONES or ":" not in name:
        spec = BACKBONES[name]
        return spec if spec.ready else _latest(workspace, fetched_name(spec)) or spec
    if latest := _latest(workspace, name):
        return latest
    raise UsageError(
        f"The backbone {name} is not in this workspace.",
        f"Get it on the Backbone page, or with python -m tl_core fetch {name}"
        if not name.startswith(OWN_PREFIX)
        else "Bring its folder or file again, on the Backbone page or with python -m tl_core fetch PATH",
    )


def fetched_name(spec: BackboneSpec) -> str:
    """Return what a registered backbone is called once it is fetched, without its version."""
    leaf, _, part = spec.name.partition("#")
    name = f"hub:{spec.weights.name}" if spec.weights.name else f"folder:{leaf.replace('_', '-')}"
    return name + (f"#{part}" if part else "")


def unpinned(name: str) -> str:
    """Return a name without its commit, checksum or digest."""
    return re.sub(r"@[0-9a-f]+", "", name)


def registered(workspace: Workspace | None = None) -> tuple[BackboneSpec, ...]:
    """Return the backbones of the workspace, the one that was made ready last first; damaged ones are left out."""
    workspace = workspace or Workspace.default()
    folder = workspace.folder(PLACE, "cards")
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    cards = [_card(workspace, file) for file in files if not file.name.endswith(".tokenizer.json")]
    return tuple(spec_of(card, workspace) for card in cards if card)


def ready_for(modality: Modality, workspace: Workspace | None = None) -> tuple[BackboneSpec, ...]:
    """Return the backbones with weights at hand that read such items, those of the registry first."""
    every = (*BACKBONES.values(), *registered(workspace))
    return tuple(spec for spec in every if spec.modality == modality and spec.pretrained)


def names(workspace: Workspace | None = None) -> tuple[str, ...]:
    """Return the names of all backbones, those of the registry first."""
    return (*BACKBONES, *(spec.name for spec in registered(workspace)))


def _latest(workspace: Workspace, name: str) -> BackboneSpec | None:
    if card := _card(workspace, _file(workspace, name)):
        return spec_of(card, workspace)
    return next((spec for spec in registered(workspace) if unpinned(spec.name) == name), None)


def _card(workspace: Workspace, file: Path) -> Card | None:
    """Read a card; None where it is damaged, or the weights that it describes are gone."""
    try:
        card = _read_card(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
    return card if card and (not card.folder or (workspace.root / card.folder).is_dir()) else None


@lru_cache(maxsize=256)
def _read_card(file: Path, version: int) -> Card | None:
    return read_value(Card, file)


def leaf_called(name: str) -> BackboneSpec | None:
    """Return the registered backbone whose weights a fetched one has, by its name; None where there is none."""
    return next((leaf for leaf in BACKBONES.values() if fetched_name(leaf) == unpinned(name)), None)


def short_name(name: str) -> str:
    """Return what the name of a backbone says to a person: without where it comes from, and without its version."""
    return name.partition(":")[2].partition("@")[0] or name


def _file(workspace: Workspace, name: str) -> Path:
    return workspace.folder(PLACE, "cards") / f"{file_name(name)}.json"


def forget(workspace: Workspace, name: str) -> None:
    """Remove what was derived of a network; its weights are not touched."""
    file = _file(workspace, name)
    for path in (file, file.with_suffix(".tokenizer.json")):
        path.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Raise BackboneError where configuration and tokenizer already say that the weights are of no use here.

    Of two parts, one that can be used is enough.
    """
    from tl_core.backbones.contracts import check_tokenizer, image_input
    from tl_core.backbones.memory import check_memory
    from tl_core.backbones.parts import read_parts
    from tl_core.backbones.recipes import check_recipe, modality_of

    refusals: list[BackboneError] = []
    parts = read_parts(folder)
    for recipe in parts.values():
        try:
            if modality_of(check_recipe(recipe)) == "text":
                check_tokenizer(folder)
            else:
                image_input(recipe, folder)
            check_memory(recipe)
        except BackboneError as error:
            refusals.append(error)
    if len(refusals) == len(parts):
        raise refusals[0]


def register_folder(workspace: Workspace, folder: Path, provenance: Provenance, part: str = "") -> str:
    """Make a folder with a configuration and weights ready as a backbone; returns its name.

    `part` is "#text" where the part for texts is wanted. The other part is made ready as well where it can be used.
    Raises BackboneError where the wanted one cannot be built, its weights do not fit, or it cannot be cut into stages.
    """
    from tl_core.backbones.parts import read_parts

    parts = read_parts(folder)
    if part not in parts:
        raise BackboneError(
            f"{unpinned(provenance.name)} has no part for texts.", "Leave #text out, or bring its vocabulary as well."
        )
    name = _register(workspace, parts[part], folder, replace(provenance, name=provenance.name + part))
    for other in parts.keys() - {part}:
        with suppress(BackboneError):  # asked for by its own name, it says why it cannot be used
            _register(workspace, parts[other], folder, replace(provenance, name=provenance.name + other))
    return name


def register_library(workspace: Workspace, name: str) -> str:
    """Make an architecture of timm or torchvision (`timm:resnet18`) ready, without weights; returns its name."""
    from tl_core.backbones.recipes import recipe_of

    library, _, architecture = name.partition(":")
    source = {"timm": "https://github.com/huggingface/pytorch-image-models", "torchvision": "https://pytorch.org"}
    provenance = Provenance(name, source[library], "that of the library; there are no weights")
    return _register(workspace, recipe_of(library, architecture), None, provenance)


def _register(workspace: Workspace, recipe: Any, folder: Path | None, provenance: Provenance) -> str:
    from tl_core.backbones.derive import derive
    from tl_core.backbones.memory import check_memory

    check_memory(recipe)
    file = _file(workspace, provenance.name)
    place = str(folder.relative_to(workspace.root)) if folder else ""
    card = derive(recipe, folder, provenance, file.with_suffix(".tokenizer.json"))
    write_value(file, replace(card, folder=place))
    return provenance.name


def embedded(data: Mapping[str, Any], tokenizer: Path) -> BackboneSpec:
    """Return the backbone of a bundle from the card in it and its own tokenizer; it has no weights but the bundle's."""
    if "towers" in data:
        towers = [embedded(t["card"], tokenizer) if t["card"] else find_backbone(t["name"]) for t in data["towers"]]
        return pair(*towers)
    card = load(Card, dict(data))
    given = replace(card.input, tokenizer=str(tokenizer)) if isinstance(card.input, TextInput) else card.input
    return spec_of(replace(card, input=given, folder=""))


def spec_of(card: Card, workspace: Workspace | None = None) -> BackboneSpec:
    """Return a network as a backbone like those of the registry."""
    origin = card.provenance
    folder = (workspace or Workspace.default()).root / card.folder if card.folder else None
    weights = "random weights until it is trained" if folder is None else f"weights from {origin.source}"
    title = short_name(origin.name)
    place: tuple[str, ...] = (card.modality, "general")
    summary = f"{card.recipe['architecture']} of {card.recipe['library']}, {weights}."
    if leaf := leaf_called(origin.name):
        title, place, summary = leaf.title, leaf.place, leaf.summary
    return BackboneSpec(
        name=origin.name,
        title=title,
        modality=card.modality,
        place=place,
        summary=summary,
        parameters=sum(card.group_parameters),
        licence=origin.licence or UNSTATED,
        source=origin.source,
        weights=Weights("folder", card.folder, origin.bytes),
        input=card.input,
        features=card.stages[-1].width,
        groups=card.groups,
        group_parameters=card.group_parameters,
        group_matrices=card.group_matrices,
        custom_convolutions=card.custom_convolutions,
        load=partial(_load, card, folder),
        card=dump(card),
    )


def _load(card: Card, folder: Path | None, pretrained: bool) -> "Staged":
    from tl_core.backbones.derive import load_network

    if pretrained and folder is None:
        raise BackboneError(
            f"There are no weights of {card.provenance.name} on this machine.",
            "Train it from random weights (--strategy from_scratch), or fetch weights for it.",
        )
    return load_network(card, folder if pretrained else None)

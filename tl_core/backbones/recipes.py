"""Networks built by a public library from a recipe: a name or a configuration, and never anybody's code."""

import inspect
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tl_core.backbones.compat import ensure_torchvision
from tl_core.backbones.layouts import LAYOUTS
from tl_core.backbones.weight_files import Tensors, read_index, weight_files
from tl_core.errors import BackboneError
from tl_core.types import Modality
from tl_core.workspace import read_json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tl_core.backbones.staging.trace import Entry

CODE = ("auto_map", "custom_pipelines", "_name_or_path", "dtype", "torch_dtype", "quantization_config")
"""Entries of a configuration that name code of the repository, or how its file was stored."""


@dataclass(frozen=True)
class Recipe:
    """How a library builds a network.

    `architecture` is a name of timm's or torchvision's list or transformers' `model_type`, `config` what transformers
    reads, `args` further arguments. `encoder`: only the encoder of an encoder and a decoder is meant. `layout`: how its
    weights are stored where that is not the library's own way (`tl_core.backbones.layouts`).
    """

    library: Literal["timm", "torchvision", "transformers"]
    architecture: str
    config: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    encoder: bool = False
    layout: str = ""


def read_recipe(folder: Path) -> Recipe:
    """Return the recipe that the `config.json` of a folder gives. Raises BackboneError where no library knows it."""
    try:
        config = read_json(folder / "config.json")
        assert isinstance(config, dict)
    except (OSError, ValueError, AssertionError) as error:
        raise BackboneError(
            "There is no readable config.json beside the weights, so nothing says what network they are of.",
            "Bring the whole folder, or say which network it is with --as timm:NAME or --as torchvision:NAME.",
        ) from error
    if "architecture" in config:
        library = "torchvision" if config.get("library") == "torchvision" else "timm"
        args = {k: v for k, v in (config.get("model_args") or {}).items() if k not in ("num_classes", "pretrained")}
        return check_recipe(Recipe(library, str(config["architecture"]), args=args))  # type: ignore[arg-type]
    if (folder / "adapter_config.json").exists():
        raise BackboneError(
            "This folder holds an adapter, not a network.", "Merge it into its base model, and bring that."
        )
    kind = str(config.get("model_type", ""))
    plain = {key: value for key, value in config.items() if key not in CODE}
    return check_recipe(Recipe("transformers", kind, plain, encoder=bool(config.get("is_encoder_decoder"))))


def check_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe. Raises BackboneError where its library does not know the architecture."""
    ensure_torchvision()
    name = recipe.architecture
    if recipe.library == "timm":
        import timm

        known = timm.is_model(name)
    elif recipe.library == "torchvision":
        from torchvision import models

        known = name in models.list_models(module=models)
    else:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        known = name in CONFIG_MAPPING
    if not known:
        what = f"the architecture {name!r}" if name else "no architecture"
        raise BackboneError(
            f"The configuration names {what}, which {recipe.library} {_version(recipe.library)} does not know.",
            "Choose a network that timm, torchvision or transformers knows. Code from a repository is never run.",
        )
    return recipe


def build(recipe: Recipe, folder: Path | None = None) -> "tuple[nn.Module, Entry, tuple[str, ...]]":
    """Build a network in float32, with the weights in `folder` or random ones from torch's seed.

    Returns the network, how it is called on a state, and the names of the tensors that the weights do not hold.
    Raises BackboneError where it cannot be built or the weights do not fit.
    """
    check_recipe(recipe)
    builders: dict[str, Callable] = {"timm": _timm, "torchvision": _torchvision, "transformers": _transformers}
    try:
        with warnings.catch_warnings(), _quietly():
            warnings.simplefilter("ignore")
            return builders[recipe.library](recipe, folder)
    except BackboneError:
        raise
    except Exception as error:  # libraries raise whatever a wrong value leads to
        if folder is not None:
            Tensors(weight_files(folder))  # where a file of weights is at fault, this says so
        raise _cannot_build(recipe, error) from error


def _cannot_build(recipe: Recipe, error: Exception) -> BackboneError:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return BackboneError(
        f"{recipe.library} cannot build {recipe.architecture}: {reason}", "Check its config.json and its weights."
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep transformers from printing progress, and tables of the tensors that a backbone leaves out."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def modality_of(recipe: Recipe) -> Modality:
    """Return what a network reads. Raises BackboneError where it is neither pictures nor texts."""
    if recipe.library != "transformers":
        return "image"
    config = library_config(recipe)
    main = getattr(_model_class(recipe, config), "main_input_name", "")
    joined = hasattr(config, "text_config") or hasattr(config, "vision_config")
    if main == "input_ids" and not joined:
        return "text"
    if main == "pixel_values" and not joined:
        return "image"
    raise BackboneError(
        f"{recipe.architecture} reads neither pictures alone nor texts alone.", "Choose a network for one of the two."
    )


def _timm(recipe: Recipe, folder: Path | None) -> "tuple[nn.Module, Entry, tuple[str, ...]]":
    import sys

    import timm

    net = timm.create_model(recipe.architecture, pretrained=False, num_classes=0, **recipe.args)
    missing: tuple[str, ...] = ()
    if folder is not None:
        state = _state(recipe, net, folder)
        convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
        if convert is not None and not _fits(net, state):
            state = convert(dict(state), net)
        missing = load_tensors(net, state)
    return net, _timm_entry, missing


def _torchvision(recipe: Recipe, folder: Path | None) -> "tuple[nn.Module, Entry, tuple[str, ...]]":
    from torchvision import models

    net = models.get_model(recipe.architecture, weights=None, **recipe.args)
    return net, _picture_entry, () if folder is None else load_tensors(net, _state(recipe, net, folder))


def _transformers(recipe: Recipe, folder: Path | None) -> "tuple[nn.Module, Entry, tuple[str, ...]]":
    import torch

    config = library_config(recipe)
    kind = _model_class(recipe, config)
    more = {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(kind.__init__).parameters else {}
    missing: set[str] = set()
    if folder is None or recipe.layout:
        net = kind._from_config(config, dtype=torch.float32, **more)
        missing = set(load_tensors(net, _state(recipe, net, folder))) if folder else set()
    else:
        read_index(folder)
        net, info = kind.from_pretrained(
            folder, config=config, dtype=torch.float32, local_files_only=True, output_loading_info=True,
            weights_only=True, ignore_mismatched_sizes=True, **more,
        )  # fmt: skip
        missing = {*info["missing_keys"], *(str(key[0]) for key in info["mismatched_keys"])}
    inner = net.get_encoder() if recipe.encoder else net
    prefix = next((f"{name}." for name, module in net.named_modules() if module is inner and name), "")
    return (
        inner,
        _text_entry if kind.main_input_name == "input_ids" else _picture_entry,
        tuple(sorted(name.removeprefix(prefix) for name in missing if name.startswith(prefix))),
    )


def library_config(recipe: Recipe) -> Any:
    """Return transformers' configuration of a recipe. Raises BackboneError where it does not accept a value."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    ensure_torchvision()
    try:
        config = CONFIG_MAPPING[recipe.architecture].from_dict(dict(recipe.config))
    except Exception as error:  # configurations check their values in many ways
        raise _cannot_build(recipe, error) from error
    if hasattr(config, "use_cache"):
        config.use_cache = False
    return config


def _model_class(recipe: Recipe, config: Any) -> Any:
    """Return transformers' own class for a configuration, without heads."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    if type(config) not in MODEL_MAPPING:
        import transformers

        # the text part of SigLIP and of others is in no list, and called like its configuration
        if part := getattr(transformers, type(config).__name__.removesuffix("Config") + "Model", None):
            return part
        raise BackboneError(
            f"transformers has no plain network for {recipe.architecture!r}.", "Choose another architecture."
        )
    classes = MODEL_MAPPING[type(config)]
    return classes[0] if isinstance(classes, tuple) else classes


def _timm_entry(net: Any, state: "tuple[torch.Tensor, ...]") -> Any:
    return net.forward_features(state[0])


def _picture_entry(net: Any, state: "tuple[torch.Tensor, ...]") -> Any:
    return net(state[0])


def _text_entry(net: Any, state: "tuple[torch.Tensor, ...]") -> Any:
    return net(input_ids=state[0], attention_mask=state[1].long())


def _state(recipe: Recipe, net: "nn.Module", folder: Path) -> "Mapping[str, torch.Tensor]":
    """Return the tensors of a folder's weights by the names that the network has for them."""
    if recipe.layout:
        return LAYOUTS[recipe.layout].read(folder, net.state_dict())
    return Tensors(weight_files(folder))


def _fits(net: "nn.Module", state: "Mapping[str, torch.Tensor]") -> bool:
    return all(name in state and state[name].shape == t.shape for name, t in net.state_dict().items())


def load_tensors(net: "nn.Module", state: "Mapping[str, torch.Tensor]") -> tuple[str, ...]:
    """Copy weights into a network; returns the names of those that are not there or of another shape."""
    wanted = net.state_dict()
    found = {name: state[name] for name in wanted if name in state}
    kept = {name: tensor for name, tensor in found.items() if tensor.shape == wanted[name].shape}
    net.load_state_dict(kept, strict=False)
    return tuple(name for name in wanted if name not in kept)


def build_library(architecture: str, config: Mapping[str, Any]) -> "nn.Module":
    """Build transformers' whole network of an architecture in float32, with random weights."""
    import torch

    recipe = check_recipe(Recipe("transformers", architecture, config))
    with _quietly():
        made = library_config(recipe)
        return _model_class(recipe, made)._from_config(made, dtype=torch.float32)


def recipe_of(library: str, name: str) -> Recipe:
    """Return the recipe of a name of timm's or torchvision's list. Raises BackboneError for an unknown one."""
    return check_recipe(Recipe(library, name.partition(".")[0] if library == "timm" else name))  # type: ignore[arg-type]


def plain(recipe: Recipe) -> Recipe:
    """Return the recipe with plain JSON types alone."""
    return replace(recipe, config=json.loads(json.dumps(recipe.config)), args=json.loads(json.dumps(recipe.args)))


def _version(library: str) -> str:
    from importlib.metadata import version

    return version(library)

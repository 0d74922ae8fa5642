"""The tensors in files of weights, read one by one. Of pickles only tensors and plain values are ever read."""

import argparse
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_core.errors import BackboneError
from tl_core.workspace import read_json

if TYPE_CHECKING:
    import torch

SAFE, PICKLED = ("model.safetensors",), ("pytorch_model.bin", "model.bin")
WRAPPINGS = ("state_dict", "model_state_dict", "model")
"""What training scripts call the weights among what else they save."""


class Tensors(Mapping[str, "torch.Tensor"]):
    """The tensors of files by name; those of safetensors files are read when they are asked for.

    Raises BackboneError where a file is damaged or holds other things.
    """

    def __init__(self, files: list[Path]) -> None:
        from safetensors import SafetensorError, safe_open

        self._loose: dict[str, torch.Tensor] = {}
        self._handles: dict[str, Any] = {}
        for file in files:
            if file.suffix != ".safetensors":
                self._loose |= _unpickled(file)
                continue
            try:
                handle: Any = safe_open(file, framework="pt")
            except (OSError, SafetensorError) as error:
                raise _damaged(file) from error
            self._handles |= dict.fromkeys(handle.keys(), handle)

    def __getitem__(self, name: str) -> "torch.Tensor":
        return self._loose[name] if name in self._loose else self._handles[name].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        yield from self._loose
        yield from self._handles

    def __len__(self) -> int:
        return len(self._loose) + len(self._handles)

    def __contains__(self, name: object) -> bool:
        return name in self._loose or name in self._handles

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape without reading it."""
        if name in self._loose:
            return tuple(self._loose[name].shape)
        return tuple(self._handles[name].get_slice(name).get_shape())


def weight_files(folder: Path) -> list[Path]:
    """Return the files of the weights in a folder, safetensors first. Raises BackboneError without any."""
    for name in (*SAFE, *PICKLED):
        if (folder / f"{name}.index.json").is_file():
            return read_index(folder)
        if (folder / name).is_file():
            return [folder / name]
    raise BackboneError(f"There are no weights in {folder.name}.", "Bring model.safetensors, or pytorch_model.bin.")


def read_index(folder: Path) -> list[Path]:
    """Return the parts that an index names, none without an index. Raises BackboneError that names a missing part."""
    for name in (*SAFE, *PICKLED):
        index = folder / f"{name}.index.json"
        if index.is_file():
            try:
                parts = sorted({str(part) for part in read_json(index)["weight_map"].values()})
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise _damaged(index) from error
            if lost := [part for part in parts if not (folder / Path(part).name).is_file()]:
                raise BackboneError(f"A part of the weights is missing: {lost[0]}.", "Fetch or copy it again.")
            return [folder / Path(part).name for part in parts]
    return []


def _unpickled(file: Path) -> "dict[str, torch.Tensor]":
    import torch

    try:
        # training scripts save the arguments that they were called with, which are plain values in a Namespace
        with torch.serialization.safe_globals([argparse.Namespace]):
            mapped = zipfile.is_zipfile(file)  # files of before 2020 are read whole
            held: Any = torch.load(file, weights_only=True, map_location="cpu", mmap=mapped)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise _damaged(file) from error
    except Exception as error:  # unpickling says no in many ways
        raise BackboneError(
            f"{file.name} holds more than weights, so it is not opened.", "Bring the weights as safetensors."
        ) from error
    for name in WRAPPINGS:
        if isinstance(held, dict) and isinstance(held.get(name), dict):
            held = held[name]
            break
    if not isinstance(held, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in held.values()):
        raise BackboneError(f"{file.name} does not hold plain weights.", "Bring the weights as safetensors.")
    return held


def _damaged(file: Path) -> BackboneError:
    return BackboneError(f"{file.name} is damaged or holds no weights.", "Fetch or copy it again.")

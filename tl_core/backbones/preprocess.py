"""Preprocessing of pictures and texts. It follows from the backbone's own input contract and nothing else."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.spec import BackboneSpec, ImageInput, PairInput, TextInput
from tl_core.errors import BackboneError
from tl_core.types import dump

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from tokenizers import Tokenizer

    from tl_core.backbones.staged import State


class Preprocessor(Protocol):
    """Two steps: `prepare` one item (small, and cached), then `collate` a batch for the first stage."""

    @property
    def key(self) -> str:
        """A short hash of everything that determines the result."""
        ...

    def prepare(self, item: Any) -> "torch.Tensor":
        """Turn one item (a file, a text, or a tuple of both) into a small integer tensor.

        Raises DataError where it cannot be read.
        """
        ...

    def collate(self, prepared: "Sequence[torch.Tensor]", device: "torch.device") -> "State":
        """Turn prepared items into the state that the first stage takes."""
        ...


def preprocessor(spec: BackboneSpec) -> Preprocessor:
    """Return the preprocessing of a backbone. Raises BackboneError if it is not on this machine."""
    if isinstance(spec.input, ImageInput):
        return ImagePreprocessor(spec.input)
    if isinstance(spec.input, TextInput):
        return TextPreprocessor(spec.input, tokenizer_file(spec))
    if isinstance(spec.input, PairInput):
        return PairPreprocessor(
            ImagePreprocessor(spec.input.image), TextPreprocessor(spec.input.text, tokenizer_file(spec))
        )
    raise BackboneError(
        f"{spec.title} is only described here; it cannot read data on this machine.", "Choose a backbone that is ready."
    )


@dataclass(frozen=True)
class ImagePreprocessor:
    """Resize the short side (or both) to size / crop, cut out the middle, then scale to `(x / 255 - mean) / std`.

    Bit for bit what timm's evaluation transform does, without torchvision.
    """

    input: ImageInput

    @cached_property
    def key(self) -> str:
        """A short hash of everything that determines the result."""
        return _hash({name: value for name, value in dump(self.input).items() if name != "squash" or value})

    def prepare(self, item: Path | str) -> "torch.Tensor":
        """Read a picture file as uint8 `[3, size, size]`. Raises DataError where it cannot be read."""
        from tl_core.data.images import open_image

        return self.crop(open_image(Path(item)))

    def crop(self, image: "Image") -> "torch.Tensor":
        """Turn an RGB picture into uint8 `[3, size, size]`."""
        import torch
        from PIL.Image import Resampling

        size, short = self.input.size, math.floor(self.input.size / self.input.crop)
        width, height = image.size
        scale = min(width, height)
        resized = (int(short * width / scale), int(short * height / scale))
        if self.input.squash:
            resized = (short, short)
        if resized != image.size:
            image = image.resize(resized, Resampling[self.input.interpolation.upper()])
        left, top = round((resized[0] - size) / 2), round((resized[1] - size) / 2)
        pixels = np.array(image.crop((left, top, left + size, top + size)), dtype=np.uint8)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def collate(self, prepared: "Sequence[torch.Tensor]", device: "torch.device") -> "State":
        """Return (maps float32 `[B, 3, size, size]`,), in channels-last layout, in which convolutions are faster."""
        import torch

        shape = (3, self.input.size, self.input.size)
        if wrong := [tuple(item.shape) for item in prepared if item.shape != shape or item.dtype != torch.uint8]:
            raise BackboneError(
                f"This backbone takes pictures of {shape[1]} x {shape[2]} pixels, not {wrong[0]}.",
                "They were prepared for another backbone; prepare them for this one.",
            )
        pixels = torch.stack(list(prepared)).to(device).contiguous(memory_format=torch.channels_last)
        mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (self.input.mean, self.input.std))
        return (pixels.float().div_(255).sub_(mean).div_(std),)


class TextPreprocessor:
    """The backbone's own tokenizer, cut at its longest input, padded only within a batch."""

    def __init__(self, contract: TextInput, file: Path) -> None:
        self.input = contract
        self._file = file

    @cached_property
    def key(self) -> str:
        """A short hash of everything that determines the result."""
        more = [self.input.prefix] if self.input.prefix else []
        return _hash([self.input.max_tokens, *more, hashlib.sha256(self._file.read_bytes()).hexdigest()])

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer, without padding and truncating at `max_tokens`. Raises BackboneError if it is unreadable."""
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._file))
        except Exception as error:  # the library raises plain Exception
            raise BackboneError(
                f"The tokenizer {self._file.name} cannot be read ({error}).", "Install its package again."
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.input.max_tokens)
        return tokenizer

    def prepare(self, item: Path | str) -> "torch.Tensor":
        """Turn a text into int32 ids `[T]`, `T` at most `max_tokens`, special tokens at both ends included."""
        import torch

        text = f"{self.input.prefix}{item}"
        # tokenizing a whole book to keep its first page is slow, and a page nearly always fits in this
        page = text[: self.input.max_tokens * 12]
        page = page[: page.rfind(" ")] if len(page) < len(text) and " " in page else text
        ids = self.tokenizer.encode(page).ids
        if len(ids) < self.input.max_tokens and len(page) < len(text):
            ids = self.tokenizer.encode(text).ids
        return torch.tensor(ids, dtype=torch.int32)

    def collate(self, prepared: "Sequence[torch.Tensor]", device: "torch.device") -> "State":
        """Return (ids int64 `[B, T]`, mask bool `[B, T]`), padded to the longest text of the batch."""
        import torch

        lengths = torch.tensor([len(item) for item in prepared])
        if int(lengths.max()) > self.input.max_tokens or prepared[0].ndim != 1:
            raise BackboneError(
                f"This backbone reads at most {self.input.max_tokens} tokens of a text.",
                "These were prepared for another backbone; prepare them for this one.",
            )
        rows = [item.long() for item in prepared]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.input.pad)
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        return ids.to(device), mask.to(device)


class PairPreprocessor:
    """The picture as its own backbone reads it, and the text as its own does.

    A prepared item is one uint8 tensor `[4 T + 3 S S]`: the bytes of the ids, then those of the picture.
    """

    def __init__(self, image: ImagePreprocessor, text: TextPreprocessor) -> None:
        self.image, self.text = image, text
        self._pixels = 3 * image.input.size**2

    @cached_property
    def key(self) -> str:
        """A short hash of everything that determines the result."""
        return _hash([self.image.key, self.text.key])

    def prepare(self, item: "tuple[Path, str]") -> "torch.Tensor":
        """Read a picture file and a text. Raises DataError where the picture cannot be read."""
        path, text = item
        return self.join(self.image.prepare(path), self.text.prepare(text))

    def join(self, picture: "torch.Tensor", ids: "torch.Tensor") -> "torch.Tensor":
        """Return a prepared picture uint8 `[3, S, S]` and the ids `[T]` of its text as one prepared item."""
        import torch

        return torch.cat((ids.contiguous().view(torch.uint8), picture.reshape(-1)))

    def split(self, item: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        """Return the picture uint8 `[3, S, S]` and the ids int32 `[T]` of a prepared item."""
        import torch

        size = self.image.input.size
        return item[-self._pixels :].view(3, size, size), item[: -self._pixels].view(torch.int32)

    def collate(self, prepared: "Sequence[torch.Tensor]", device: "torch.device") -> "State":
        """Return (maps float32 `[B, 3, S, S]`, ids int64 `[B, T]`, mask bool `[B, T]`)."""
        if any(item.ndim != 1 or len(item) < self._pixels or (len(item) - self._pixels) % 4 for item in prepared):
            raise BackboneError(
                "These items were not prepared for this pair of backbones.", "Prepare them for this one."
            )
        pictures, ids = zip(*map(self.split, prepared), strict=True)
        return (*self.image.collate(pictures, device), *self.text.collate(ids, device))


def describe(spec: BackboneSpec) -> str:
    """Return the preprocessing in one sentence for a person; of a pair, in one for each part."""
    if spec.towers:
        return " ".join(describe(tower) for tower in spec.towers)
    if isinstance(spec.input, ImageInput):
        made = spec.input
        values = f"mean {made.mean[0]:g}, deviation {made.std[0]:g}" if len({*made.mean, *made.std}) <= 2 else ""
        short = math.floor(made.size / made.crop)
        until = f"to {short} x {short} pixels" if made.squash else f"until its short side has {short} pixels"
        return (
            f"Every picture is resized ({made.interpolation}) {until}, the middle "
            f"{made.size} x {made.size} is cut out, and colours are scaled with "
            f"{values or f'mean {made.mean} and deviation {made.std}'}, as in this backbone's own training."
        )
    if isinstance(spec.input, TextInput):
        prefix = spec.input.prefix.strip()
        return (
            f"Every text is cut into tokens by this backbone's own tokenizer; the first {spec.input.max_tokens} tokens "
            f"(about {round(spec.input.max_tokens * 0.74, -1):.0f} English words) are read."
            + (f' Before each one stands "{prefix}", as in its own training.' if prefix else "")
        )
    return "Not known on this machine."


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

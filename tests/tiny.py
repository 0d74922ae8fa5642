"""Backbones and data sets so small that a test takes milliseconds; the backbones are "pretrained" by a fixed seed."""

import hashlib
import random
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from tl_core.backbones.pair import pair
from tl_core.backbones.spec import BackboneSpec, ImageInput, TextInput, Weights
from tl_core.backbones.staged import Staged, State
from tl_core.data.dataset import COLUMNS, Dataset, Receipt
from tl_core.layers import LayerGroup
from tl_core.types import Modality
from tl_core.workspace import Workspace

TOKENIZER = Path(__file__).parent / "tiny_tokenizer.json"
WIDTHS = (8, 16, 24)


class TinyImage(Staged):
    """Three stages of convolution, batch normalisation and ReLU, each halving the sides; 24 features."""

    names = ("stem", "middle", "top")

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.ModuleDict()
        for name, before, after in zip(self.names, (3, *WIDTHS), WIDTHS, strict=False):
            conv = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
            self.net[name] = nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())

    def stage(self, index: int, state: State) -> State:
        return (self.net[self.names[index]](state[0]),)

    def pool(self, state: State, index: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        variance, mean = torch.var_mean(state[0], dim=(2, 3), correction=0)
        return mean, variance.clamp_min(1e-12).sqrt()


class TinyText(Staged):
    """Embeddings, then two transformer layers of width 16."""

    names = ("embeddings", "layer.0", "layer.1")

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(400, 16, padding_idx=0)
        self.layer = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True) for _ in range(2))

    def stage(self, index: int, state: State) -> State:
        hidden, mask = state
        if index == 0:
            return self.embeddings(hidden), mask
        return self.layer[index - 1](hidden, src_key_padding_mask=~mask.bool()), mask

    def pool(self, state: State, index: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        hidden, mask = state
        weight = (mask / mask.sum(dim=1, keepdim=True)).to(hidden.dtype)[..., None]
        mean = (hidden * weight).sum(dim=1)
        variance = ((hidden - mean[:, None]) ** 2 * weight).sum(dim=1)
        return mean, variance.clamp_min(1e-12).sqrt()


def _load_image(pretrained: bool) -> Staged:
    if not pretrained:
        return TinyImage()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = TinyImage().train()
        for _ in range(60):  # settles the running statistics, so that evaluation mode is like training
            net.run((torch.rand(16, 3, 32, 32) * 2 - 1,))
    return net.eval()


def _load_text(pretrained: bool) -> Staged:
    if not pretrained:
        return TinyText()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return TinyText().eval()


def _spec(name: str, modality: Modality, groups: tuple[str, ...], **fields: object) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        title=name,
        modality=modality,
        place=(modality, "general"),
        summary="For tests.",
        licence="none",
        source="https://example.org/tiny",
        weights=Weights("package", "tests", 0),
        groups=tuple(LayerGroup(group, rf"(net\.)?{group}\.".replace("layer.", r"layer\.")) for group in groups),
        **fields,  # type: ignore[arg-type]
    )


TINY_IMAGE = _spec(
    "tiny_image",
    "image",
    TinyImage.names,
    parameters=4920,
    features=24,
    group_matrices=(((3, 9, 8),), ((8, 9, 16),), ((16, 9, 24),)),
    input=ImageInput(size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    load=_load_image,
)
TINY_TEXT = _spec(
    "tiny_text",
    "text",
    TinyText.names,
    parameters=10848,
    features=16,
    group_matrices=((), ((16, 1, 32), (32, 1, 16)), ((16, 1, 32), (32, 1, 16))),
    input=TextInput(max_tokens=24, tokenizer=str(TOKENIZER)),
    load=_load_text,
)


TINY_PAIR = pair(TINY_IMAGE, TINY_TEXT)


def write_dataset(workspace: Workspace, name: str, modality: Modality, rows: list[dict], classes: int) -> Dataset:
    """Write a manifest by hand. Rows give id, label, digest, and path or text."""
    digest = hashlib.sha256(repr([(modality, classes)] + [(r["digest"], r["label"]) for r in rows]).encode())
    fingerprint = digest.hexdigest()[:16]
    folder = workspace.folder("datasets", fingerprint)
    frame = pd.DataFrame(rows)
    for column in COLUMNS:
        if column not in frame:
            frame[column] = ""
    frame["group"] = frame["group"].where(frame["group"] != "", frame["digest"])
    frame[list(COLUMNS)].to_parquet(folder / "manifest.parquet")
    names = tuple("abcdefghij"[:classes])
    dataset = Dataset(folder, fingerprint, name, modality, names, Receipt("by hand", len(rows)))
    dataset.save()
    return dataset


def make_images(workspace: Workspace, per_class: int = 8) -> Dataset:
    """Write stripes, columns and checks: three classes of noisy 40 x 36 images."""
    folder = workspace.folder("datasets", "tiny-images-source")
    random_state = np.random.default_rng(0)
    y, x = np.mgrid[:36, :40]
    patterns = (y // 4 % 2, x // 4 % 2, (x // 4 + y // 4) % 2)
    images = []
    for number in range(per_class):
        for label, pattern in enumerate(patterns):
            noisy = pattern[..., None] * 140 + 50 + random_state.normal(0, 15, (36, 40, 3)) + number
            image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            path = folder / f"{'abc'[label]}_{number}.png"
            image.save(path)
            images.append((path, label))
    rows = [
        {"id": p.name, "path": f"images/{p.name}", "label": label, "digest": hashlib.sha256(p.read_bytes()).hexdigest()}
        for p, label in images
    ]
    dataset = write_dataset(workspace, "patterns", "image", rows, 3)
    folder.rename(dataset.folder / "images")
    return dataset


def make_texts(workspace: Workspace, per_class: int = 20) -> Dataset:
    """Write short texts of between 3 and 40 words in two classes, "kitchen" and "weather"."""
    words = (
        ["pan", "oven", "salt", "bread", "butter", "soup", "knife", "recipe", "boil", "taste"],
        ["rain", "cloud", "storm", "wind", "sun", "frost", "snow", "forecast", "thunder", "fog"],
    )
    filler = ["the", "a", "is", "very", "with", "and", "this", "that", "today", "on"]
    chance = random.Random(0)
    rows = []
    for number in range(per_class):
        for label in (0, 1):
            text = " ".join(chance.choice(words[label] + filler) for _ in range(chance.randint(3, 40)))
            text += f" {words[label][number % 10]} {number}"
            rows.append(
                {
                    "id": f"row {len(rows) + 1}",
                    "text": text,
                    "label": label,
                    "digest": hashlib.sha256(text.encode()).hexdigest(),
                }
            )
    return write_dataset(workspace, "kitchen or weather", "text", rows, 2)


def make_pairs(workspace: Workspace, count: int = 96) -> Dataset:
    """Write pictures with texts in two classes, which only the combination decides.

    The class is 1 where a red picture speaks of the kitchen or a blue one of the weather (an exclusive or), so that
    neither part alone says anything about it.
    """
    folder = workspace.folder("datasets", "tiny-pairs-source")
    words = (["pan", "oven", "salt", "bread", "butter", "soup"], ["rain", "cloud", "storm", "wind", "sun", "frost"])
    chance, noise, rows = random.Random(0), np.random.default_rng(0), []
    for number in range(count):
        red, weather = number % 2, number // 2 % 2
        pixels = noise.normal(90, 25, (36, 40, 3))
        pixels[..., 0 if red else 2] += 110
        path = folder / f"{number}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        text = " ".join(chance.choice(words[weather]) for _ in range(chance.randint(3, 12))) + f" {number}"
        digest = hashlib.sha256(path.read_bytes() + text.encode()).hexdigest()
        label = int(red != weather)
        rows.append({"id": path.name, "path": f"images/{path.name}", "text": text, "label": label, "digest": digest})
    dataset = write_dataset(workspace, "colour or word", "multimodal", rows, 2)
    folder.rename(dataset.folder / "images")
    return dataset


def make_multilabel(workspace: Workspace, count: int = 60) -> Dataset:
    """Write short texts with the labels "kitchen", "weather" and "travel" by what they speak of: several, or none.

    The subgroup is "short" or "long".
    """
    from tl_core.data.options import RawItem, no_progress
    from tl_core.data.sources.store import Draft, store

    words = {
        "kitchen": ["pan", "oven", "salt", "bread", "butter", "soup", "knife", "recipe", "boil", "taste"],
        "weather": ["rain", "cloud", "storm", "wind", "sun", "frost", "snow", "forecast", "thunder", "fog"],
        "travel": ["train", "ticket", "road", "map", "hotel", "flight", "bag", "coast", "guide", "walk"],
    }
    filler = ["the", "a", "is", "very", "with", "and", "this", "that", "today", "on"]
    chance, items = random.Random(0), []
    for number in range(count):
        labels = tuple(name for name, share in zip(words, (0.5, 0.4, 0.25), strict=True) if chance.random() < share)
        drawn = [chance.choice(words[name]) for name in labels for _ in range(3)]
        drawn += [chance.choice(filler) for _ in range(chance.choice((4, 12)))]
        chance.shuffle(drawn)
        size = "short" if len(drawn) < 10 else "long"
        text = " ".join([*drawn, str(number)])
        items.append(RawItem(f"row {number + 1}", "", text=text, labels=labels, subgroup=size))
    return store(items, Draft("topics", "topics.csv", "text", subgroup_column="length"), workspace, no_progress)

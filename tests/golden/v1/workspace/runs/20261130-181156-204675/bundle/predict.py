"""Classify images or texts with the model in this folder.

    python predict.py INPUT --out predictions.csv

INPUT is one image or text file, a folder or zip of them, or (texts) a CSV or TSV table. The result has the columns
item, predicted, and one probability for each class. Where the model gives an item several labels, or none, each label
has a probability of its own, and predicted names all above one half, with "|" between them. It needs what
requirements.txt lists, and no network.

From Python, with this folder on the path:

    from predict import Model
    model = Model()
    model(["a text", "another"])    # texts, or paths of images -> probabilities [N, C]; model.classes names them
"""

import argparse
import csv
import io
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import nn

HERE = Path(__file__).resolve().parent
IMAGES = set(".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .pnm .avif".split())  # noqa: SIM905
TABLES = {".csv", ".tsv"}
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
MAX_SIDE, MAX_ASPECT, MAX_PIXELS = 2048, 16, 120_000_000


class Problem(Exception):
    """Something that the person at the keyboard can put right."""


# ---------------------------------------------------------------- the network


def import_torchvision() -> None:
    """Import torchvision, which timm and transformers want, also where its build does not match torch's.

    A CUDA build of torchvision beside a CPU build of torch misses two operators that it names while it is imported and
    that nothing here calls; declaring them is enough.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        pass
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        KEEP_ALIVE.append(library)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]


KEEP_ALIVE: list[object] = []


class ImageBackbone(nn.Module):
    """A timm EfficientNet up to the layer group `tap`; gives maps `[B, C, H, W]`."""

    def __init__(self, architecture: str, tap: str) -> None:
        super().__init__()
        import timm

        net: Any = timm.create_model(architecture, pretrained=False, num_classes=0)
        self.whole = tap == "top"
        if not self.whole:
            kept = 0 if tap == "stem" else int(tap.removeprefix("blocks.")) + 1
            net.blocks = net.blocks[:kept]
            net.conv_head = net.bn2 = nn.Identity()
        self.net = net

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation `[B, C]` over the positions of the last maps."""
        maps = self.net.blocks(self.net.bn1(self.net.conv_stem(images)))
        if self.whole:
            maps = self.net.bn2(self.net.conv_head(maps))
        mean = maps.mean(dim=(2, 3), keepdim=True)
        variance = (maps - mean).square().mean(dim=(2, 3))
        return mean[:, :, 0, 0], variance.clamp_min(1e-12).sqrt()


class TextBackbone(nn.Module):
    """A BERT up to the layer group `tap`; gives hidden states `[B, T, D]`."""

    def __init__(self, config: dict, tap: str) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        layers = 0 if tap == "embeddings" else int(tap.removeprefix("layer.")) + 1
        self.net = BertModel(BertConfig.from_dict(config | {"num_hidden_layers": layers}), add_pooling_layer=False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation `[B, D]` over the tokens that are there."""
        hidden = self.net(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.to(hidden.dtype)
        weight = (weight / weight.sum(dim=1, keepdim=True)).unsqueeze(-1)
        mean = (hidden * weight).sum(dim=1)
        variance = ((hidden - mean.unsqueeze(1)).square() * weight).sum(dim=1)
        return mean, variance.clamp_min(1e-12).sqrt()


class Head(nn.Module):
    """Standardises the pooled features `[B, D]` and gives class scores `[B, C]`."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, kind: str, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        mlp = kind == "mlp"
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.ReLU()) if mlp else nn.Identity()
        self.out = nn.Linear(hidden if mlp else width, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return class scores."""
        return self.out(self.hidden((features - self.mean) / self.std))


class Network(nn.Module):
    """Backbone, pooling, head: the tensors have the names that weights.safetensors gives them."""

    def __init__(self, config: dict, classes: int) -> None:
        super().__init__()
        recipe, head = config["recipe"], config["head"]
        if recipe["library"] == "timm":
            self.backbone: nn.Module = ImageBackbone(recipe["architecture"], config["tap"])
        elif recipe["library"] == "transformers":
            self.backbone = TextBackbone(recipe["config"], config["tap"])
        else:
            raise Problem(f"{config['backbone']} can only be run by Graft itself: python -m tl_core predict.")
        self.head = Head(head["kind"], head["width"], head["hidden"], classes)
        self.deviation = config["pool"] == "mean_std"

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return class scores `[B, C]`."""
        mean, deviation = self.backbone(*inputs)
        return self.head(torch.cat((mean, deviation), dim=1) if self.deviation else mean)


class Model:
    """The model of a bundle's folder, ready to classify; several that the folder names are averaged."""

    def __init__(self, folder: Path = HERE) -> None:
        import_torchvision()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.classes: list[str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        self.modality, self.several = str(config["modality"]), bool(config.get("multilabel", False))
        self.text_column: str = config.get("text_column", "")
        self.members: list[Model] = [Model(folder / name) for name in config.get("members", ())] or [self]
        if any(member.classes != self.classes for member in self.members):
            raise Problem(f"The models in {folder} do not tell the same classes apart. Make it again.")
        if self.members != [self]:
            return
        self.input = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        self.network = Network(config, len(self.classes)).eval()
        self.network.load_state_dict(load_file(folder / "weights.safetensors"))
        if self.modality == "text":
            from tokenizers import Tokenizer

            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.tokenizer.enable_truncation(self.input["max_tokens"])
            self.tokenizer.no_padding()

    @torch.inference_mode()
    def __call__(self, items: Iterable, batch_size: int = 32) -> np.ndarray:
        """Return probabilities `[N, C]` of texts, or of images (paths, file objects or PIL images)."""
        found = [np.empty((0, len(self.classes)), np.float32)]
        text = self.modality == "text"
        drawn = (item if text or isinstance(item, Image.Image) else open_image(item) for item in items)
        while prepared := [[member.prepare(item) for member in self.members] for item in islice(drawn, 1024)]:
            theirs = zip(self.members, zip(*prepared, strict=True), strict=True)
            found.append(np.mean([member.classify(its, batch_size) for member, its in theirs], axis=0))
        return np.concatenate(found)

    def classify(self, prepared: Sequence[torch.Tensor], batch_size: int) -> np.ndarray:
        """Return this one network's probabilities `[N, C]`."""
        rows = np.empty((len(prepared), len(self.classes)), np.float32)
        order = np.argsort([len(item) for item in prepared], kind="stable")  # texts of like length pad little
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            scores = self.network(*self.collate([prepared[i] for i in batch]))
            rows[batch] = (torch.sigmoid(scores) if self.several else torch.softmax(scores, dim=1)).numpy()
        return rows

    def said(self, row: np.ndarray) -> str:
        """Return the class of an item, or all its labels, from its probabilities `[C]`."""
        if not self.several:
            return self.classes[int(row.argmax())]
        return "|".join(name for name, chance in zip(self.classes, row, strict=True) if chance > 0.5)

    def prepare(self, item: Any) -> torch.Tensor:
        """Turn a text into token ids `[T]`, an image into uint8 `[3, S, S]`: short side resized, middle cut out."""
        if self.modality == "text":
            return torch.tensor(self.tokenizer.encode(item).ids)
        size, short = self.input["size"], min(item.size)
        width, height = (int(self.input["resize"] * side / short) for side in item.size)
        image = item.resize((width, height), Image.Resampling[self.input["interpolation"].upper()])
        left, top = round((width - size) / 2), round((height - size) / 2)
        pixels = np.array(image.crop((left, top, left + size, top + size)))
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def collate(self, prepared: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return what the network takes: images `[B, 3, S, S]`, or ids and mask `[B, T]`, padded with 0."""
        if self.modality == "text":
            mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in prepared], batch_first=True)
            return nn.utils.rnn.pad_sequence(prepared, batch_first=True), mask
        mean, std = (torch.tensor(self.input[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        pixels = torch.stack(prepared).contiguous(memory_format=torch.channels_last)
        return ((pixels.float() / 255 - mean) / std,)


# ---------------------------------------------------------------- images


def open_image(source: object) -> Image.Image:
    """Return an image as the model was trained on images: RGB, upright, first frame, transparency on white."""
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    with Image.open(source, formats=formats) as image:  # type: ignore[arg-type]
        kind, size = image.format, image.size
        if size[0] * size[1] > MAX_PIXELS:
            raise Problem(f"it has {size[0]:,} by {size[1]:,} pixels")
        turned = image.getexif().get(0x0112) in range(2, 9)
        changed = turned or image.mode not in ("RGB", "L", "1", "P") or "transparency" in image.info
        changed = changed or (kind != "MPO" and getattr(image, "n_frames", 1) > 1) or max(size) > MAX_SIDE
        if max(size) > 2 * MAX_SIDE:
            image.draft(None, (MAX_SIDE, MAX_SIDE))
        image.load()
        rgb = to_rgb(ImageOps.exif_transpose(image) if turned else image)
    fitted = fit(rgb)
    if kind in LOSSY and (changed or fitted.size != rgb.size):  # the training images were stored again in this way
        stored = io.BytesIO()
        fitted.save(stored, "JPEG", quality=95, subsampling=0)
        fitted = Image.open(stored)
        fitted.load()
    return fitted


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as 8-bit RGB."""
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        if layered.getchannel("A").getextrema() == (255, 255):
            return layered.convert("RGB")
        return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image).astype(np.float64))
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 65535:
            values, full = values - low, max(high - low, 1e-12)
        elif image.mode.startswith("F") and high <= 1:
            full = 1.0
        else:
            full = next(depth for depth in (255.0, 4095.0, 65535.0) if high <= depth)
        grey = np.round(np.clip(values / full, 0, 1) * 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    return image.convert("RGB")


def fit(image: Image.Image) -> Image.Image:
    """Crop a thin strip to its middle, and shrink what is very large."""
    width, height = image.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        keep_w, keep_h = min(width, MAX_ASPECT * height), min(height, MAX_ASPECT * width)
        left, top = (width - keep_w) // 2, (height - keep_h) // 2
        image = image.crop((left, top, left + keep_w, top + keep_h))
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return image


# ---------------------------------------------------------------- what to classify


def read_items(source: Path, modality: str, column: str) -> Iterator[tuple[str, object]]:
    """Yield (name, text) or (name, image) for everything in a file, folder, zip or table."""
    if source.is_dir():
        files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        for name, short in wanted(files, modality):
            yield from read_one(short, files[name].read_bytes(), modality, column)
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            first = {m.filename: m for m in reversed(archive.infolist()) if not m.is_dir()}  # of equal names
            for name, short in wanted(first, modality):
                yield from read_one(short, archive.read(first[name]), modality, column)
    elif source.is_file():
        yield from read_one(source.name, source.read_bytes(), modality, column)
    else:
        raise Problem(f"There is no file or folder {source}.")


def wanted(names: Iterable[str], modality: str) -> Iterator[tuple[str, str]]:
    """Yield (name, name without the folder that encloses all) of what is of the model's kind and no system junk."""
    suffixes = IMAGES if modality == "image" else {".txt"} | TABLES
    paths = {name: PurePosixPath(name) for name in sorted(names)}
    kept = [
        (name, path)
        for name, path in paths.items()
        if path.suffix.lower() in suffixes and not any(part.startswith((".", "__MACOSX")) for part in path.parts)
    ]
    enclosed = len({path.parts[0] for _, path in kept}) == 1 and all(len(path.parts) > 1 for _, path in kept)
    for name, path in kept:
        yield name, PurePosixPath(*path.parts[1:]).as_posix() if enclosed else name


def read_one(name: str, data: bytes, modality: str, column: str) -> Iterator[tuple[str, object]]:
    """Yield the item of one file, or the rows of a table."""
    if modality == "image":
        try:
            yield name, open_image(io.BytesIO(data))
        except Exception as error:  # Pillow's own words are not for people
            why = error if isinstance(error, Problem) else "it is not a picture, or it is damaged"
            print(f"skipped {name}: {why}", file=sys.stderr)
    elif PurePosixPath(name).suffix.lower() in TABLES:
        yield from read_table(decode(data), column)
    elif text := decode(data).replace("\0", "").strip():
        yield name, text


def decode(data: bytes) -> str:
    """Return text from UTF-16 with a mark at the start, from UTF-8, else from Windows' western encoding."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_table(text: str, column: str) -> Iterator[tuple[str, object]]:
    """Yield (row number, text) of the named column, or else of the one with the longest texts."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=text.split("\n", 1)[0].count))
    rows = [(number, cells) for number, cells in enumerate(reader, start=1) if any(cell.strip() for cell in cells)]
    if not rows:
        return
    header = rows[0][1]
    if column in header:
        at, rows = header.index(column), rows[1:]
    else:
        if not any(len(cell) > 80 or cell.replace(".", "").isdigit() for cell in header) and len(rows) > 1:
            rows = rows[1:]
        at = max(range(len(header)), key=lambda i: sum(len(cells[i]) for _, cells in rows if i < len(cells)))
    for number, cells in rows:
        if at < len(cells) and (cell := cells[at].replace("\0", "").strip()):
            yield f"row {number}", cell


def main() -> None:
    """Read the command line, classify, write the table."""
    parser = argparse.ArgumentParser(description="Classify images or texts with the model in this folder.")
    parser.add_argument("input", type=Path, help="an image or text file, a folder or zip of them, or a CSV of texts")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"), help="the table to write")
    parser.add_argument("--text-column", default="", help="the column with the texts, where INPUT is a table")
    options = parser.parse_args()
    if options.out.resolve() == options.input.resolve():
        raise Problem(f"{options.out} is what is to be classified. Name another file for --out.")
    model, names = Model(), list[str]()

    def items() -> Iterator[object]:
        for name, item in read_items(options.input, model.modality, options.text_column or model.text_column):
            names.append(name)
            yield item

    probabilities = model(items())
    if not names:
        raise Problem(f"There is no {model.modality} to classify in {options.input}.")
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "predicted", *model.classes])
        for name, row in zip(names, probabilities, strict=True):
            writer.writerow([name, model.said(row), *(f"{p:.6f}" for p in row)])
    one = f"{names[0]}: {model.said(probabilities[0]) or 'no label'}"
    print(f"{one if len(names) == 1 else f'{len(names)} classified'}, written to {options.out}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (Problem, OSError, zipfile.BadZipFile) as problem:
        sys.exit(str(problem))

"""Classify images or texts with the model in this folder.

    python predict.py INPUT --out predictions.csv

INPUT is an image or text file, a folder or zip of such files, or (for texts) a CSV or TSV table. The output table has
the columns item, predicted, and one probability for each class. A multilabel model gives each label an independent
probability; the predicted labels are all those above 0.5, separated by "|". The script needs only the packages in
requirements.txt, and no internet.

From Python, with this folder on the path:

    from predict import Model
    model = Model()
    model(["a text", "another"])    # texts, or image paths -> probabilities [N, C], in the order of model.classes
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

MODEL_FOLDER = Path(__file__).resolve().parent
IMAGE_SUFFIXES = set(".jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .pnm .avif".split())  # noqa: SIM905
TABLE_SUFFIXES = {".csv", ".tsv"}
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")
LOSSY = ("JPEG", "MPO", "WEBP", "AVIF")
MAX_SIDE, MAX_ASPECT, MAX_PIXELS = 2048, 16, 120_000_000


class InputError(Exception):
    """A mistake that the user can correct."""


def import_torchvision() -> None:
    """Import torchvision, which timm and transformers need, even if its build does not match that of torch.

    With a CPU build of torch, a CUDA build of torchvision fails to import because two operators are missing. Nothing
    here calls them, so declaring them is enough.
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
        torch.kept_for_torchvision = library  # type: ignore[attr-defined]
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]


class ImageBackbone(nn.Module):
    """A timm EfficientNet, cut after the layer group `tap`."""

    def __init__(self, architecture: str, tap: str) -> None:
        super().__init__()
        import timm

        net: Any = timm.create_model(architecture, pretrained=False, num_classes=0)
        self.whole = tap == "top"
        if not self.whole:
            n_blocks = 0 if tap == "stem" else int(tap.removeprefix("blocks.")) + 1
            net.blocks = net.blocks[:n_blocks]
            net.conv_head = net.bn2 = nn.Identity()
        self.net = net

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and standard deviation `[B, C]` of the last feature maps over their positions."""
        maps = self.net.blocks(self.net.bn1(self.net.conv_stem(images)))
        if self.whole:
            maps = self.net.bn2(self.net.conv_head(maps))
        mean = maps.mean(dim=(2, 3), keepdim=True)
        variance = (maps - mean).square().mean(dim=(2, 3))
        return mean[:, :, 0, 0], variance.clamp_min(1e-12).sqrt()


class TextBackbone(nn.Module):
    """A BERT encoder, cut after the layer group `tap`."""

    def __init__(self, config: dict, tap: str) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        layers = 0 if tap == "embeddings" else int(tap.removeprefix("layer.")) + 1
        self.net = BertModel(BertConfig.from_dict(config | {"num_hidden_layers": layers}), add_pooling_layer=False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and standard deviation `[B, D]` of the hidden states over the tokens, padding excluded."""
        hidden = self.net(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.to(hidden.dtype)
        weight = (weight / weight.sum(dim=1, keepdim=True)).unsqueeze(-1)
        mean = (hidden * weight).sum(dim=1)
        variance = ((hidden - mean.unsqueeze(1)).square() * weight).sum(dim=1)
        return mean, variance.clamp_min(1e-12).sqrt()


class Head(nn.Module):
    """Standardise the pooled features `[B, D]`, then map them to logits `[B, C]`."""

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
        """Return logits `[B, C]`."""
        return self.out(self.hidden((features - self.mean) / self.std))


class Network(nn.Module):
    """Backbone, pooling and head; the tensors are named as in weights.safetensors."""

    def __init__(self, folder: Path, config: dict, classes: int) -> None:
        super().__init__()
        recipe, head = config["recipe"], config["head"]
        if "stages" in recipe:
            sys.path.insert(0, str(folder))
            from library_network import LibraryBackbone

            self.backbone: nn.Module = LibraryBackbone(recipe, config["tap"])
        elif recipe["library"] == "timm":
            self.backbone = ImageBackbone(recipe["architecture"], config["tap"])
        elif recipe["library"] == "transformers":
            self.backbone = TextBackbone(recipe["config"], config["tap"])
        else:
            raise InputError(f"{config['backbone']} runs only in Graft: python -m tl_core predict.")
        self.head = Head(head["kind"], head["width"], head["hidden"], classes)
        self.use_std = config["pool"] == "mean_std"

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, C]`."""
        mean, std = self.backbone(*inputs)
        return self.head(torch.cat((mean, std), dim=1) if self.use_std else mean)


class Model:
    """The model in a folder, ready to classify. For an ensemble, the members' probabilities are averaged."""

    def __init__(self, folder: Path = MODEL_FOLDER) -> None:
        import_torchvision()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.classes: list[str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        self.modality, self.multilabel = str(config["modality"]), bool(config.get("multilabel", False))
        self.text_column: str = config.get("text_column", "")
        self.members: list[Model] = [Model(folder / name) for name in config.get("members", ())] or [self]
        if any(member.classes != self.classes for member in self.members):
            raise InputError(f"The models in {folder} have different classes. Make the ensemble again.")
        if self.members != [self]:
            return
        self.input = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        self.network = Network(folder, config, len(self.classes)).eval()
        strict = "stages" not in config["recipe"]  # what comes after the head's layer group is in no file
        self.network.load_state_dict(load_file(folder / "weights.safetensors"), strict=strict)
        if self.modality == "text":
            from tokenizers import Tokenizer

            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.tokenizer.enable_truncation(self.input["max_tokens"])
            self.tokenizer.no_padding()

    @torch.inference_mode()
    def __call__(self, items: Iterable, batch_size: int = 32) -> np.ndarray:
        """Return probabilities `[N, C]` of texts, or of images (paths, file objects or PIL images)."""
        chunks = [np.empty((0, len(self.classes)), np.float32)]
        opened = map(self.open, items)
        while prepared := [[member.prepare(item) for member in self.members] for item in islice(opened, 1024)]:
            inputs = zip(self.members, zip(*prepared, strict=True), strict=True)
            chunks.append(np.mean([member.classify(rows, batch_size) for member, rows in inputs], axis=0))
        return np.concatenate(chunks)

    def open(self, item: Any) -> Any:
        """Open an image (a path or file object); a text and a PIL image stay as they are."""
        return item if self.modality == "text" or isinstance(item, Image.Image) else open_image(item)

    def classify(self, prepared: Sequence[torch.Tensor], batch_size: int) -> np.ndarray:
        """Return the probabilities `[N, C]` of this network alone."""
        probabilities = np.empty((len(prepared), len(self.classes)), np.float32)
        order = np.argsort([len(item) for item in prepared], kind="stable")  # similar lengths need little padding
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            logits = self.network(*self.collate([prepared[i] for i in batch]))
            probabilities[batch] = (torch.sigmoid(logits) if self.multilabel else torch.softmax(logits, dim=1)).numpy()
        return probabilities

    def predicted(self, probabilities: np.ndarray) -> str:
        """Return the predicted class of one item, or its predicted labels, from its probabilities `[C]`."""
        if not self.multilabel:
            return self.classes[int(probabilities.argmax())]
        return "|".join(name for name, p in zip(self.classes, probabilities, strict=True) if p > 0.5)

    def prepare(self, item: Any) -> torch.Tensor:
        """Turn a text into token ids `[T]`; resize and centre-crop an image to uint8 `[3, S, S]`."""
        if self.modality == "text":
            return torch.tensor(self.tokenizer.encode(self.input.get("prefix", "") + item).ids)
        size, short = self.input["size"], min(item.size)
        width, height = (int(self.input["resize"] * side / short) for side in item.size)
        if self.input.get("squash"):
            width = height = self.input["resize"]
        image = item.resize((width, height), Image.Resampling[self.input["interpolation"].upper()])
        left, top = round((width - size) / 2), round((height - size) / 2)
        pixels = np.array(image.crop((left, top, left + size, top + size)))
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def collate(self, prepared: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return a batch for the network: images `[B, 3, S, S]`, or token ids and mask `[B, T]`, padded with 0."""
        if self.modality == "text":
            mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in prepared], batch_first=True)
            pad = self.input.get("pad", 0)
            return nn.utils.rnn.pad_sequence(prepared, batch_first=True, padding_value=pad), mask
        mean, std = (torch.tensor(self.input[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
        pixels = torch.stack(prepared).contiguous(memory_format=torch.channels_last)
        return ((pixels.float() / 255 - mean) / std,)


def open_image(source: object) -> Image.Image:
    """Open an image as in training: RGB, upright, first frame, transparency on white."""
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    with Image.open(source, formats=formats) as image:  # type: ignore[arg-type]
        kind, size = image.format, image.size
        if size[0] * size[1] > MAX_PIXELS:
            raise InputError(f"it has {size[0]:,} by {size[1]:,} pixels")
        rotated = image.getexif().get(0x0112) in range(2, 9)
        changed = rotated or image.mode not in ("RGB", "L", "1", "P") or "transparency" in image.info
        changed = changed or (kind != "MPO" and getattr(image, "n_frames", 1) > 1) or max(size) > MAX_SIDE
        if max(size) > 2 * MAX_SIDE:
            image.draft(None, (MAX_SIDE, MAX_SIDE))
        image.load()
        rgb = to_rgb(ImageOps.exif_transpose(image) if rotated else image)
    fitted = fit(rgb)
    if kind in LOSSY and (changed or fitted.size != rgb.size):  # changed training images were saved again like this
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
    """Crop very elongated images to their centre, and shrink very large ones."""
    width, height = image.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        keep_w, keep_h = min(width, MAX_ASPECT * height), min(height, MAX_ASPECT * width)
        left, top = (width - keep_w) // 2, (height - keep_h) // 2
        image = image.crop((left, top, left + keep_w, top + keep_h))
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return image


def read_items(source: Path, modality: str, column: str) -> Iterator[tuple[str, object]]:
    """Yield (name, text) or (name, image) for everything in a file, folder, zip or table."""
    if source.is_dir():
        files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
        for name, short in wanted(files, modality):
            yield from read_one(short, files[name].read_bytes(), modality, column)
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            members = {m.filename: m for m in reversed(archive.infolist()) if not m.is_dir()}  # first of equal names
            for name, short in wanted(members, modality):
                yield from read_one(short, archive.read(members[name]), modality, column)
    elif source.is_file():
        yield from read_one(source.name, source.read_bytes(), modality, column)
    else:
        raise InputError(f"There is no file or folder {source}.")


def wanted(names: Iterable[str], modality: str) -> Iterator[tuple[str, str]]:
    """Yield (name, shown name) of the files the model can read. A folder that encloses all files is not shown."""
    suffixes = IMAGE_SUFFIXES if modality == "image" else {".txt"} | TABLE_SUFFIXES
    paths = {name: PurePosixPath(name) for name in sorted(names)}
    readable = [
        (name, path)
        for name, path in paths.items()
        if path.suffix.lower() in suffixes and not any(part.startswith((".", "__MACOSX")) for part in path.parts)
    ]
    enclosed = len({path.parts[0] for _, path in readable}) == 1 and all(len(path.parts) > 1 for _, path in readable)
    for name, path in readable:
        yield name, PurePosixPath(*path.parts[1:]).as_posix() if enclosed else name


def read_one(name: str, data: bytes, modality: str, column: str) -> Iterator[tuple[str, object]]:
    """Yield the item of one file, or the rows of a table."""
    if modality == "image":
        try:
            yield name, open_image(io.BytesIO(data))
        except Exception as error:  # Pillow's own messages are too technical
            reason = error if isinstance(error, InputError) else "it is not a picture, or it is damaged"
            print(f"skipped {name}: {reason}", file=sys.stderr)
    elif PurePosixPath(name).suffix.lower() in TABLE_SUFFIXES:
        yield from read_table(decode(data), column)
    elif text := decode(data).replace("\0", "").strip():
        yield name, text


def decode(data: bytes) -> str:
    """Decode UTF-16 if it starts with a byte order mark, else UTF-8, else Windows-1252."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_table(text: str, column: str) -> Iterator[tuple[str, object]]:
    """Yield (row number, text) of the named column, or else of the column with the longest texts."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=text.split("\n", 1)[0].count))
    rows = [(number, cells) for number, cells in enumerate(reader, start=1) if any(cell.strip() for cell in cells)]
    if not rows:
        return
    header = rows[0][1]
    if column in header:
        index, rows = header.index(column), rows[1:]
    else:
        if not any(len(cell) > 80 or cell.replace(".", "").isdigit() for cell in header) and len(rows) > 1:
            rows = rows[1:]
        index = max(range(len(header)), key=lambda i: sum(len(cells[i]) for _, cells in rows if i < len(cells)))
    for number, cells in rows:
        if index < len(cells) and (cell := cells[index].replace("\0", "").strip()):
            yield f"row {number}", cell


def main() -> None:
    """Read the command line, classify the items, write the table."""
    parser = argparse.ArgumentParser(description="Classify images or texts with the model in this folder.")
    parser.add_argument("input", type=Path, help="an image or text file, a folder or zip of them, or a CSV of texts")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"), help="the table to write")
    parser.add_argument("--text-column", default="", help="the column with the texts, if INPUT is a table")
    options = parser.parse_args()
    if options.out.exists() and options.out.resolve().is_relative_to(options.input.resolve()):
        raise InputError(f"{options.out} is the input file, or lies in the input folder. Name another file for --out.")
    model, names = Model(), list[str]()

    def items() -> Iterator[object]:
        for name, item in read_items(options.input, model.modality, options.text_column or model.text_column):
            names.append(name)
            yield item

    probabilities = model(items())
    if not names:
        raise InputError(f"There is no {model.modality} to classify in {options.input}.")
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "predicted", *model.classes])
        for name, row in zip(names, probabilities, strict=True):
            writer.writerow([name, model.predicted(row), *(f"{p:.6f}" for p in row)])
    single = f"{names[0]}: {model.predicted(probabilities[0]) or 'no label'}"
    print(f"{single if len(names) == 1 else f'{len(names)} classified'}, written to {options.out}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (InputError, OSError, zipfile.BadZipFile) as error:
        sys.exit(str(error))

"""Classify pictures with texts with the model in this folder.

    python predict.py INPUT --out predictions.csv

INPUT is a CSV or TSV table with a column of picture files and a column of texts, or a zip or folder with such tables
and the pictures. The paths are relative to the table; in a zip or folder, a file name or its stem is enough. The output
table has the columns item, predicted, and one probability for each class. A multilabel model gives each label an
independent probability; the predicted labels are all those above 0.5, separated by "|". The script needs only the
packages in requirements.txt, and no internet.

From Python, with this folder on the path:

    from predict import Model
    model = Model()
    model([("photo.jpg", "its text"), ("other.jpg", "another")])    # -> probabilities [N, C], as model.classes
"""

import argparse
import csv
import io
import json
import re
import sys
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent))  # python -P leaves it out
from predict_single import (
    IMAGE_SUFFIXES,
    MODEL_FOLDER,
    TABLE_SUFFIXES,
    Head,
    InputError,
    Network,
    decode,
    import_torchvision,
    open_image,
)
from predict_single import Model as SingleModel

Read = Callable[[str], bytes]
"""Returns the bytes of a file that a table names."""


class Part(SingleModel):
    """How one part of an item becomes a tensor: the picture, or the text."""

    def __init__(self, folder: Path, modality: str, given: dict) -> None:
        self.modality, self.input = modality, given
        if modality == "text":
            from tokenizers import Tokenizer

            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.tokenizer.enable_truncation(given["max_tokens"])
            self.tokenizer.no_padding()


class PairNetwork(nn.Module):
    """Two backbones side by side, and a head on the features of both; the tensors are named as in the file."""

    def __init__(self, folder: Path, config: dict, classes: int) -> None:
        super().__init__()
        towers = {
            part: Network(folder, config | {"recipe": config["recipe"][part], "tap": tap}, classes).backbone
            for part, tap in config["taps"].items()
        }
        self.backbone = nn.ModuleDict(towers)
        head = config["head"]
        self.head = Head(head["kind"], head["width"], head["hidden"], classes)
        self.use_std = config["pool"] == "mean_std"

    def forward(self, images: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return logits `[B, C]`."""
        pooled = [self.backbone["image"](images)]
        if "text" in self.backbone:  # the head may sit on a layer of the picture
            pooled.append(self.backbone["text"](ids, mask))
        means, deviations = zip(*pooled, strict=True)
        return self.head(torch.cat((*means, *deviations) if self.use_std else means, dim=1))


class Model(SingleModel):
    """The model in a folder, ready to classify. For an ensemble, the members' probabilities are averaged."""

    def __init__(self, folder: Path = MODEL_FOLDER) -> None:
        import_torchvision()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.classes = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        self.modality, self.multilabel = str(config["modality"]), bool(config.get("multilabel", False))
        self.path_column: str = config.get("path_column", "")
        self.text_column = config.get("text_column", "")
        members: list[SingleModel] = [Model(folder / name) for name in config.get("members", ())]
        self.members = members or [self]
        if any(member.classes != self.classes for member in members):
            raise InputError(f"The models in {folder} have different classes. Make the ensemble again.")
        if members:
            return
        given = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        self.parts = [Part(folder, part, given[part]) for part in ("image", "text")]
        self.network: Any = PairNetwork(folder, config, len(self.classes)).eval()
        # what comes after the head's layer group is in no file, and never run
        self.network.load_state_dict(load_file(folder / "weights.safetensors"), strict=False)

    def open(self, item: Any) -> Any:
        """Open the picture (a path, a file object or a PIL image) of a picture with its text."""
        picture, text = item
        return picture if isinstance(picture, Image.Image) else open_image(picture), text

    def prepare(self, item: Any) -> Any:
        """Turn an item into a picture uint8 `[3, S, S]` and token ids `[T]`."""
        return tuple(part.prepare(value) for part, value in zip(self.parts, item, strict=True))

    def collate(self, prepared: list) -> tuple[torch.Tensor, ...]:
        """Return a batch for the network: images `[B, 3, S, S]`, token ids and mask `[B, T]`."""
        columns = zip(*prepared, strict=True)
        return tuple(t for part, rows in zip(self.parts, columns, strict=True) for t in part.collate(list(rows)))


def read_pairs(source: Path, path_column: str, text_column: str) -> Iterator[tuple[str, tuple[Image.Image, str]]]:
    """Yield (row, (picture, text)) of a table, or of the tables in a folder or zip that have both columns."""
    columns = path_column, text_column
    if source.is_dir():
        files = {p.relative_to(source).as_posix(): p for p in sorted(source.rglob("*")) if p.is_file()}
        yield from pairs_among(list(files), beside(source), columns)
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            yield from pairs_among(
                [n for n in archive.namelist() if not n.startswith("__MACOSX")], archive.read, columns
            )
    elif source.is_file():
        read = beside(source.parent)
        rows = rows_of(source.read_bytes())
        yield from pairs_of(rows, lambda path: read(path.strip().replace("\\", "/")), columns)
    else:
        raise InputError(f"There is no file or folder {source}.")


def beside(folder: Path) -> Read:
    """Return how files below a folder are read; a path that leads out of it is not."""

    def read(path: str) -> bytes:
        file = (folder / path).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise InputError("its path leads out of the table's folder")
        if not file.is_file():
            raise InputError(f"there is no picture {path}")
        return file.read_bytes()

    return read


def pairs_among(names: Sequence[str], read: Read, columns: tuple[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield (row, (picture, text)) of all tables with both columns among the files of a folder or zip."""
    tables = {n: rows_of(read(n)) for n in names if PurePosixPath(n).suffix.lower() in TABLE_SUFFIXES}
    if not tables:
        raise InputError("There is no CSV or TSV table among the files, but one is needed.")
    fitting = {name: rows for name, rows in tables.items() if rows and set(columns) <= set(rows[0][1])}
    for name, rows in (fitting or dict(list(tables.items())[:1])).items():  # of none, the first says what it lacks
        cells = [dict(zip(rows[0][1], row, strict=False)).get(columns[0], "") for _, row in rows[1:]] if fitting else []
        pictures = Pictures([n for n in names if n not in tables], read, PurePosixPath(name).parent, cells)
        pairs = pairs_of(rows, pictures.read, columns)
        yield from ((f"{row} of {name}" if len(fitting) > 1 else row, pair) for row, pair in pairs)


class Pictures:
    """The pictures beside a table by the names that its cells may use: their paths, ends of them, or file names.

    A file name, without or with its suffix and leading zeros, counts only where the cells differ in it and only one
    picture has it: train/1.png never names test/1.png of the same table.
    """

    def __init__(self, names: Sequence[str], read: Read, folder: PurePosixPath, cells: Sequence[str]) -> None:
        self.read_file, self.folder = read, folder
        self.paths = {unicodedata.normalize("NFC", name): name for name in names}
        self.known: dict[tuple[str, str], str | None] = {}
        for path, name in self.paths.items():
            if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES:
                for key in keys(path):
                    self.known[key] = None if key in self.known else name
        by_key = Counter(key for path in {"/".join(parts(cell)).casefold() for cell in cells} for key in keys(path))
        self.unclear = {way for (way, _), n in by_key.items() if n > 1}

    def read(self, cell: str) -> bytes:
        """Return the bytes of the picture that a cell names. Raises InputError if none."""
        return self.read_file(self.find(cell))

    def find(self, cell: str) -> str:
        """Return the file that a cell names. Raises InputError if none."""
        path = "/".join(parts(cell))
        for exact in (str(self.folder / path), path):
            if exact in self.paths and ".." not in cell:
                return self.paths[exact]
        for way, key in keys(path):
            if (name := self.known.get((way, key))) and (way == "path" or way not in self.unclear):
                return name
        raise InputError(f"there is no picture {cell.strip()}")


def parts(cell: str) -> list[str]:
    """Return folders and file of a path, also one of another machine or an address, without host and drive."""
    name = unicodedata.normalize("NFC", cell.strip().replace("\\", "/"))
    name = name.split("?d=", 1)[-1].split("?", 1)[0] if "?d=" in name or "://" in name else name
    return [part for part in name.split("/") if part not in ("", ".", "..") and not part.endswith(":")]


def keys(path: str) -> Iterator[tuple[str, str]]:
    """Yield (way, name) of all names of a path, the surest first: ends of the path, file name, stem, bare number."""
    *folders, file = path.casefold().split("/")
    for start in range(len(folders)):
        yield "path", "/".join((*folders[start:], file))
    whole, suffix = PurePosixPath(file).stem, PurePosixPath(file).suffix
    stem = whole if suffix in IMAGE_SUFFIXES or (suffix == ".0" and whole.isdigit()) else file
    yield from (("file", file), ("stem", stem), ("number", re.sub(r"(?<!\d)0+(?=\d)", "", stem)))


def rows_of(table: bytes) -> list[tuple[int, list[str]]]:
    """Return the numbers and cells of the rows of a table that are not empty; the first holds the column names."""
    csv.field_size_limit(2**31 - 1)
    text = decode(table)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=text.split("\n", 1)[0].count))
    return [(number, cells) for number, cells in enumerate(reader, start=1) if any(cell.strip() for cell in cells)]


def pairs_of(
    rows: Sequence[tuple[int, list[str]]], read: Read, columns: tuple[str, str]
) -> Iterator[tuple[str, tuple[Image.Image, str]]]:
    """Yield (row, (picture, text)) of the rows of a table; say which are skipped, and why."""
    header = rows[0][1] if rows else []
    for option, name in zip(("--path-column", "--text-column"), columns, strict=True):
        if name not in header:
            raise InputError(f"The table has no column {name!r}. Name the right one with {option}.")
    for number, cells in rows[1:]:
        named = dict(zip(header, cells, strict=False))
        name = named.get(columns[0], "").strip()
        words = named.get(columns[1], "").replace("\0", "").strip()
        try:
            if not name or not words:
                raise InputError("it has no picture" if words else "it has no text")
            yield f"row {number}", (open_image(io.BytesIO(read(name))), words)
        except Exception as error:  # Pillow's own messages are too technical
            reason = error if isinstance(error, InputError) else f"the picture {name} cannot be read"
            print(f"skipped row {number}: {reason}", file=sys.stderr)


def main() -> None:
    """Read the command line, classify the items, write the table."""
    parser = argparse.ArgumentParser(description="Classify pictures with texts with the model in this folder.")
    parser.add_argument("input", type=Path, help="a CSV or TSV of picture files and texts, or a zip or folder with one")
    parser.add_argument("--out", type=Path, default=Path("predictions.csv"), help="the table to write")
    parser.add_argument("--path-column", default="", help="the column with the picture files")
    parser.add_argument("--text-column", default="", help="the column with the texts")
    options = parser.parse_args()
    if options.out.exists() and options.out.resolve().is_relative_to(options.input.resolve()):
        raise InputError(f"{options.out} is the input file, or lies in the input folder. Name another file for --out.")
    model, names = Model(), list[str]()
    columns = options.path_column or model.path_column, options.text_column or model.text_column

    def items() -> Iterator[object]:
        for name, item in read_pairs(options.input, *columns):
            names.append(name)
            yield item

    probabilities = model(items())
    if not names:
        raise InputError(f"There is no picture with a text to classify in {options.input}.")
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "predicted", *model.classes])
        for name, row in zip(names, probabilities, strict=True):
            writer.writerow([name, model.predicted(row), *(f"{p:.6f}" for p in row)])
    print(f"{len(names)} classified, written to {options.out}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (InputError, OSError, zipfile.BadZipFile) as error:
        sys.exit(str(error))

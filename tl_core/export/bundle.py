"""The bundle: a folder with a trained model and everything needed to use it, with Graft or without.

weights.safetensors  plan.yaml  report.json  predict.py  README.md (the model card)  labels.json  preprocessing.json
config.json  requirements.txt  and, for texts, tokenizer.json; for other networks than the packaged library_network.py;
for pictures with texts predict_single.py, which predict.py uses for each part
"""

import math
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from pydantic import ValidationError
from safetensors import SafetensorError

from tl_core.backbones.catalogue import embedded, find_backbone
from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.pair import tower
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BackboneSpec, ImageInput, TextInput
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision, effective_decisions
from tl_core.data.split import SplitSpec
from tl_core.errors import ExportError, GraftError
from tl_core.evaluation.predict import PreparedItems, predict
from tl_core.evaluation.results import Report
from tl_core.export import EXPORTERS, Exporter, ExportResult, TrainedModel
from tl_core.export.model_card import model_card
from tl_core.plan import TransferPlan, from_yaml, to_yaml
from tl_core.training.model import TransferModel, build_model
from tl_core.types import dump, load
from tl_core.workspace import read_json, write_bytes, write_json

FORMAT = 1
COMPARED = 8
TOLERANCE = 1e-4
TEMPLATE = Path(__file__).parent / "templates" / "predict.py"
REQUIRED = ("config.json", "labels.json", "plan.yaml", "report.json", "weights.safetensors")


@dataclass(frozen=True)
class Bundle:
    """A bundle read back; `split` and `decisions` are those of the data set it was trained on."""

    folder: Path
    model: TransferModel
    spec: BackboneSpec
    classes: tuple[str, ...]
    plan: TransferPlan
    report: Report
    split: SplitSpec
    text_column: str = ""
    multilabel: bool = False
    decisions: tuple[Decision, ...] = ()
    path_column: str = ""

    def predict(self, items: Sequence[Any]) -> np.ndarray:
        """Return probabilities `[N, C]` of image files, texts, or tuples of both.

        Raises DataError for one that cannot be read.
        """
        return predict(self.model, self.spec, PreparedItems(items, preprocessor(self.spec)), self.multilabel)


def write_bundle(folder: Path, trained: TrainedModel) -> ExportResult:
    """Write a bundle as `folder`, atomically, and compare its predictions with the model's on a few items.

    An older bundle there is replaced. Raises ExportError if `folder` holds anything else or cannot be written, or if
    the bundle does not reproduce the model's probabilities.
    """
    with replaced(folder) as part:
        _fill(part, trained)
        result = _parity(part, trained)
    return replace(result, path=folder)


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle, its model in evaluation mode. Raises ExportError naming what is missing or damaged."""
    if names := members_of(folder):
        raise ExportError(
            f"{folder.name} is an ensemble of {len(names)} models, but a single model is needed here.",
            f"Name one of the folders in it: {', '.join(names)}.",
        )
    if missing := [name for name in REQUIRED if not (folder / name).is_file()]:
        raise ExportError(
            f"{folder.name} is not a complete bundle: {', '.join(missing)} missing.",
            "Name the folder that `train --out` wrote, or the unpacked download.",
        )
    try:
        config, classes = read_json(folder / "config.json"), tuple(map(str, read_json(folder / "labels.json")))
        if config["format"] != FORMAT:
            raise ExportError(f"{folder.name} has the format {config['format']}, which this version cannot read.")
        report = load(Report, read_json(folder / "report.json"))
        plan = from_yaml((folder / "plan.yaml").read_text(encoding="utf-8"))
        split = load(SplitSpec, config["split"])
        card = config.get("card")
        spec = embedded(card, folder / "tokenizer.json") if card else find_backbone(config["backbone"])
        model = build_model(spec, replace(plan, init="random"), len(classes), seed=0)
        model.load_state_dict(safetensors.torch.load_file(folder / "weights.safetensors"))
        decisions = load(tuple[Decision, ...], config.get("decisions", []))
        data = str(config["text_column"]), bool(config.get("multilabel", False)), decisions
        return Bundle(
            folder, model.eval(), spec, classes, plan, report, split, *data, str(config.get("path_column", ""))
        )
    except ExportError:
        raise
    except (GraftError, OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = "its report cannot be read" if isinstance(error, ValidationError) else str(error).split("\n")[0]
        raise ExportError(
            f"The bundle {folder.name} is damaged: {reason}", "Download or train it again, and keep its files together."
        ) from error


def members_of(folder: Path) -> tuple[str, ...]:
    """Return the folder names of an ensemble's members; none if `folder` is not an ensemble."""
    try:
        return tuple(map(str, read_json(folder / "config.json").get("members", ())))
    except (OSError, ValueError, AttributeError, TypeError):
        return ()


def _fill(folder: Path, trained: TrainedModel) -> None:
    model, spec, dataset, report = trained.model, trained.spec, trained.dataset, trained.report
    tensors = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    write_bytes(folder / "weights.safetensors", safetensors.torch.save(tensors, {"format": "pt"}))
    write_bytes(folder / "plan.yaml", to_yaml(report.plan, [group.name for group in spec.groups]).encode())
    write_json(folder / "report.json", dump(report))
    write_json(folder / "labels.json", list(report.classes))
    write_json(folder / "preprocessing.json", _preprocessing(spec, dataset.text_column))
    write_json(folder / "config.json", _config(trained))
    if "text" in spec.parts:
        shutil.copyfile(tokenizer_file(spec), folder / "tokenizer.json")
    copy_script(folder, spec)
    if spec.card:
        shutil.copyfile(TEMPLATE.with_name("library_network.py"), folder / "library_network.py")
    write_bytes(folder / "requirements.txt", _requirements(spec).encode())
    write_bytes(folder / "README.md", model_card(trained).encode())


def copy_script(folder: Path, spec: BackboneSpec) -> None:
    """Write predict.py; for pictures with texts also the script for one of the two, which it uses."""
    if len(spec.parts) == 1:
        shutil.copyfile(TEMPLATE, folder / "predict.py")
        return
    shutil.copyfile(TEMPLATE.with_name("predict_pairs.py"), folder / "predict.py")
    shutil.copyfile(TEMPLATE, folder / "predict_single.py")


def _config(trained: TrainedModel) -> dict[str, Any]:
    """Return what `predict.py` and Graft need to build the network again."""
    model, head, dataset = trained.model, trained.report.plan.head, trained.dataset
    decisions = (
        [dump(decision) for decision in effective_decisions(dataset.decisions, dataset.source_splits)]
        if dataset.decisions
        else []
    )
    return {
        "format": FORMAT,
        "modality": trained.spec.modality,
        "backbone": trained.spec.name,
        "recipe": model.backbone.recipe() or {"library": "graft", "backbone": trained.spec.name},
        "tap": model.backbone.names[model.stages - 1],
        "pool": head.pool,
        "head": {"kind": head.kind, "hidden": head.hidden, "width": len(model.head.mean)},
        "fingerprint": dataset.fingerprint,
        "split": dump(dataset.split),
        "text_column": dataset.text_column,
        "data_read_from": [str(origin) for origin in dataset.origins],
        "multilabel": trained.report.multilabel,
        **(_pair_config(trained) if trained.spec.towers else {}),
        **({"decisions": decisions} if decisions else {}),
        **({"card": dict(trained.spec.card)} if trained.spec.card else {}),
    }


def _pair_config(trained: TrainedModel) -> dict[str, Any]:
    """Return the last layer group of each tower that is used, and the column with the pictures."""
    names = trained.model.backbone.names[: trained.model.stages]
    taps = {part: inner for part, _, inner in (name.partition(".") for name in names)}
    return {"taps": taps, "path_column": trained.dataset.path_column}


def _preprocessing(spec: BackboneSpec, text_column: str) -> dict[str, Any]:
    if spec.towers:
        return {part: _preprocessing(tower(spec, part), text_column) for part in spec.parts}
    model_input = spec.input
    if isinstance(model_input, ImageInput):
        return asdict(model_input) | {"resize": math.floor(model_input.size / model_input.crop)}
    if isinstance(model_input, TextInput):
        named = {"tokenizer": "tokenizer.json", "text_column": text_column}
        prefix = {"prefix": model_input.prefix} if model_input.prefix else {}
        return {"max_tokens": model_input.max_tokens, "pad": model_input.pad, **prefix, **named}
    raise ExportError(f"{spec.title} has no preprocessing to export.")


def _requirements(spec: BackboneSpec) -> str:
    libraries = dict.fromkeys(name for one in spec.towers or (spec,) for name in _libraries(one))
    names = ("torch", *libraries, "safetensors", "pillow", "numpy")
    pins = [f"{name}>={version(name).split('+')[0]}" for name in names]
    return "\n".join(pins) + "\n"


def _libraries(spec: BackboneSpec) -> tuple[str, ...]:
    """Return what builds the network of one modality and reads its items, beside what every bundle needs."""
    usual = "timm" if "image" in spec.parts else "transformers"
    library = str(spec.card["recipe"]["library"]) if spec.card is not None else usual
    return (library,) if "image" in spec.parts else (library, "tokenizers")


def _parity(folder: Path, trained: TrainedModel) -> ExportResult:
    """Compare the bundle in `folder` with the model it was made from. Raises ExportError if they differ."""
    dataset = trained.dataset
    items = dataset_items(dataset, dataset.rows("test")[:COMPARED])
    expected = predict(
        trained.model, trained.spec, PreparedItems(items, preprocessor(trained.spec)), dataset.multilabel
    )
    exported = load_bundle(folder).predict(items)
    difference = float(np.abs(expected - exported).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"The bundle's probabilities differ from the model's by {difference:.1g}, so it was not written."
        )
    return ExportResult(folder, difference, len(items))


def dataset_items(dataset: Dataset, rows: np.ndarray) -> list[Any]:
    """Return the image files or the texts of some rows, or tuples of both."""
    texts = [str(text) for text in dataset.items["text"].iloc[rows]]
    paths = [dataset.folder / path for path in dataset.items["path"].iloc[rows]]
    by_modality = {"image": paths, "text": texts, "multimodal": list(zip(paths, texts, strict=True))}
    return by_modality[dataset.modality]


def _is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle or an ensemble of any version; other networks have a config.json, too."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and isinstance(config.get("format"), int) and (folder / "labels.json").is_file()


@contextmanager
def replaced(folder: Path, ignore: str = "") -> Iterator[Path]:
    """Yield a temporary folder to fill, which then atomically replaces `folder`.

    `folder` may be missing, empty, or an older bundle; else ExportError is raised. A file named `ignore` in it does not
    matter, and is removed.
    """
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder.name} is a file, so no bundle can be written there.", "Name a new folder.")
    present = {path.name for path in folder.iterdir()} - {ignore} if folder.is_dir() else set()
    if present and not _is_bundle(folder):
        raise ExportError(f"{folder} holds other files, so no bundle is written there.", "Name a new or empty folder.")
    token = uuid.uuid4().hex[:8]
    part, old = (folder.with_name(f".{folder.name}.{token}.{kind}") for kind in ("part", "old"))
    try:
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        reason = error.strerror or "some of its files could not be copied"
        raise ExportError(
            f"The bundle {folder} could not be written ({reason}).", "Check the folder and the free space."
        ) from error
    finally:
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)


BUNDLE = EXPORTERS.add(
    Exporter("bundle", "", "Folder with everything needed to use the model", write_bundle, load_bundle)
)

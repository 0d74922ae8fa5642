"""The bundle: a folder that holds a trained model and everything it takes to use it, on its own or with Graft.

weights.safetensors  plan.yaml  report.json  predict.py  README.md (the model card)  labels.json  preprocessing.json
config.json  requirements.txt  and, for texts, tokenizer.json
"""

import json
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

from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES, BackboneSpec, ImageInput, TextInput
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
    """A bundle read back; `split` is how its data were split, `decisions` what was decided about their items."""

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

    def predict(self, items: Sequence[Path] | Sequence[str]) -> np.ndarray:
        """Return probabilities `[N, C]` of image files or texts. Raises DataError for one that cannot be read."""
        return predict(self.model, self.spec, PreparedItems(items, preprocessor(self.spec)), self.multilabel)


def write_bundle(folder: Path, material: TrainedModel) -> ExportResult:
    """Write a bundle as `folder`, whole or not at all, and compare it with the model on a few items.

    An older bundle there is replaced. Raises ExportError where `folder` holds anything else, cannot be written, or the
    bundle read back does not give the model's probabilities.
    """
    with replaced(folder) as part:
        _fill(part, material)
        result = _parity(part, material)
    return replace(result, path=folder)


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle back, its model in evaluation mode. Raises ExportError that names what is missing or damaged."""
    if names := members_of(folder):
        raise ExportError(
            f"{folder.name} averages {len(names)} models, and here a single one is needed.",
            f"Give one of the folders in it: {', '.join(names)}.",
        )
    if missing := [name for name in REQUIRED if not (folder / name).is_file()]:
        raise ExportError(
            f"{folder.name} is not a complete bundle: {', '.join(missing)} missing.",
            "Give the folder that `train --out` wrote, or the unpacked download.",
        )
    try:
        config, classes = read_json(folder / "config.json"), tuple(map(str, read_json(folder / "labels.json")))
        if config["format"] != FORMAT:
            raise ExportError(f"{folder.name} has the format {config['format']}, which this version does not read.")
        report = load(Report, read_json(folder / "report.json"))
        plan = from_yaml((folder / "plan.yaml").read_text(encoding="utf-8"))
        spec, split = BACKBONES[config["backbone"]], load(SplitSpec, config["split"])
        model = build_model(spec, replace(plan, init="random"), len(classes), seed=0)
        model.load_state_dict(safetensors.torch.load_file(folder / "weights.safetensors"))
        decided = load(tuple[Decision, ...], config.get("decisions", []))
        kept = str(config["text_column"]), bool(config.get("multilabel", False)), decided
        return Bundle(folder, model.eval(), spec, classes, plan, report, split, *kept)
    except ExportError:
        raise
    except (GraftError, OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = "its report does not read" if isinstance(error, ValidationError) else str(error).split("\n")[0]
        raise ExportError(
            f"The bundle {folder.name} is damaged: {reason}", "Download or train it again; its files belong together."
        ) from error


def members_of(folder: Path) -> tuple[str, ...]:
    """Return the folders of the models that an ensemble averages; none where `folder` is no ensemble."""
    try:
        return tuple(map(str, read_json(folder / "config.json").get("members", ())))
    except (OSError, ValueError, AttributeError, TypeError):
        return ()


def _fill(folder: Path, material: TrainedModel) -> None:
    model, spec, dataset, report = material.model, material.spec, material.dataset, material.report
    tensors = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    write_bytes(folder / "weights.safetensors", safetensors.torch.save(tensors, {"format": "pt"}))
    write_bytes(folder / "plan.yaml", to_yaml(report.plan, [group.name for group in spec.groups]).encode())
    write_json(folder / "report.json", dump(report))
    write_json(folder / "labels.json", list(report.classes))
    write_json(folder / "preprocessing.json", _preprocessing(spec, dataset.text_column))
    write_json(folder / "config.json", _config(material))
    if spec.modality == "text":
        shutil.copyfile(tokenizer_file(spec), folder / "tokenizer.json")
    shutil.copyfile(TEMPLATE, folder / "predict.py")
    write_bytes(folder / "requirements.txt", _requirements(spec).encode())
    write_bytes(folder / "README.md", model_card(material).encode())


def _config(material: TrainedModel) -> dict[str, Any]:
    """Return what it takes to build the network again, for `predict.py` and for Graft."""
    model, head, dataset = material.model, material.report.plan.head, material.dataset
    decided = (
        [dump(each) for each in effective_decisions(dataset.decisions, dataset.source_splits)]
        if dataset.decisions
        else []
    )
    return {
        "format": FORMAT,
        "modality": material.spec.modality,
        "backbone": material.spec.name,
        "recipe": _recipe(model, material.spec),
        "tap": model.backbone.names[model.stages - 1],
        "pool": head.pool,
        "head": {"kind": head.kind, "hidden": head.hidden, "width": len(model.head.mean)},
        "fingerprint": dataset.fingerprint,
        "split": dump(dataset.split),
        "text_column": dataset.text_column,
        "multilabel": material.report.multilabel,
        **({"decisions": decided} if decided else {}),
    }


def _recipe(model: TransferModel, spec: BackboneSpec) -> dict[str, Any]:
    """Return how a public library builds the backbone; a network of none of them needs Graft to run."""
    net: Any = getattr(model.backbone, "net", None)
    if (made := getattr(net, "pretrained_cfg", None)) and "architecture" in made:
        return {"library": "timm", "architecture": made["architecture"]}
    if getattr(getattr(net, "config", None), "model_type", "") == "bert":
        return {"library": "transformers", "config": json.loads(net.config.to_json_string(use_diff=False))}
    return {"library": "graft", "backbone": spec.name}


def _preprocessing(spec: BackboneSpec, text_column: str) -> dict[str, Any]:
    made = spec.input
    if isinstance(made, ImageInput):
        return asdict(made) | {"resize": math.floor(made.size / made.crop)}
    if isinstance(made, TextInput):
        return {"max_tokens": made.max_tokens, "tokenizer": "tokenizer.json", "text_column": text_column}
    raise ExportError(f"{spec.title} has no preprocessing to export.")


def _requirements(spec: BackboneSpec) -> str:
    modality = ("timm",) if spec.modality == "image" else ("transformers", "tokenizers")
    pins = [f"{name}>={version(name).split('+')[0]}" for name in ("torch", *modality, "safetensors", "pillow", "numpy")]
    return "\n".join(pins) + "\n"


def _parity(folder: Path, material: TrainedModel) -> ExportResult:
    """Compare the bundle in `folder` with the model it was made from. Raises ExportError where they differ."""
    dataset = material.dataset
    items = dataset_items(dataset, dataset.rows("test")[:COMPARED])
    expected = predict(
        material.model, material.spec, PreparedItems(items, preprocessor(material.spec)), dataset.multilabel
    )
    found = load_bundle(folder).predict(items)
    difference = float(np.abs(expected - found).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise ExportError(f"The bundle gives other probabilities than the model (by {difference:.1g}): not written.")
    return ExportResult(folder, difference, len(items))


def dataset_items(dataset: Dataset, rows: np.ndarray) -> list[Path] | list[str]:
    """Return the image files or the texts of some rows."""
    if dataset.modality == "text":
        return [str(text) for text in dataset.items["text"].iloc[rows]]
    return [dataset.folder / path for path in dataset.items["path"].iloc[rows]]


@contextmanager
def replaced(folder: Path, but: str = "") -> Iterator[Path]:
    """Yield a folder to fill, which then takes the place of `folder`: an empty one, an older bundle, or nothing.

    A file named `but` does not count as anything, and goes.
    """
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder.name} is a file, so no bundle can be written there.", "Name a new folder.")
    found = {path.name for path in folder.iterdir()} - {but} if folder.is_dir() else set()
    if found and "config.json" not in found:
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
        told = error.strerror or "some of its files could not be copied"
        raise ExportError(
            f"The bundle {folder} could not be written ({told}).", "Check the folder and the free space."
        ) from error
    finally:
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)


BUNDLE = EXPORTERS.add(
    Exporter("bundle", "", "Folder with everything it takes to use the model", write_bundle, load_bundle)
)

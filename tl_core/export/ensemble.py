"""The exported ensemble: a folder with several bundles, and a predict.py that averages their probabilities.

config.json  labels.json  report.json  predict.py  README.md  requirements.txt  and a whole bundle for each member
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.decisions import Decision
from tl_core.data.split import SplitSpec
from tl_core.errors import ExportError, GraftError
from tl_core.evaluation.ensemble import ensemble_report
from tl_core.evaluation.results import Report
from tl_core.export.bundle import FORMAT, Bundle, copy_script, load_bundle, members_of, replaced
from tl_core.export.model_card import ensemble_card
from tl_core.types import dump, load
from tl_core.workspace import read_json, write_bytes, write_json


@dataclass(frozen=True)
class Ensemble:
    """Bundles whose probabilities are averaged, read back. They were trained on the same data."""

    folder: Path
    members: tuple[Bundle, ...]
    report: Report

    @property
    def spec(self) -> BackboneSpec:
        """The backbone of the first member; all members have the same modality."""
        return self.members[0].spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the probabilities."""
        return self.members[0].classes

    @property
    def multilabel(self) -> bool:
        """Whether an item may have several labels."""
        return self.members[0].multilabel

    @property
    def text_column(self) -> str:
        """The column that held the texts."""
        return self.members[0].text_column

    @property
    def path_column(self) -> str:
        """The column that named the pictures, where the items also have texts."""
        return self.members[0].path_column

    @property
    def split(self) -> SplitSpec:
        """How the data were split."""
        return self.members[0].split

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions about items of the training data."""
        return self.members[0].decisions

    def predict(self, items: Sequence[Any]) -> np.ndarray:
        """Return the mean of the members' probabilities `[N, C]`. Raises DataError for an item that cannot be read."""
        probabilities_NC: np.ndarray = np.mean([member.predict(items) for member in self.members], axis=0)
        return probabilities_NC


Predictor: TypeAlias = Bundle | Ensemble
"""Anything exported that predicts."""


def open_bundle(folder: Path) -> Predictor:
    """Read a folder with one model or an ensemble. Raises ExportError."""
    return load_ensemble(folder) if members_of(folder) else load_bundle(folder)


def write_ensemble(folder: Path, bundles: Sequence[Path]) -> Report:
    """Write the ensemble of two or more bundles as `folder`, atomically; return its report.

    An older bundle there is replaced. Raises ExportError if a bundle cannot be read, or if `folder` holds anything else
    or lies inside one of the bundles; DataError if the models were not trained on the same data.
    """
    if len(bundles) < 2:
        raise ExportError("An ensemble needs at least two models.", "Name two folders or more.")
    for bundle in bundles:
        if folder.resolve().is_relative_to(bundle.resolve()):
            raise ExportError(f"{folder} is, or lies inside, a model of the ensemble.", "Name another folder.")
    members = [load_bundle(bundle) for bundle in bundles]
    report = ensemble_report([member.report for member in members])
    strategies = [re.sub(r"\W+", "-", member.report.plan.strategy.lower()) for member in members]
    names = [f"{number}-{strategy}" for number, strategy in enumerate(strategies, start=1)]
    with replaced(folder) as part:
        for name, bundle in zip(names, bundles, strict=True):
            shutil.copytree(bundle, part / name)
        first = members[0]
        write_json(part / "config.json", {
            "format": FORMAT,
            "modality": first.spec.modality,
            "members": names,
            "fingerprint": report.fingerprint,
            "text_column": first.text_column,
            **({"path_column": first.path_column} if first.path_column else {}),
            "multilabel": first.multilabel,
        })  # fmt: skip
        write_json(part / "labels.json", list(report.classes))
        write_json(part / "report.json", dump(report))
        copy_script(part, first.spec)
        requirements = {line for name in names for line in (part / name / "requirements.txt").read_text().splitlines()}
        write_bytes(part / "requirements.txt", "".join(f"{line}\n" for line in sorted(requirements)).encode())
        card = ensemble_card(report, [(name, m.spec, m.report) for name, m in zip(names, members, strict=True)])
        write_bytes(part / "README.md", card.encode())
    return report


def load_ensemble(folder: Path) -> Ensemble:
    """Read an ensemble. Raises ExportError naming what is missing or damaged."""
    names = members_of(folder)
    if any((folder / name).resolve().parent != folder.resolve() for name in names):
        raise ExportError(f"{folder.name} refers to models outside its own folder.", "Download it again.")
    try:
        report = load(Report, read_json(folder / "report.json"))
    except (GraftError, OSError, ValueError) as error:
        raise ExportError(f"The report of {folder.name} cannot be read.", "Download or make it again.") from error
    members = tuple(load_bundle(folder / name) for name in names)
    if any((member.classes, member.multilabel) != (report.classes, report.multilabel) for member in members):
        raise ExportError(f"The models in {folder.name} have different classes.", "Make the ensemble again.")
    return Ensemble(folder, members, report)

"""What the tests of the penalties share: second data sets, fully equipped jobs, prepared terms."""

import dataclasses
import hashlib

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests.tiny import make_texts, write_dataset
from tests.training.helpers import SOLVED, make_job, run, spec_of
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.penalties import PENALTIES
from tl_core.plan import Penalty, Phase
from tl_core.runs.control import MemoryControl
from tl_core.training.inputs import StagedInputs
from tl_core.training.job import Teacher
from tl_core.training.loop import TrainJob
from tl_core.training.parts import RunParts, make_parts
from tl_core.training.penalty_context import penalty_context
from tl_core.workspace import Workspace

GROUPS = {"image": ("middle", "top", "head"), "text": ("layer.0", "layer.1", "head")}


def second_images(workspace: Workspace, classes: int = 3, per_class: int = 8, dark: bool = True) -> Dataset:
    """Stripes, columns, checks and dots in another light: finer noise, and dark colours where asked for."""
    chance = np.random.default_rng(1)
    y, x = np.mgrid[:36, :40]
    patterns = (y // 4 % 2, x // 4 % 2, (x // 4 + y // 4) % 2, (x % 7 < 2) & (y % 7 < 2))[:classes]
    tint = np.array([0.2, 0.35, 0.6]) if dark else np.ones(3)
    images, rows = {}, []
    for number in range(per_class):
        for label, pattern in enumerate(patterns):
            noisy = (pattern[..., None] * 140 + 50 + chance.normal(0, 15, (36, 40, 3))) * tint
            name = f"{label}_{number}.png"
            images[name] = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            digest = hashlib.sha256(images[name].tobytes()).hexdigest()
            rows.append({"id": name, "path": f"images/{name}", "label": label, "digest": digest})
    dataset = write_dataset(workspace, "in another light", "image", rows, classes)
    (dataset.folder / "images").mkdir()
    for name, image in images.items():
        image.save(dataset.folder / "images" / name)
    return dataset


def second_texts(workspace: Workspace) -> Dataset:
    """More of the same texts, in capitals."""
    whole = make_texts(workspace, per_class=11)
    rows = [
        {**row, "text": row["text"].upper(), "digest": row["digest"][::-1]} for row in whole.items.to_dict("records")
    ]
    return write_dataset(workspace, "loud", "text", rows, 2)


def with_head(spec: BackboneSpec) -> BackboneSpec:
    """The backbone with an "original head" over five classes."""

    def build() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            head = nn.Linear(spec.features, 5)
            nn.init.normal_(head.weight, std=2.0)
            return head

    return dataclasses.replace(spec, original_head=build)


def with_penalty(job: TrainJob, name: str, strength: float | None = None, **options: float) -> TrainJob:
    """The same job with one penalty, at its usual strength unless another is given."""
    usual = PENALTIES[name].strength if strength is None else strength
    plan = dataclasses.replace(job.plan, penalties=(Penalty(name, usual, options),))
    folder = job.folder.parent / f"{job.folder.name}-{name}-{usual}"
    folder.mkdir(exist_ok=True)
    return dataclasses.replace(job, plan=plan, folder=folder)


def equipped(dataset: Dataset, workspace: Workspace, phases: tuple[Phase, ...] | None = None, **fields) -> TrainJob:
    """A job that meets every need of a penalty: source, target, original head, teacher."""
    other = second_images(workspace) if dataset.modality == "image" else second_texts(workspace)
    teacher = make_job(dataset, [SOLVED], folder="teacher")
    run(teacher)
    tuned = Phase("tune", 2, dict.fromkeys(GROUPS[dataset.modality], 1e-3))
    job = make_job(dataset, phases or (SOLVED, tuned), source=other, target=other, publish=0.0, **fields)
    taught = Teacher(teacher.spec, teacher.plan, teacher.folder)
    return dataclasses.replace(job, spec=with_head(spec_of(dataset)), teacher=taught)


def prepared(job: TrainJob) -> tuple[RunParts, StagedInputs]:
    """A run whose penalty terms were prepared with the model as it is built."""
    parts = make_parts(job, MemoryControl())
    parts.freezer.thaw_only(())
    inputs = parts.provider.prepared(0)
    list(parts.penalties.prepare(penalty_context(parts, inputs)))
    return parts, inputs


def term_of(parts: RunParts):
    """The only penalty term of a prepared run."""
    (term,) = parts.penalties._terms.values()
    return term

"""What the training tests share: small jobs, and the weights before and after."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from tests.tiny import TINY_IMAGE, TINY_PAIR, TINY_TEXT
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.control import MemoryControl
from tl_core.runs.events import EpochDone, RunEnded, RunEvent
from tl_core.training.loop import TrainJob, load_best, train
from tl_core.training.model import TransferModel, build_model
from tl_core.workspace import Workspace

SOLVED = Phase("head", 30, {"head": 1.0}, optimizer="lbfgs", weight_decay=0.01)


def spec_of(dataset: Dataset) -> BackboneSpec:
    return {"image": TINY_IMAGE, "text": TINY_TEXT, "multimodal": TINY_PAIR}[dataset.modality]


def descent(groups: Sequence[str], epochs: int = 2, rate: float = 1e-3, **fields) -> Phase:
    return Phase("fine-tune", epochs, dict.fromkeys(groups, rate), **fields)


def make_job(dataset: Dataset, phases: Iterable[Phase], folder: str = "run", seed: int = 0, **fields) -> TrainJob:
    """`fields` belong to the job, except init, head and batch_size, which belong to its plan."""
    spec = spec_of(dataset)
    of_plan = {name: fields.pop(name) for name in ("init", "head", "batch_size") if name in fields}
    plan = TransferPlan(spec.name, "by hand", tuple(phases), **{"batch_size": 4, **of_plan})
    root = dataset.folder.parent.parent
    (root / folder).mkdir(exist_ok=True)
    return TrainJob(dataset, spec, plan, seed, root / folder, FeatureStore(Workspace(root)), **fields)


def run(job: TrainJob) -> list[RunEvent]:
    """Run to the end, which must be a good one."""
    events = list(train(job, MemoryControl()))
    assert isinstance(events[-1], RunEnded)
    assert events[-1].status == "done", events[-1]
    return events


def before(job: TrainJob) -> TransferModel:
    """The model as the run finds it."""
    return build_model(job.spec, job.plan, len(job.dataset.classes), job.seed)


def after(job: TrainJob) -> TransferModel:
    """The model as the run leaves it."""
    return load_best(Path(job.folder), job.spec, job.plan, len(job.dataset.classes))


def epochs(events: Iterable[RunEvent], phase: int = 0) -> list[EpochDone]:
    return [event for event in events if isinstance(event, EpochDone) and event.phase == phase]


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    one, other = (tensor.detach().contiguous().numpy().tobytes() for tensor in (a, b))
    return a.shape == b.shape and one == other


def logits(model: TransferModel, job: TrainJob, rows: np.ndarray) -> torch.Tensor:
    """Class scores of raw items, the ordinary way: prepared, collated, through the whole model."""
    from tl_core.backbones.preprocess import preprocessor

    items = job.store.prepared(job.dataset, job.spec)
    with torch.no_grad():
        return model(preprocessor(job.spec).collate([items[int(row)] for row in rows], torch.device("cpu")))

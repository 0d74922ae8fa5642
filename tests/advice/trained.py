"""`python trained.py WORKSPACE SAMPLE BACKBONE REACH ITEMS BATCH`: train a few steps, and print the peak of memory.

A process of its own, as a run's worker is: what another did before would be part of the peak. REACH is the number of
layer groups that learn, counted from the top. With no more than a workspace and a backbone, the backbone is measured.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.speed import measure_speed
from tl_core.data.sources import import_data
from tl_core.evaluation.predict import predict_rows
from tl_core.features import FeatureStore
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.control import MemoryControl
from tl_core.runs.process import peak_memory
from tl_core.training.loop import TrainJob, load_best, train
from tl_core.types import dump
from tl_core.workspace import Workspace


def main(root: str, sample: str, backbone: str, reach: int, count: int, batch: int) -> None:
    workspace, spec = Workspace(Path(root)), BACKBONES[backbone]
    whole = import_data(f"sample:{sample}", workspace)
    rows = np.unique(np.linspace(0, len(whole.items) - 1, count).astype(int))
    dataset = dataclasses.replace(whole, fingerprint=f"{whole.fingerprint}-{count}")
    dataset.__dict__["items"] = whole.items.iloc[rows].reset_index(drop=True)
    groups = [group.name for group in spec.groups][len(spec.groups) - reach :]
    solved = Phase("head", 20, {"head": 1.0}, optimizer="lbfgs", weight_decay=0.05)
    phase = Phase("tune", 1, dict.fromkeys([*groups, "head"], 1e-5)) if groups else solved
    plan = TransferPlan(backbone, "by hand", (phase,), batch_size=batch)
    folder, store = workspace.folder("memory", f"{backbone}-{reach}-{batch}"), FeatureStore(workspace)
    *_, ended = train(TrainJob(dataset, spec, plan, 0, folder, store), MemoryControl())
    assert ended.status == "done", ended
    model = load_best(folder, spec, plan, len(dataset.classes))
    predict_rows(model, spec, plan, dataset, dataset.rows("test"), store)
    lengths = [len(item) for item in store.prepared(dataset, spec)] if dataset.modality == "text" else [0]
    print(json.dumps({
        "peak": peak_memory(), "plan": dump(plan), "train": len(dataset.rows("train")),
        "classes": len(dataset.classes), "tokens": float(np.median(lengths)),
    }))  # fmt: skip


if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    if len(rest) == 1:
        measure_speed(BACKBONES[rest[0]], Workspace(Path(place)), seconds=0)
    else:
        main(place, rest[0], rest[1], *(int(number) for number in rest[2:]))

"""The best weights so far: copied in memory at every improvement, written to disk at intervals and at the end."""

from collections.abc import Collection, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import safetensors.torch
import torch

from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import RunError
from tl_core.label_task import LabelTask, Score
from tl_core.plan import TransferPlan
from tl_core.training import adapters
from tl_core.training.model import TransferModel, build_model
from tl_core.workspace import write_bytes

FILE = "best.safetensors"
SECONDS = 10.0
"""Shortest time between two writes, and so the most that a crash can lose."""

Metrics = Mapping[str, float]


class BestWeights:
    """A copy of the tensors that may change, with the best score that they reached."""

    def __init__(self, model: TransferModel, folder: Path, label_task: LabelTask) -> None:
        self.score: Score | None = None
        """Score of the best weights; None where no validation items judge them."""
        self.score_before: Score | None = None
        """Score of the best weights when the phase began; None where nothing had a score."""
        self._counts_as_gain = False
        self._label_task = label_task
        self.accuracy = 0.0
        """Validation accuracy of the best weights; training accuracy where no validation items judge them."""
        self._model = model
        self._folder = folder
        self._weights: dict[str, torch.Tensor] = {}
        self._written = monotonic()
        self._dirty = True

    def watch(self, names: Collection[str]) -> None:
        """Start a phase that may change the tensors `names`; their present values are the ones to beat."""
        self.score_before, self._counts_as_gain = self.score, False
        self._weights = {name: tensor.clone() for name, tensor in self._model.state_dict().items() if name in names}

    def extend(self, names: Collection[str]) -> None:
        """Let the phase change more tensors; those that it may change already keep their best values."""
        state = self._model.state_dict()
        self._weights |= {name: state[name].clone() for name in names if name in state and name not in self._weights}

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return the best values of the tensors that the phase may change, where they differ from the model's."""
        model = self._model.state_dict()
        return {name: tensor for name, tensor in self._weights.items() if not torch.equal(tensor, model[name])}

    @property
    def gained(self) -> bool | None:
        """Whether the phase has brought a better score than there was before; None where nothing judges it."""
        if self._counts_as_gain:
            return True
        if self.score is None:
            return None
        return self.score_before is None or self.score > self.score_before

    def count_as_gain(self) -> None:
        """Let the phase count as a gain, whatever it scores."""
        self._counts_as_gain = True

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps as JSON."""
        return {
            "score": self.score,
            "score_before": self.score_before,
            "counts_as_gain": self._counts_as_gain,
            "accuracy": self.accuracy,
            "names": list(self._weights),
        }

    def load(self, facts: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `facts` and `state` returned; the model must have its own values back already."""
        score, before = facts["score"], facts.get("score_before")
        self.score = (score[0], score[1]) if score is not None else None
        self.score_before = (before[0], before[1]) if before is not None else None
        self._counts_as_gain = facts.get("counts_as_gain", False)
        self.accuracy, self._dirty = facts["accuracy"], True
        model = self._model.state_dict()
        self._weights = {name: model[name].clone() for name in facts["names"]}
        for name, tensor in state.items():
            self._weights[name].copy_(tensor)

    def take(self, validation: Metrics, train: Metrics) -> bool:
        """Make the model's present values the best without comparing scores; return whether validation judged them."""
        self.score = self._label_task.score(validation) if validation else None
        self.accuracy = (validation or train).get("accuracy", 0.0)
        self._dirty = True
        state = self._model.state_dict()
        for name, tensor in self._weights.items():
            tensor.copy_(state[name])
        return self.score is not None

    def offer(self, validation: Metrics, train: Metrics) -> bool:
        """Take the present values if they beat the best, or if nothing judges them; return whether they beat it."""
        if validation and self.score is not None and self._label_task.score(validation) <= self.score:
            return False
        return self.take(validation, train)

    def restore(self) -> None:
        """Put the best values back into the model, bit for bit."""
        state = self._model.state_dict()
        for name, tensor in self._weights.items():
            state[name].copy_(tensor)

    def write(self, now: bool = False) -> bool:
        """Write the best weights; return whether anything was written.

        Nothing is written where nothing is new, or where the last write was SECONDS ago or less (unless `now`). Raises
        WorkspaceError where the disk is full.
        """
        if not self._dirty or (not now and monotonic() - self._written < SECONDS):
            return False
        state = {name: tensor.contiguous().cpu() for name, tensor in (self._model.state_dict() | self._weights).items()}
        write_bytes(self._folder / FILE, safetensors.torch.save(state))
        self._written, self._dirty = monotonic(), False
        return True


def load_best(folder: Path, spec: BackboneSpec, plan: TransferPlan, n_classes: int) -> TransferModel:
    """Return the model with the best weights of the run in `folder`, adapters merged, in evaluation mode on the CPU.

    Raises RunError where the run has left none, or where they do not fit the plan.
    """
    model = build_model(spec, plan, n_classes, seed=0)
    adapters.insert(model, spec, plan, seed=0)
    try:
        model.load_state_dict(safetensors.torch.load_file(folder / FILE))
    except FileNotFoundError as error:
        raise RunError("This run has no saved weights.", "Start it again and let it finish an epoch.") from error
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise RunError("The saved weights do not fit this plan.", "Train again with the plan as it is now.") from error
    adapters.merge(model, plan)
    return model.eval()

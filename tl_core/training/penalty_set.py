"""The penalties of one run: prepared once, then terms of the loss at every step in which the backbone learns."""

from collections.abc import Callable, Generator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from tl_core.backbones.staged import BatchNorm
from tl_core.penalties import PENALTIES, Batch, Need, PenaltyContext, PenaltyTerm
from tl_core.plan import TransferPlan
from tl_core.training.inputs import StagedInputs
from tl_core.training.item_index import ItemIndex, RunRows
from tl_core.training.model import TransferModel
from tl_core.training.objectives import StepOutput
from tl_core.types import Finding, WorkDone


class PenaltySet:
    """Every penalty of the plan with a strength above 0, by name."""

    def __init__(self, plan: TransferPlan, items: ItemIndex, model: TransferModel) -> None:
        self._items, self._model = items, model
        penalties = [penalty for penalty in plan.penalties if penalty.strength > 0]
        self._strength = {penalty.name: penalty.strength for penalty in penalties}
        self._terms: dict[str, PenaltyTerm] = {p.name: PENALTIES[p.name].term(p) for p in penalties}
        self.ready = not self._terms
        self._saved: Mapping[str, torch.Tensor] | None = None
        """The state in a checkpoint, until `prepare` can load it."""
        self._sums: dict[str, torch.Tensor] = {}
        """Each term, its strength included, summed over the items of the last step that had terms."""
        self._n_items = 0
        self._step_has_terms = False

    @property
    def needs(self) -> set[Need]:
        """What the terms use if the run has it."""
        return {need for name in self._terms for need in (*PENALTIES[name].needs, *PENALTIES[name].reads)}

    @property
    def measured(self) -> bool:
        """Whether the terms have measured what they need, in this process or before the run was interrupted."""
        return self.ready or self._saved is not None

    def extra_rows(self, plan: TransferPlan, rows: RunRows) -> np.ndarray:
        """Return the rows that some term reads besides those that a phase learns from."""
        none = np.zeros(0, dtype=np.int64)
        if not self._terms:
            return none
        second = (("source", self._items.source), ("target", self._items.target))
        subsets = [subset.rows for name, subset in second if subset and name in self.needs]
        return np.concatenate([*subsets, none if self.measured else penalised_rows(plan, rows)])

    def prepare(self, context: PenaltyContext) -> Generator[WorkDone, None, Sequence[Finding]]:
        """Let every term measure what it needs, or load what a checkpoint has of it; return what a person should know.

        What was loaded has been told before, so that nothing is returned.
        """
        if self._saved is not None:
            self._load(self._saved, context)
            return ()
        for term in self._terms.values():
            yield from term.prepare(context)
        self.ready = True
        return context.notes

    def resume(self, state: Mapping[str, torch.Tensor]) -> None:
        """Let the next `prepare` load what `state` returned instead of measuring it again."""
        if self._terms:
            self._saved, self.ready = state, False

    def _load(self, state: Mapping[str, torch.Tensor], context: PenaltyContext) -> None:
        for name, term in self._terms.items():
            term.load(_with_prefix(f"{name}/", state), context)
            for number, module in enumerate(term.modules()):
                module.load_state_dict(_with_prefix(f"{name}:{number}/", state))
        self.ready, self._saved = True, None

    def state(self) -> dict[str, torch.Tensor]:
        """Return what the terms keep, helper networks included; nothing before they are prepared."""
        if self._saved is not None:
            return dict(self._saved)
        tensors: dict[str, torch.Tensor] = {}
        for name, term in self._terms.items() if self.ready else ():
            tensors |= {f"{name}/{key}": value for key, value in term.state().items()}
            for number, module in enumerate(term.modules()):
                tensors |= {f"{name}:{number}/{key}": value for key, value in module.state_dict().items()}
        return tensors

    def modules(self) -> Sequence[nn.Module]:
        """Return the helper networks of all terms."""
        return [module for term in self._terms.values() for module in term.modules()] if self.ready else []

    def begin_step(self) -> None:
        """Begin to sum the terms of another step."""
        self._step_has_terms = False

    def penalised(
        self, output: StepOutput, rows_B: np.ndarray, inputs: StagedInputs, step: int, position: float
    ) -> torch.Tensor:
        """Return the loss of a micro-batch with every term added, each times its strength."""
        if not self._terms or not self.ready or output.pooled is None or output.logits is None or output.labels is None:
            return output.loss
        batch = Batch(
            rows_B % self._items.whole, output.pooled, output.logits, output.labels, step, position,
            self._features_with(rows_B, output.pooled, inputs), output.mix,
        )  # fmt: skip
        if not self._step_has_terms:
            self._sums, self._n_items, self._step_has_terms = {}, 0, True
        self._n_items += len(rows_B)
        loss = output.loss
        for name, term in self._terms.items():
            penalty = self._strength[name] * term.loss(batch)
            self._sums[name] = self._sums.get(name, 0) + penalty.detach() * len(rows_B)
            loss = loss + penalty
        return loss

    def sums(self) -> Mapping[str, torch.Tensor]:
        """Return each term of the present step, summed over its items; nothing where the step has no terms."""
        return self._sums if self._step_has_terms else {}

    def sizes(self) -> dict[str, float]:
        """Return the size of each term at the last step that had terms, its strength included."""
        return {name: float(total) / self._n_items for name, total in self._sums.items()}

    def _features_with(
        self, rows_B: np.ndarray, pooled_BD: torch.Tensor, inputs: StagedInputs
    ) -> Callable[[np.ndarray], tuple[torch.Tensor, torch.Tensor]]:
        """Return `Batch.features_with`: one pass over both where a layer normalises by the batch, else a pass each."""
        model = self._model

        def features_with(rows_M: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            """Return pooled features `[B, D]` of the batch and `[M, D]` of `rows_M`."""
            norms = (m for m in model.backbone.modules() if isinstance(m, BatchNorm))
            if any(norm.training for norm in norms):  # normalised by its own statistics, each would look like the other
                both = inputs.features(model, np.concatenate([rows_B, rows_M]))
                return both[: len(rows_B)], both[len(rows_B) :]
            return pooled_BD, inputs.features(model, rows_M)

        return features_with


def penalised_rows(plan: TransferPlan, rows: RunRows) -> np.ndarray:
    """Return every row that a step with terms may learn from, also after an edit lets the backbone learn."""
    steps = [phase for phase in plan.phases if phase.objective == "labels" and phase.optimizer != "lbfgs"]
    return np.unique(np.concatenate([rows.train_rows(phase) for phase in steps or plan.phases]))


def _with_prefix(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}

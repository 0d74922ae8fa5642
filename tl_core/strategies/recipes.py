"""What several strategies share: usual rates, batch sizes and epochs, and the two usual phases."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tl_core.layers import HEAD
from tl_core.plan import Augment, Loss, Phase, Reason, TransferPlan
from tl_core.strategies import TaskInfo, option
from tl_core.strategies.towers import part_of, parts_that_learn, towers_of

CS231N = "Stanford CS231n notes, Transfer Learning, https://cs231n.github.io/transfer-learning/"
RAZAVIAN = "Razavian et al. 2014, CNN Features off-the-shelf, arXiv:1403.6382"
BERT = "Devlin et al. 2019, BERT, arXiv:1810.04805"
KUMAR = "Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features, arXiv:2202.10054"
ULMFIT = "Howard & Ruder 2018, Universal Language Model Fine-tuning, arXiv:1801.06146"
YOSINSKI = "Yosinski et al. 2014, How transferable are features in deep neural networks?, arXiv:1411.1792"
KORNBLITH = "Kornblith et al. 2019, Do Better ImageNet Models Transfer Better?, arXiv:1805.08974"
ADAMW = "Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101"
SMITH = "Smith & Topin 2018, Super-Convergence, arXiv:1708.07120"
HE = "He et al. 2019, Rethinking ImageNet Pre-training, arXiv:1811.08883"
ALAIN = "Alain & Bengio 2016, Understanding intermediate layers using linear classifier probes, arXiv:1610.01644"
KINGMA = "Kingma & Ba 2015, Adam, arXiv:1412.6980"
BIT = "Kolesnikov et al. 2020, Big Transfer (BiT), arXiv:1912.11370"
PRECHELT = "Prechelt 1998, Early Stopping, But When?, doi:10.1007/3-540-49430-8_3"
MALLADI = "Malladi et al. 2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms, arXiv:2205.10287"
DEIT = "Touvron et al. 2021, Training data-efficient image transformers (DeiT), arXiv:2012.12877"
MOSBACH = "Mosbach et al. 2021, On the Stability of Fine-tuning BERT, arXiv:2006.04884"
SZEGEDY = "Szegedy et al. 2016, Rethinking the Inception Architecture, arXiv:1512.00567"
MIXUP = "Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization, arXiv:1710.09412"
ADABN = "Li et al. 2016, Revisiting Batch Normalization For Practical Domain Adaptation, arXiv:1603.04779"
RULE_OF_THUMB = "a rule of thumb of this program"

HEAD_RATE = 1e-3
"""Rate of a new head: Adam's own default (Kingma & Ba 2015, arXiv:1412.6980)."""
SOLVER_ITERATIONS = 30
"""Most epochs of solving a head; it ends sooner where it has converged (a rule of thumb of this program)."""
DECAY = 0.01
"""Weight decay of fine-tuning (Devlin et al. 2019, arXiv:1810.04805, A.2)."""
WARMUP = 0.1
"""Share of the steps during which the rate rises (Mosbach et al. 2021, arXiv:2006.04884)."""
LARGE = 2000
"""Items from which a GPU gets larger batches; with fewer items they would leave too few steps (a rule of thumb)."""
GPU_BATCH = 2
"""How many times larger these are; the rate grows by its square root (Malladi et al. 2022, arXiv:2205.10287)."""
_BACKBONE_RATE = {"image": 1e-4, "text": 3e-5}
"""Devlin et al. 2019 (arXiv:1810.04805, A.3) for texts; see `backbone_rate`."""
_SCRATCH_RATE = {"image": 1e-3, "text": 3e-4}
"""Kingma & Ba 2015 (arXiv:1412.6980) for images; see `scratch_rate`."""


@dataclass(frozen=True)
class CommonOptions:
    """Options of every strategy in which the backbone learns; a form shows them last."""

    augment: str = option(
        "none",
        "Vary the pictures",
        "light: shifted, resized, lighter or darker, mirrored. strong: also cut out and recoloured. Leave it off where "
        "a mirrored picture is another class (digits, letters, left and right).",
        choices=("none", "light", "strong"),
        modality="image",
        last=True,
    )
    towers: str = option(
        "both",
        "Which backbone learns",
        "both: the last blocks of each. picture, text: only those of that one; the other stays frozen.",
        choices=("both", "picture", "text"),
        modality="multimodal",
        last=True,
    )
    class_weights: str = option(
        "none",
        "Weigh rare classes up",
        "balanced: each class counts as much as any other, however few its items. Rare classes are recognised more "
        "often, frequent ones a little less.",
        choices=("none", "balanced"),
        last=True,
    )
    label_smoothing: float = option(
        0.0,
        "Label smoothing",
        "Share of each label that is spread over all classes. Makes the model less overconfident; 0.1 is usual.",
        (0.0, 0.5),
        last=True,
        source=f"off, as in {BERT} and {BIT}; 0.1 is from {SZEGEDY}",
    )
    mixup: float = option(
        0.0,
        "Mixup",
        "Learn from mixed pairs of items; 0 is off, 0.2 is usual.",
        (0.0, 10.0),
        last=True,
        source=f"off below 20,000 items, as in {BIT}; 0.2 is from {MIXUP}",
    )

    def plan_fields(self) -> dict[str, Any]:
        """Return the fields of a plan that these options set."""
        policy: Any = self.augment
        weights: Any = self.class_weights
        return {"augment": Augment(policy), "loss": Loss(weights, self.label_smoothing, self.mixup)}


def epochs_option(default: int, help: str = "Early stopping may end sooner.") -> Any:
    """Return the option for the epochs of fine-tuning."""
    source = f"for texts {BERT}, A.3; for pictures about the 500 steps of {BIT}"
    return option(default, "Epochs at most", help, (1, 200), usual=tuning_epochs, source=source)


def scale_option(source: str = "") -> Any:
    """Return the option that scales every rate."""
    source = source or f"for texts {BERT}, A.3; for pictures a tenth of a new layer's rate, {CS231N}"
    help = "1 is the usual rate; less is safer."
    return option(1.0, "Learning rate, times the usual", help, (0.05, 20.0), source=source)


def patience_option(default: int, help: str = "Stop after this many epochs without a better validation score.") -> Any:
    """Return the option for the patience (Prechelt 1998, doi:10.1007/3-540-49430-8_3)."""
    source = f"{PRECHELT}, where 3 to 6 are the best bargain"
    return option(default, "Patience", help, (1, 50), source=source)


def backbone_rate(task_info: TaskInfo, group: str = "") -> float:
    """Return AdamW's usual peak rate for pretrained layers, such as those of `group`: 1e-4 for images, 3e-5 for texts.

    The text rate is the middle one of the three that Devlin et al. 2019 (arXiv:1810.04805, A.3) search: 2e-5,
    3e-5 and 5e-5. The image rate is ten times below the usual 1e-3 for a new layer. Both grow with larger batches
    (see `batch_growth`).
    """
    return scaled(_BACKBONE_RATE[part_of(task_info, group)], math.sqrt(batch_growth(task_info)))


def scaled(rate: float, factor: float) -> float:
    """Return rate * factor, rounded to six digits so that a plan stays readable."""
    return float(f"{rate * factor:.6g}")


def scratch_rate(task_info: TaskInfo, group: str = "") -> float:
    """Return AdamW's usual peak rate for random weights: 1e-3 for images, 3e-4 for texts (a transformer).

    1e-3 is Adam's default (Kingma & Ba 2015, arXiv:1412.6980); a transformer needs less (1e-4 in Devlin et al. 2019,
    arXiv:1810.04805, A.2, at twelve layers; 3e-4 is a rule of thumb for smaller ones).
    """
    return scaled(_SCRATCH_RATE[part_of(task_info, group)], math.sqrt(batch_growth(task_info)))


def batch_growth(task_info: TaskInfo) -> int:
    """Return how many times larger batches are than on a CPU: GPU_BATCH on a GPU with enough data.

    Small batches leave a GPU idle. The rate of Adam and similar optimisers grows by the square root of the batch size
    (Malladi et al. 2022, arXiv:2205.10287). For texts it stays within the 2e-5 to 5e-5 that Devlin et al. 2019
    (arXiv:1810.04805, A.3) search.
    """
    return GPU_BATCH if task_info.device == "cuda" and task_info.n_train >= LARGE else 1


def batch_size(task_info: TaskInfo) -> int:
    """Return a batch size that gives small data enough steps an epoch: 8 below 64 items, up to 64 from 20,000 on.

    Devlin et al. 2019 (arXiv:1810.04805, A.3) use 16 or 32. On a GPU twice as many (see `batch_growth`).
    """
    for below, size in ((64, 8), (2000, 16), (20000, 32)):
        if task_info.n_train < below:
            return size * batch_growth(task_info)
    return 64 * batch_growth(task_info)


def tuning_epochs(task_info: TaskInfo) -> int:
    """Return how many epochs of fine-tuning to plan; early stopping may end them sooner.

    Texts need 2 to 4 (Devlin et al. 2019, arXiv:1810.04805, A.3), images more: about 500 steps, as Kolesnikov et al.
    2020 (arXiv:1912.11370) take below 20,000 items. Little data means few steps an epoch, so it gets more epochs.
    """
    few = task_info.n_train < 1000
    if "image" not in task_info.parts:
        return 6 if few else 4
    return 12 if few else 8


def scratch_epochs(task_info: TaskInfo) -> int:
    """Return epochs for about 2,000 steps from random weights, between 10 and 40.

    One cycle of the rate needs few (Smith & Topin 2018, arXiv:1708.07120); 2,000 is a rule of thumb.
    """
    steps = max(1, task_info.n_train // batch_size(task_info))
    return min(40, max(10, round(2000 / steps)))


def solved_head_phase(l2: float, final: bool, iterations: int = SOLVER_ITERATIONS) -> Phase:
    """Return the phase that solves a linear head over frozen features as a convex problem.

    `final` lets it learn from the validation items too, which is fair when they have nothing left to choose.
    """
    return Phase(
        "head",
        iterations,
        {HEAD: 1.0},
        schedule="constant",
        weight_decay=l2,
        optimizer="lbfgs",
        fit_on="train+validation" if final else "train",
    )


def tuning_phase(name: str, epochs: int, lr: Mapping[str, float], task_info: TaskInfo, patience: int) -> Phase:
    """Return a fine-tuning phase: AdamW, a tenth of warm-up, then cosine decay (texts: linear decay).

    Picture backbones normalise by running statistics, which are first estimated on the items
    (tl_core.training.recalibrate_norm).
    """
    pictures = "image" in parts_that_learn(task_info, lr)
    return Phase(
        name,
        epochs,
        lr,
        schedule="cosine" if pictures else "linear",
        warmup=WARMUP,
        weight_decay=DECAY,
        patience=usable_patience(patience, epochs),
        recalibrate_norm=pictures,
    )


def uniform_rates(groups: Sequence[str], task_info: TaskInfo, factor: float) -> dict[str, float]:
    """Return one rate for the named groups and the head: `factor` times the usual rate of their backbone."""
    return {group: scaled(backbone_rate(task_info, group), factor) for group in (*groups, HEAD)}


def falling_rates(towers: Sequence[Sequence[str]], task_info: TaskInfo, decay: float, scale: float) -> dict[str, float]:
    """Return rates that fall towards the input of each tower (see `layerwise_decay`); the head gets the usual rate."""
    head = scaled(backbone_rate(task_info), scale)
    rates: dict[str, float] = {}
    for tower in towers:
        rates |= layerwise_decay(tower, scaled(backbone_rate(task_info, tower[0]), scale), decay, head)
    return {**{group: rate for group, rate in rates.items() if group != HEAD}, HEAD: head}


def from_solved_head(
    task_info: TaskInfo, options: "CommonOptions", strategy: str, tuning: Phase, why: Sequence[Reason], **more: Any
) -> TransferPlan:
    """Return the plan of a solved head followed by the phase `tuning`, with the reasons `why` and the usual ones.

    `more` holds further fields of the plan.
    """
    reasons = (*why, solved_head_reason(), *recalibration_reason(tuning), batch_size_reason(task_info))
    phases = (solved_head_phase(l2_of_last_group(task_info), final=False), tuning)
    return TransferPlan(
        task_info.backbone,
        strategy,
        phases,
        batch_size=batch_size(task_info),
        why=reasons,
        **more,
        **options.plan_fields(),
    )


def usable_patience(patience: int, epochs: int) -> int | None:
    """Return `patience`, or None where it could never end a phase of `epochs` epochs."""
    return patience if patience < epochs else None


def layerwise_decay(groups: Sequence[str], base: float, decay: float, head: float) -> dict[str, float]:
    """Return rates that fall towards the input: lr(l) = base * decay ** (L - l) for the l-th of L groups.

    Howard & Ruder 2018, arXiv:1801.06146, section 3.2, with `decay` for their 1/2.6. The top group gets `base`.
    """
    last = len(groups) - 1
    return {group: scaled(base, decay ** (last - index)) for index, group in enumerate(groups)} | {HEAD: head}


def l2_of_last_group(task_info: TaskInfo) -> float:
    """Return the L2 strength for a head on the last group."""
    return task_info.l2 if task_info.last_l2 is None else task_info.last_l2


def reached(task_info: TaskInfo, reach: str, towers: str = "both") -> tuple[tuple[str, ...], ...]:
    """Return the groups nearest the head (see `top_groups`) of each tower that a person chose to train."""
    return tuple(top_groups(tower, reach) for tower in towers_of(task_info, towers))


def top_groups(groups: Sequence[str], reach: Literal["one", "two", "half", "all"] | str) -> tuple[str, ...]:
    """Return the groups nearest the head: the last one, the last two, the upper half (rounded up), or all."""
    count = {"one": 1, "two": 2, "half": (len(groups) + 1) // 2, "all": len(groups)}[reach]
    return tuple(groups[-count:])


def batch_size_reason(task_info: TaskInfo) -> Reason:
    """Return the reason for the batch size."""
    text = f"{task_info.n_train} training items: batches of {batch_size(task_info)} give enough steps an epoch."
    if batch_growth(task_info) > 1:
        text = f"{text[:-1]}, and keep the GPU busy."
    return Reason(text, BERT)


def rate_reason(task_info: TaskInfo, lr: Mapping[str, float]) -> Reason:
    """Return the reason for the rate of the layer groups in `lr`."""
    parts = parts_that_learn(task_info, lr)
    rate = backbone_rate(task_info, "text." if parts == {"text"} else "")
    if (times := batch_growth(task_info)) > 1:
        text = f"{rate:.2g} is the usual rate times the square root of {times}, as batches are {times} times larger."
        return Reason(text, MALLADI)
    if len(parts) > 1:
        texts = backbone_rate(task_info, "text.")
        text = f"{rate:g} for the picture's layers and {texts:g} for those of the text are the usual rates of each."
        return Reason(text, f"{CS231N}; {BERT}")
    if parts == {"text"}:
        return Reason(f"{rate:g} is the middle of the three rates that BERT was fine-tuned with.", BERT)
    return Reason(f"{rate:g} is ten times below the rate of a new layer, so the pretrained weights survive.", CS231N)


def solved_head_reason() -> Reason:
    """Return the reason for starting from a solved head."""
    text = "The head is solved first: a random head would send large, wrong gradients into the pretrained layers."
    return Reason(text, KUMAR)


def recalibration_reason(tuning: Phase) -> tuple[Reason, ...]:
    """Return the reason for recalibrating the normalisation layers; nothing for a phase that does not."""
    if not tuning.recalibrate_norm:
        return ()
    text = (
        "The normalisation layers that learn are first recalibrated on your pictures, and the head is solved again. "
        "Otherwise the first steps of fine-tuning would undo much of what the head has learned."
    )
    return (Reason(text, ADABN),)

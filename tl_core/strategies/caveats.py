"""Caveats that several strategies share: where a strategy makes little sense. A caveat never blocks a plan."""

from tl_core.statistics.intervals import normal_half_width
from tl_core.strategies import TaskInfo
from tl_core.strategies.recipes import CS231N
from tl_core.types import Finding, Level

FEW_SAMPLE = "Zhang et al. 2021, Revisiting Few-sample BERT Fine-tuning, arXiv:2006.05987"
GUIDE = "BloomWiki, Transfer Learning, strategy selection guide"
PERCEPTRONS = "Minsky & Papert 1969, Perceptrons, on the exclusive or"
BINOMIAL = "Wilson 1927, Probable inference, doi:10.1080/01621459.1927.10502953"
FEW_PER_CLASS = 100
"""Items a class below which only a head should learn (BloomWiki, Transfer Learning, strategy selection guide)."""
FEW = 1000
"""Items below which fine-tuning tends to memorise: small data in the production guide's table, and the size at which
the result of fine-tuning a BERT changes from run to run (Zhang et al. 2021, arXiv:2006.05987)."""
MUCH = 10_000
"""Items from which the published tables fine-tune everything (He et al. 2019, arXiv:1811.08883, train from 10,000)."""
FEW_TO_JUDGE = 100
"""Validation items below which the interval around an accuracy of 80% is wider than 8 points to either side (normal
approximation to the binomial, Wilson 1927)."""


def caveat(code: str, message: str, hint: str, source: str, level: Level = "warn") -> Finding:
    """Return a finding about a strategy, with its source in the hint."""
    return Finding(level, f"caveat-{code}", message, f"{hint} Source: {source}.")


def without_none(*findings: Finding | None) -> tuple[Finding, ...]:
    """Return the findings that are not None."""
    return tuple(finding for finding in findings if finding)


def too_few(task_info: TaskInfo) -> Finding | None:
    """Return a warning where there are too few items to change pretrained layers."""
    if task_info.per_class >= FEW_PER_CLASS or task_info.total >= FEW:
        return None
    message = (
        f"{task_info.total} items without the test items, about {task_info.per_class:.0f} a class, are few for "
        "changing pretrained layers: the network soon learns them by heart, and the result changes from run to run."
    )
    hint = "A head alone is safer below 100 items a class."
    return caveat("few-items", message, hint, FEW_SAMPLE if "text" in task_info.parts else CS231N)


def hard_to_judge(task_info: TaskInfo) -> Finding | None:
    """Return a note where the validation items are too few to tell whether fine-tuning helps."""
    n = task_info.n_validation
    if not 0 < n < FEW_TO_JUDGE:
        return None
    points = 100 * normal_half_width(0.8, n)
    message = (
        f"With {n} validation items, an accuracy of 80% is known only to about {points:.0f} points to either side, so "
        "they can hardly tell when to stop."
    )
    return caveat("few-to-judge", message, "Trust the result on the test items.", BINOMIAL, "info")


def adds_up(task_info: TaskInfo) -> Finding | None:
    """Return a note that a linear head over a picture and a text cannot learn what only their combination tells."""
    if task_info.modality != "multimodal":
        return None
    message = (
        "A linear head adds up what the picture and the text say. It cannot learn classes that only their combination "
        "tells, such as whether a text names the colour of its picture."
    )
    hint = "Feature extraction with the small network (mlp) as its head can."
    return caveat("adds-up", message, hint, PERCEPTRONS, "info")


def fine_tuning_caveats(task_info: TaskInfo) -> tuple[Finding, ...]:
    """Return the caveats of any fine-tuning."""
    return without_none(too_few(task_info), hard_to_judge(task_info), adds_up(task_info))

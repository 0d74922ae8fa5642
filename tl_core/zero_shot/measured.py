"""What zero-shot reaches on a labelled data set, by the names of its own classes: the row “no training”."""

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.guesses.sorting import Question, measure, read_scores, read_sorting
from tl_core.errors import DataError
from tl_core.types import Estimate
from tl_core.workspace import Workspace
from tl_core.zero_shot.names import TEMPLATES, check_names
from tl_core.zero_shot.readers import reads_names


def question_of(dataset: Dataset, spec: BackboneSpec, workspace: Workspace) -> Question | None:
    """Return the question with the data set's own classes and the usual templates; None where it makes no sense.

    That is where the backbone cannot compare its items with names, items may have several labels, or the names say
    nothing (numbers).
    """
    if dataset.multilabel or not all(_has_letters(name) for name in dataset.classes):
        return None
    if dataset.modality != spec.modality or not reads_names(spec, workspace):
        return None
    try:
        names = check_names(dataset.classes)
    except DataError:
        return None
    return Question(spec.name, names, TEMPLATES[dataset.parts[0]])


def zero_shot_accuracy(dataset: Dataset, spec: BackboneSpec, workspace: Workspace) -> Estimate | None:
    """Return the accuracy on the training and validation items of the present split; None where it was not measured."""
    question = question_of(dataset, spec, workspace)
    if question is None or read_sorting(dataset, question) is None:
        return None
    try:
        return measure(dataset, question, read_scores(dataset, question), dataset)
    except DataError:
        return None


def _has_letters(name: str) -> bool:
    return any(letter.isalpha() for letter in name)

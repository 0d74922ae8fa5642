"""The zero-shot job: sort items into classes by the names of the classes, and store the scores with the data set."""

from collections.abc import Generator
from typing import TYPE_CHECKING

from tl_core.data.dataset import Dataset
from tl_core.data.guesses.sorting import Question, Sorting, read_sorting, write_sorting
from tl_core.errors import BackboneError
from tl_core.jobs.job import Events, Job, follow_steps, run_started
from tl_core.runs.events import Noted, Progress, RunEnded, RunEvent
from tl_core.types import Finding
from tl_core.zero_shot.measured import question_of
from tl_core.zero_shot.names import check_names, check_templates, prompts

if TYPE_CHECKING:
    import numpy as np

    from tl_core.zero_shot.encoder import EncodedClasses
    from tl_core.zero_shot.scoring import Scale

STAGE = "comparing items with class names"


def run_zero_shot(job: Job) -> Events:
    """Make one forward pass if there was none, and compare every item with every class of the task.

    Raises DataError for names or templates that cannot be used, BackboneError for a backbone that reads no texts.
    """
    dataset = job.dataset()
    question = Question(job.spec.name, check_names(job.task.classes), check_templates(job.task.templates))
    yield run_started(job, dataset)
    if (yield from sort_items(job, dataset, question)):
        yield RunEnded("done", "Every item is sorted by the names of the classes.")
    else:
        yield RunEnded("stopped", "Stopped before the backbone had seen every item; nothing was kept.")


def sort_items(job: Job, dataset: Dataset, question: Question) -> Generator[RunEvent, None, bool]:
    """Compare every item with every class, and store the scores; return False if the run was stopped meanwhile."""
    if read_sorting(dataset, question):
        return True
    compare = _texts if job.spec.modality == "text" else _pictures
    return (yield from compare(job, dataset, question))


def sort_by_own_names(job: Job, dataset: Dataset) -> Generator[RunEvent, None, None]:
    """Sort a labelled data set by the names of its own classes, so that training can be compared with none.

    It is an extra: where the backbone cannot do it after all, a note says why, and the run goes on.
    """
    try:
        question = question_of(dataset, job.spec, job.workspace)
        if question is not None:
            yield from sort_items(job, dataset, question)
    except BackboneError as error:
        message = f"What zero-shot reaches by the names of the classes was not measured. {error.message}"
        yield Noted(Finding("info", "no-zero-shot", message, error.hint))


def _texts(job: Job, dataset: Dataset, question: Question) -> Generator[RunEvent, None, bool]:
    """Compare texts with names by the features of the probe, which are made first if they are not there."""
    from tl_core.zero_shot.encoder import embed_texts, encode_classes

    if not (yield from follow_steps(job, "features", job.store().probe(dataset, job.spec))):
        return False
    yield Progress(STAGE, 0, 1)
    asked = prompts(question.classes, question.templates)
    classes = encode_classes(asked, lambda texts: embed_texts(texts, job.spec))
    _write(dataset, question, classes, classes.scale, job.store().features(dataset, job.spec))
    yield Progress(STAGE, 1, 1)
    return True


def _pictures(job: Job, dataset: Dataset, question: Question) -> Generator[RunEvent, None, bool]:
    """Compare pictures with names in the space of the backbone and its part for texts, with the scale they learned."""
    from tl_core.backbones.towers import joint_embedding
    from tl_core.zero_shot import pictures
    from tl_core.zero_shot.encoder import encode_classes
    from tl_core.zero_shot.scoring import Scale

    space = joint_embedding(job.spec.name, job.workspace)
    steps = pictures.embed_pictures(dataset, job.spec, space, job.store())
    if not (yield from follow_steps(job, "features", steps)):
        return False
    yield Progress(STAGE, 0, 1)
    asked = prompts(question.classes, question.templates)
    classes = encode_classes(asked, lambda texts: pictures.embed_texts(texts, space))
    scale = Scale(space.scale, space.bias if space.sigmoid else None)
    _write(dataset, question, classes, scale, pictures.picture_embeddings(dataset, job.spec))
    yield Progress(STAGE, 1, 1)
    return True


def _write(
    dataset: Dataset, question: Question, classes: "EncodedClasses", scale: "Scale", items_ND: "np.ndarray"
) -> None:
    from tl_core.zero_shot.scoring import alike_findings, scores

    findings = alike_findings(question.classes, classes.vectors, classes.spread)
    write_sorting(dataset, Sorting(question, scale.words, findings), scores(items_ND, classes.vectors, scale))

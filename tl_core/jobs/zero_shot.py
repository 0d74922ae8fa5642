"""The zero-shot job: sort items into classes by the names of the classes, and store the scores with the data set."""

from collections.abc import Generator

from tl_core.data.dataset import Dataset
from tl_core.data.guesses.sorting import Question, Sorting, read_sorting, write_sorting
from tl_core.jobs.job import Events, Job, follow_steps, run_started
from tl_core.runs.events import Progress, RunEnded, RunEvent
from tl_core.zero_shot.measured import question_of
from tl_core.zero_shot.names import check_names, check_templates, prompts

STAGE = "comparing items with class names"


def run_zero_shot(job: Job) -> Events:
    """Make one forward pass if there was none, and compare every item with every class of the task.

    Raises DataError for names or templates that cannot be used, BackboneError for a backbone that reads no texts.
    """
    dataset = job.dataset()
    question = Question(job.spec.name, check_names(job.task.classes), check_templates(job.task.templates))
    yield run_started(job, dataset)
    if not (yield from follow_steps(job, "features", job.store().probe(dataset, job.spec))):
        yield RunEnded("stopped", "Stopped before the backbone had seen every item; nothing was kept.")
        return
    yield from sort_items(job, dataset, question)
    yield RunEnded("done", "Every item is sorted by the names of the classes.")


def sort_items(job: Job, dataset: Dataset, question: Question) -> Generator[RunEvent, None, None]:
    """Compare every item with every class, from the features of an earlier forward pass. Does nothing if it is done."""
    from tl_core.zero_shot.encoder import encode_classes
    from tl_core.zero_shot.scoring import alike_findings, scores

    if read_sorting(dataset, question):
        return
    yield Progress(STAGE, 0, 1)
    classes = encode_classes(prompts(question.classes, question.templates), job.spec)
    scores_NK = scores(job.store().features(dataset, job.spec), classes.vectors, classes.scale)
    findings = alike_findings(question.classes, classes.vectors, classes.spread)
    write_sorting(dataset, Sorting(question, classes.scale.words, findings), scores_NK)
    yield Progress(STAGE, 1, 1)


def sort_by_own_names(job: Job, dataset: Dataset) -> Generator[RunEvent, None, None]:
    """Sort a labelled data set by the names of its own classes, so that training can be compared with none."""
    question = question_of(dataset, job.spec)
    if question is not None:
        yield from sort_items(job, dataset, question)

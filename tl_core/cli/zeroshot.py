"""`zeroshot`: sort items without labels by the names of the classes, and write a table to correct and to train with."""

import argparse
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tl_core.cli.console import Console
from tl_core.cli.data import choose_backbone
from tl_core.cli.running import run_to_end
from tl_core.errors import DataError, RunError, UsageError
from tl_core.runs.task import Task
from tl_core.types import Estimate, dump
from tl_core.workspace import Workspace, write_bytes

if TYPE_CHECKING:
    import numpy as np

    from tl_core.backbones.spec import BackboneSpec
    from tl_core.data.dataset import Dataset
    from tl_core.data.guesses.sorting import Guesses, Question, Sorting

COLUMNS = ("id", "label", "score", "margin")
RESERVED = frozenset({*COLUMNS, "text", "path", "split", "subset", "partition", "set", "group", "group_id"})
"""Names of columns that have a meaning of their own: the scores of a class of that name are in `score of NAME`."""

NEXT = (
    "The labels are guesses: correct the column `label`, smallest margin first, then train with the table. To measure, "
    "name items that you labelled yourself by --test: a test on guesses only says how well a model repeats them."
)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Import the items, sort them by the names of the classes, write the table and print how many went where."""
    from tl_core.data.guesses.sorting import Question, guess, measure, read_scores
    from tl_core.zero_shot.names import TEMPLATES, check_names, check_templates, split_names

    out = _check_out(arguments)
    names = check_names(split_names(arguments.classes))
    templates = check_templates(arguments.template) if arguments.template else ()
    workspace = Workspace.default()
    dataset, labelled = _open(arguments.data, workspace, console)
    spec = _backbone(arguments.backbone, dataset, workspace)
    question = Question(spec.name, names, templates or TEMPLATES[dataset.parts[0]])
    sorting = _sort(dataset, question, workspace, console)
    scores_NK = read_scores(dataset, question)
    write_table(out, dataset, _contents(dataset, arguments.data, out), names, scores_NK)
    guesses, accuracy = guess(scores_NK), measure(dataset, question, scores_NK, labelled) if labelled else None
    if arguments.json:
        counts = {name: int((guesses.label == index).sum()) for index, name in enumerate(names)}
        about = {"items": len(dataset.items), "counts": counts, "accuracy": dump(accuracy) if accuracy else None}
        console.json({**dump(sorting), **about, "out": str(out)})
        return 0
    _print_counts(dataset, sorting, guesses, console)
    if labelled:
        _print_accuracy(labelled, accuracy, console)
    console.line(f"{len(dataset.items):,} items are in {out}.")
    console.line(NEXT)
    if dataset.modality == "image":
        console.line("The table has to lie in the folder of the pictures, or above it, when you train with it.")
    return 0


def _check_out(arguments: argparse.Namespace) -> Path:
    """Return the file to write. Raises UsageError where it cannot be written."""
    out: Path = arguments.out
    if out.is_dir() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UsageError(f"{out} cannot be written.", "Name a file in a folder that exists.")
    if out == Path(arguments.data).expanduser().resolve():
        raise UsageError(f"{out} is the input file.", "Name another file for --out.")
    return out


def _sort(dataset: "Dataset", question: "Question", workspace: Workspace, console: Console) -> "Sorting":
    """Return the result of a question: a stored one, or one made now."""
    from tl_core.data.guesses.sorting import read_sorting

    if read_sorting(dataset, question) is None:
        task = Task(
            *("zeroshot", question.backbone, dataset.fingerprint, dataset.split),
            name=f"{dataset.name}, sorting",
            classes=question.classes,
            templates=question.templates,
        )
        run_to_end(workspace, task, console)
    sorting = read_sorting(dataset, question)
    if sorting is None:
        raise RunError("The result of zero-shot could not be read.", "Run the command again.")
    return sorting


def _backbone(name: str, dataset: "Dataset", workspace: Workspace) -> "BackboneSpec":
    """Return the named backbone, or for "" one that fits. Raises DataError or UsageError where none can be used."""
    from tl_core.zero_shot.readers import readers

    names = [spec.name for spec in readers(dataset, workspace)]
    default = "" if dataset.modality == "text" else names[0]
    spec = choose_backbone(name or default, dataset)
    if spec.name not in names:
        raise UsageError(
            f"{spec.name} reads no texts, so it cannot compare the items with names of classes.",
            f"These can: {', '.join(names)}.",
        )
    return spec


def _score_column(name: str, names: Sequence[str]) -> str:
    """Return the column of a class's scores: its name, unless that has a meaning of its own or is another class."""
    if name.casefold() not in RESERVED:
        return name
    column = f"score of {name}"
    while column in names:
        column = f"score of {column}"
    return column


def write_table(
    out: Path, dataset: "Dataset", contents: Sequence[str], names: Sequence[str], scores_NK: "np.ndarray"
) -> None:
    """Write one row an item: id, text or path (`contents`), label, score, margin, then the score of each class.

    Raises WorkspaceError if it cannot be written.
    """
    from tl_core.data.guesses.sorting import guess

    guesses, text = guess(scores_NK), io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    score_columns = [_score_column(name, names) for name in names]
    content_column = "text" if dataset.modality == "text" else "path"
    writer.writerow(["id", content_column, "label", "score", "margin", *score_columns])
    for row, (item, content) in enumerate(zip(dataset.items["id"], contents, strict=True)):
        numbers = (guesses.score[row], guesses.margin[row], *scores_NK[row])
        writer.writerow([item, content, names[guesses.label[row]], *(f"{number:.6f}" for number in numbers)])
    write_bytes(out, text.getvalue().encode())


def _contents(dataset: "Dataset", source: str, out: Path) -> list[str]:
    """Return the texts, or the paths of the pictures: from the folder of the table where they lie in or below it."""
    if dataset.modality == "text":
        return dataset.items["text"].tolist()
    root = Path(source).expanduser().resolve()
    files = [root / item for item in dataset.items["id"]]
    if all(file.is_relative_to(out.parent) and file.is_file() for file in files):
        return [file.relative_to(out.parent).as_posix() for file in files]
    return dataset.items["id"].tolist()


def _open(source: str, workspace: Workspace, console: Console) -> "tuple[Dataset, Dataset | None]":
    """Return all items of a source, and the same with labels where it has some that can be read.

    Raises DataError where nothing can be read.
    """
    from tl_core.data.sources import import_data
    from tl_core.data.unlabelled import import_unlabelled

    try:
        labelled = import_data(source, workspace, progress=console.stage)
    except DataError:
        return import_unlabelled(source, None, workspace, console.stage), None
    if not labelled.receipt.skipped:
        return labelled, labelled
    return import_unlabelled(source, labelled.modality, workspace, console.stage), labelled


def _print_counts(dataset: "Dataset", sorting: "Sorting", guesses: "Guesses", console: Console) -> None:
    """Print how the items were read and how many went where."""
    if dataset.text_column:
        console.note(f"The texts were read from the column {dataset.text_column!r}.")
    if skipped := dataset.receipt.skipped:
        first = next(line for line in dataset.receipt.lines if line.action == "skipped")
        console.note(f"Items that were skipped: {skipped:,}. The first is {first.item}: {first.reason}")
    for finding in sorting.findings:
        console.note(f"{finding.message} {finding.hint}")
    question = sorting.question
    rows = []
    for index, name in enumerate(question.classes):
        members = guesses.label == index
        margin = f"{guesses.margin[members].mean():.2f}" if members.any() else ""
        rows.append((name, f"{int(members.sum()):,}", margin))
    console.table(("class", "items", "mean margin"), rows)
    console.line(f"\nBackbone: {question.backbone}. Templates: {', '.join(map(repr, question.templates))}.")
    console.line(f"Scores: {sorting.rule}.")


def _print_accuracy(labelled: "Dataset", accuracy: Estimate | None, console: Console) -> None:
    """Print what was measured on the labels that the data have, or why nothing was."""
    if accuracy:
        console.line(
            f"Accuracy on {accuracy.n:,} labelled items, none of them for testing: {accuracy.value:.1%} "
            f"({accuracy.low:.1%} to {accuracy.high:.1%})"
        )
        return
    shown = ", ".join(labelled.classes[:10]) + (", ..." if len(labelled.classes) > 10 else "")
    console.line(f"The data have labels, but of other classes ({shown}), so nothing was measured.")

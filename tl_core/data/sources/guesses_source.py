"""Items that zero-shot sorted, with the answers of a person, as labelled data: `guesses:FINGERPRINT`.

The test items are those of the random sample that a person has checked. Everything else is for training, guesses
included, except what is nearly the same as a test item. With `/checked` behind it, guesses that nobody has checked are
left out.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.guesses.answers import answers, checked, enough, random_sample
from tl_core.data.guesses.origin import Origin, write_origin
from tl_core.data.guesses.sorting import Question, asked, guess, read_scores
from tl_core.data.options import ImportOptions, OnProgress, RawItem
from tl_core.data.sources.file_tree import file_reader
from tl_core.data.sources.source import Source
from tl_core.data.sources.store import Draft, store
from tl_core.errors import DataError
from tl_core.workspace import Limits, Workspace

GUESSES_PREFIX, ONLY_CHECKED = "guesses:", "/checked"


def _takes(source: str) -> bool:
    return source.startswith(GUESSES_PREFIX)


def _preview(source: str, options: ImportOptions, limits: Limits) -> None:
    return None  # everything about it was decided where it was sorted


def _load(source: str, workspace: Workspace, options: ImportOptions, progress: OnProgress) -> Dataset:
    only_checked = source.endswith(ONLY_CHECKED)
    name = PurePosixPath(source.removeprefix(GUESSES_PREFIX).removesuffix(ONLY_CHECKED)).name
    pool = Dataset.open(workspace.folder("datasets") / name)
    question = asked(pool)
    if question is None:
        raise DataError("These items were not sorted yet.", "Name the classes, and sort them first.")
    guesses = guess(read_scores(pool, question)).label
    named = {row: label for row, label in answers(pool).labels.items() if label in ("", *question.classes)}
    sample = random_sample(pool)
    tested = checked(sample, named)
    needed = enough(sample, named)
    if len(tested) < needed:
        raise DataError(
            f"{len(tested):,} items of the random sample are checked, and {needed:,} are needed.",
            "They become the test items: without them nothing could be measured.",
        )
    unnamed = [None if only_checked else question.classes[index] for index in guesses]
    labels = [named.get(row, label) for row, label in enumerate(unnamed)]
    draft = Draft(options.name or f"{pool.name}, sorted", pool.receipt.source, pool.modality)
    draft.text_column = pool.text_column
    _note(draft, question, guesses, named, only_checked)
    skipped, tests = _place(pool, labels, tested)
    draft.read("split", _split_words(labels, skipped, tested, tests))
    dataset = store(_items(pool, labels, skipped, tests, draft), draft, workspace, progress, len(labels))
    given = sorted(row for row, label in named.items() if label)
    write_origin(dataset, Origin(pool.fingerprint, tuple(pool.items["id"].iloc[given])))
    return dataset


def _note(draft: Draft, question: Question, guesses: np.ndarray, named: dict[int, str], only_checked: bool) -> None:
    """Write into the receipt where the labels come from."""
    given = {row: label for row, label in named.items() if label}
    corrected = sum(label != question.classes[guesses[row]] for row, label in given.items())
    draft.read(
        "labels",
        f"proposed by zero-shot from the names of {len(question.classes):,} classes, with the backbone "
        f"{question.backbone} and the templates {' '.join(map(repr, question.templates))}; a person has checked "
        f"{len(given):,} of them and corrected {corrected:,}, the others are guesses"
        + (", which are left out" if only_checked else ""),
    )


def _place(pool: Dataset, labels: list[str | None], tested: list[int]) -> tuple[set[int], set[int]]:
    """Return the rows that are too like a checked item of the sample to be learned from, and those of the test items.

    A checked item is learned from itself if its class has no other item to learn from.
    """
    alike = set(np.flatnonzero(_alike(pool.near_groups(), pool.items["digest"].to_numpy(), tested)).tolist())
    learned = {label for row, label in enumerate(labels) if label and row not in alike}
    return alike - set(tested), {row for row in tested if labels[row] in learned}


def _split_words(labels: list[str | None], skipped: set[int], tested: list[int], tests: set[int]) -> str:
    """Return what the test items are, how many checked ones are none, and which classes have none."""
    said = f"the {len(tests):,} test items are of a random sample, and a person has checked each"
    if moved := len(tested) - len(tests):
        said += f"; checked items learned from instead, as their class has no other item to learn from: {moved:,}"
    kept = {label for row, label in enumerate(labels) if label and row not in skipped}
    without = sorted(kept - {labels[row] for row in tests})
    return said + (f"; classes without a test item: {', '.join(map(repr, without))}" if without else "")


def _items(
    pool: Dataset, labels: list[str | None], skipped: set[int], tests: set[int], draft: Draft
) -> Iterator[RawItem]:
    """Yield the items with their split; those that are left out, or too like a test item, are skipped in the draft."""
    for row, (item, label) in enumerate(zip(pool.items.itertuples(), labels, strict=True)):
        if label is None:
            draft.skip(item.id, "its label is a guess that nobody has checked")
        elif not label:
            draft.skip(item.id, "a person said that it belongs to none of the classes")
        elif row in skipped:
            draft.skip(item.id, "it is nearly the same as a test item")
        else:
            given = "test" if row in tests else "train"
            if pool.modality == "image":
                yield RawItem(item.id, label, given, read=file_reader(pool.folder / item.path))
            else:
                yield RawItem(item.id, label, given, text=item.text)


def _alike(near: np.ndarray, digests: np.ndarray, tested: list[int]) -> np.ndarray:
    """Return which items are near-duplicates or copies of a test item: bool `[N]`."""
    return np.isin(digests, digests[tested]) | (np.isin(near, near[tested]) & (near >= 0))


GUESSES = Source("items that zero-shot sorted", _takes, _preview, _load)

"""What the folders of a path mean: a split, a class, or items that belong together.

A layout is written as one word a folder, outermost first: "split/class", "class/split", "class/group", "skip/class".
"skip" says that a folder means nothing. "name" as the last word reads the class from the file name: cat.0.jpg is a cat.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tl_core.data.options import SKIP, ImportOptions
from tl_core.data.sources.split_names import (
    guess_split,
    has_several_families,
    name_words,
    split_and_rest,
    splits_of_names,
)
from tl_core.data.split import SPLITS
from tl_core.errors import DataError, UsageError

LEVELS = ("split", "class", "group", "skip", "name")
NO_CLASS = "it lies in no class folder"
_PERSON_WORDS = (
    "patient subject person participant speaker author user animal donor case p s id patiente patienten proband"
)
_PEOPLE = frozenset(_PERSON_WORDS.split())
_SERIES_WORDS = (
    "film video clip movie seq sequence scene session shot track recording lesion scan slide plate series take"
)
_SERIES = frozenset(_SERIES_WORDS.split())
_NUMBER = re.compile(r"[\s._\-(]*\d+[)\s]*$")
_DEEP_SHARE = 0.5  # share of the paths that must have a folder for it to be a level

Folders = tuple[str, ...]
"""The folders of a path, outermost first."""


@dataclass(frozen=True)
class Layout:
    """The meaning of each folder, outermost first, and the split of each folder that means one ("skip" for none)."""

    levels: tuple[str, ...]
    splits: Mapping[str, str] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """Return the layout as a person writes it."""
        return "/".join(self.levels)

    def where(self, level: str) -> str:
        """Return in words where a level stands, such as "outermost folders"."""
        if level == "name":
            return "beginning of file names"
        at = self.levels.index(level)
        return "outermost folders" if at == 0 else f"folders at level {at + 1}"

    def place(self, path: str) -> tuple[str, str, str]:
        """Return the label, the split and the group of a path, "" for those that it does not tell.

        Raises DataError, with the bare reason as message, where the path has no class.
        """
        *folders, file = path.split("/")
        named = dict(zip(self.levels, folders, strict=False))
        split = self._split(named["split"]) if "split" in named else ""
        label = named.get("class", "") if "name" not in self.levels else class_of_name(file)
        if not label:
            raise DataError(NO_CLASS if "name" not in self.levels else "its name begins with no class")
        group = named.get("group", "")
        if group and not _is_person(group):  # film 1 of one class is another film than film 1 of the next
            group = f"{named.get('class', '')}/{group}"
        return label.strip() or label, split, group

    def _split(self, folder: str) -> str:
        split = self.splits.get(folder, "")
        if not split:
            raise DataError(f"it lies outside the folders {', '.join(self.splits) or ', '.join(SPLITS)}")
        if split == SKIP:
            raise DataError(f"you said that {folder} is left out")
        return split


@dataclass(frozen=True)
class LayoutGuess:
    """A guessed layout, and the other ways to read the folders. `question` says what is not clear; "" where all is.

    Each choice is an ImportOptions that says it, with a sentence.
    """

    layout: Layout
    choices: tuple[tuple[ImportOptions, str], ...] = ()
    question: str = ""


def parse_layout(pattern: str) -> tuple[str, ...]:
    """Return the levels of a layout. Raises UsageError where it is not written as one."""
    levels = tuple(pattern.strip().strip("/").split("/"))
    wrong = [level for level in levels if level not in LEVELS]
    n_classes = levels.count("class") + levels.count("name")
    if wrong or n_classes != 1 or levels.count("split") > 1 or "name" in levels[:-1]:
        raise UsageError(
            f"{pattern!r} does not say what the folders mean.",
            "Give one word a folder, outermost first: split, class, group or skip, with one class; such as split/class."
            " The last may be name, if file names begin with the class.",
        )
    return levels


def layout_of(paths: Sequence[str], options: ImportOptions) -> LayoutGuess:
    """Return the layout that the options name, or guess it from paths that each lie in a folder.

    Raises UsageError where the options do not name a layout.
    """
    folders = Counter(tuple(path.split("/")[:-1]) for path in paths)
    told = dict(options.split_names)
    if options.folders:
        levels = parse_layout(options.folders)
        at = levels.index("split") if "split" in levels else None
        names = set() if at is None else {f[at] for f in folders if len(f) > at}
        return LayoutGuess(Layout(levels, _all_splits(names) | _told(names, told)))
    return _guess(paths, folders, told)


def class_of_name(file: str) -> str:
    """Return the class that a file name begins with: "cat" for cat.0.jpg, "" where it has no number behind a word.

    >>> class_of_name("cat.0.jpg"), class_of_name("red_fox (12).png"), class_of_name("0001.jpg")
    ('cat', 'red_fox', '')
    """
    stem = PurePosixPath(file).stem
    name = _NUMBER.sub("", stem).strip(" ._-")
    return name if name != stem and any(c.isalpha() for c in name) else ""


def classes_of_names(files: Iterable[str]) -> tuple[str, ...]:
    """Return the classes that file names begin with, () unless nearly all begin with one of a few words."""
    classes = [class_of_name(file) for file in files]
    kinds = sorted(set(classes) - {""})
    enough = sum(map(bool, classes)) >= 0.9 * len(classes) and 1 < len(kinds) <= len(classes) / 3
    return tuple(kinds) if enough else ()


def _guess(paths: Sequence[str], folders: Counter[Folders], told: Mapping[str, str]) -> LayoutGuess:
    outer = {f[0] for f in folders}
    splits = splits_of_names(outer) | _told(outer, told)
    if outer == set(splits):
        return _below_splits(paths, folders, splits)
    if has_several_families(outer):
        return _asked_what_splits(folders, outer)
    if "train" in splits.values() and (guess := _beside_splits(folders, splits)):
        return guess
    if len(outer) > 1 and all(split_and_rest(name)[0] for name in outer):
        return _asked_what_splits(folders, outer)
    inner = {f[1] for f in folders if len(f) > 1}
    deep = sum(n for f, n in folders.items() if len(f) > 1) > _DEEP_SHARE * len(paths)
    splits = splits_of_names(inner) | _told(inner, told)
    if deep and len(set(splits.values()) - {SKIP}) > 1 and "train" in splits.values():
        return _class_above(splits, inner - set(splits))
    return _classes(folders, inner) if deep else LayoutGuess(Layout(("class",)))


def _below_splits(paths: Sequence[str], folders: Counter[Folders], splits: dict[str, str]) -> LayoutGuess:
    """Read the folders below folders that all are splits."""
    levels: tuple[str, ...] = ("split",)
    while len(levels) < max(map(len, folders)) and _adds_nothing(folders, len(levels)):
        levels += ("skip",)
    learned = [f for f in folders if splits[f[0]] == "train"] or folders
    if any(len(f) > len(levels) for f in learned):
        return _classes_below(folders, splits, levels)
    found = ", ".join(sorted(splits))
    one = len(splits) == 1
    question = (
        f"The folder {found} looks like a split, and" if one else f"The folders {found} look like splits, and"
    ) + " nothing in them says the class of a picture."
    choices = [(ImportOptions(folders="class"), "each folder is a class")]
    learned_names = [path.split("/")[-1] for path in paths if splits[path.split("/")[0]] == "train"]
    if classes := classes_of_names(learned_names):
        named = ", ".join(classes[:4]) + (", ..." if len(classes) > 4 else "")
        by_name = ImportOptions(folders="/".join((*levels, "name")))
        choices.insert(0, (by_name, f"file names begin with the class ({named})"))
        return LayoutGuess(Layout((*levels, "name"), splits), tuple(choices), question)
    return LayoutGuess(Layout(("class",)), tuple(choices), question)


def _asked_what_splits(folders: Collection[Folders], outer: set[str]) -> LayoutGuess:
    """Ask about folders such as cat_train and dog_test, whose names hold a split and more."""
    meant = tuple((name, split) for name in sorted(outer) if (split := split_and_rest(name)[0]))
    splits = ImportOptions(folders="split/class", split_names=meant)
    choices = (
        (ImportOptions(folders="class"), "each folder is a class"),
        (splits, "each is a split, of class folders"),
    )
    question = f"The folders {', '.join([name for name, _ in meant][:4])} are called after splits and something else."
    deep = any(len(f) > 1 for f in folders)
    return LayoutGuess(Layout(("class",)), choices if deep else choices[:1], question)


def _adds_nothing(folders: Collection[Folders], at: int) -> bool:
    """Return whether a level repeats the one above (seg_train/seg_train), or is one folder such as "images"."""
    deep = [f for f in folders if len(f) > at]
    names = {f[at] for f in deep}
    if len(names) == 1 and not (set(name_words(next(iter(names)))) - {"images", "image", "img", "imgs", "data"}):
        return True
    return all(
        f[at] == f[at - 1] or (guess_split(f[at]) and guess_split(f[at]) == guess_split(f[at - 1])) for f in deep
    )


def _beside_splits(folders: Counter[Folders], splits: dict[str, str]) -> LayoutGuess | None:
    """Read folders of which some are splits; None where they are classes, one of which is called train."""
    classes = {f[1] for f in folders if len(f) > 1 and splits.get(f[0]) == "train"}
    unknown = sorted({f[0] for f in folders} - set(splits))
    alike = [name for name in unknown if classes & {f[1] for f in folders if len(f) > 1 and f[0] == name}]
    if not classes:
        return None
    guess = _classes_below(folders, splits, _levels_above_classes(folders, splits))
    several = len(set(splits.values()) - {SKIP}) > 1
    if several and not alike:
        return guess
    asked = alike or unknown
    named = " and ".join(asked[:3])
    if alike:
        question = f"{named} beside the folder train {'has' if len(asked) == 1 else 'have'} the same folders inside."
    else:
        question = f"The folder train holds folders, and lies beside {named}."
    meanings = {"test": "the test items", "validation": "the validation items", SKIP: "left out"}
    ways = [
        (ImportOptions(split_names=tuple((name, split) for name in asked)), f"{named}: {meaning}")
        for split, meaning in meanings.items()
    ]
    ways.append((ImportOptions(folders="class"), "each outer folder is a class"))
    return LayoutGuess(guess.layout, tuple(ways), question)


def _levels_above_classes(folders: Collection[Folders], splits: Mapping[str, str]) -> tuple[str, ...]:
    known = [f for f in folders if f[0] in splits]
    levels: tuple[str, ...] = ("split",)
    while len(levels) < max(map(len, known)) - 1 and _adds_nothing(known, len(levels)):
        levels += ("skip",)
    return levels


def _classes_below(folders: Counter[Folders], splits: dict[str, str], levels: tuple[str, ...]) -> LayoutGuess:
    """Read class folders below the `levels` that hold the splits, like class folders that lie in no split."""
    below: Counter[Folders] = Counter()
    for f, n in folders.items():
        if f[0] in splits and len(f) > len(levels):
            below[f[len(levels) :]] += n
    inner = {f[1] for f in below if len(f) > 1}
    if sum(n for f, n in below.items() if len(f) > 1) <= _DEEP_SHARE * below.total():
        return LayoutGuess(Layout((*levels, "class"), splits))
    guess = _classes(below, inner)
    above, known = "/".join(levels), _all_splits({f[0] for f in folders})
    told = tuple((name, split) for name, split in sorted(splits.items()) if known.get(name) != split)
    ways = tuple(
        (ImportOptions(folders=f"{above}/{way.folders}", split_names=told), says) for way, says in guess.choices
    )
    return LayoutGuess(Layout((*levels, *guess.layout.levels), splits), ways)


def _class_above(splits: dict[str, str], unknown: set[str]) -> LayoutGuess:
    layout = Layout(("class", "split"), splits)
    if not unknown:
        return LayoutGuess(layout)
    named = ", ".join(sorted(unknown)[:3])
    ways = [
        (ImportOptions(split_names=tuple((name, split) for name in sorted(unknown))), f"{named}: {meaning}")
        for split, meaning in {"test": "test items", "train": "training items", SKIP: "left out"}.items()
    ]
    question = f"Inside the class folders, {named} beside {', '.join(splits)} means no split that is known."
    return LayoutGuess(layout, (*ways, (ImportOptions(folders="class"), "these folders mean nothing")), question)


def _classes(folders: Collection[Folders], inner: set[str]) -> LayoutGuess:
    """Read class folders with folders inside."""
    numbered = [name for name in inner if any(c.isdigit() for c in name)]
    above = len({f[0] for f in folders})
    outer_way = (ImportOptions(folders="class"), "the outer folder is the class")
    inner_way = (ImportOptions(folders="skip/class"), "the inner folder is the class")
    group_way = (ImportOptions(folders="class/group"), "an inner folder holds items that belong together")
    if len(numbered) > 0.9 * len(inner) and len({f[:2] for f in folders if len(f) > 1}) > above:
        clear = all(_is_person(name) or set(name_words(name)) & _SERIES for name in numbered)
        ways = (group_way, outer_way) if clear else (outer_way, group_way, inner_way)
        return LayoutGuess(Layout(("class", "group") if clear else ("class",)), ways)
    return LayoutGuess(Layout(("class",)), (outer_way, inner_way) if len(inner) > 1 else ())


def _is_person(name: str) -> bool:
    words = name_words(name)
    return bool(words) and set(words) <= _PEOPLE


def _all_splits(names: set[str]) -> dict[str, str]:
    return {name: split for name in names if (split := guess_split(name))} | splits_of_names(names)


def _told(names: set[str], told: Mapping[str, str]) -> dict[str, str]:
    return {name: told[name] for name in names if name in told}


def hint_of(choices: Iterable[tuple[ImportOptions, str]]) -> str:
    """Return the command-line options that say each of some choices, as one sentence."""
    return f"Say which: {'; '.join(f'{_written(options)} ({meaning})' for options, meaning in choices)}."


def _written(options: ImportOptions) -> str:
    if options.folders:
        names = f" --split-names {','.join(f'{n}={s}' for n, s in options.split_names)}" if options.split_names else ""
        return f"--folders {options.folders}{names}"
    return f"--split-names {','.join(f'{name}={split}' for name, split in options.split_names)}"


def folder_splits(paths: Sequence[str], options: ImportOptions) -> dict[str, str]:
    """Return the split that a folder says of each path; {} where folders name no split, or only one.

    For paths whose class is told by a table. A path that lies in no such folder has no entry.
    """
    parts = [path.split("/")[:-1] for path in paths]
    told = dict(options.split_names)
    for at in range(min(4, max(map(len, parts), default=0))):
        names = {folders[at] for folders in parts if len(folders) > at}
        splits = splits_of_names(names) | _told(names, told)
        if len(set(splits.values()) - {SKIP}) > 1 and "train" in splits.values():
            placed = zip(paths, parts, strict=True)
            return {path: splits[f[at]] for path, f in placed if len(f) > at and f[at] in splits}
    return {}

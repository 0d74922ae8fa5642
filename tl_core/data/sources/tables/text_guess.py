"""Where the text column of a table is guessed, and which columns look as much like it."""

import statistics
from pathlib import PurePosixPath

from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources.split_names import name_words
from tl_core.data.sources.tables.column_roles import NO_TIER, label_tier
from tl_core.data.sources.tables.table_rows import MISSING, TableSample, is_number

_TEXT_NAMES = "text sentence review comment content body message document tweet utterance question article abstract "
_TEXT_NAMES += "description summary headline title subject post query"
_CAPTION_NAMES = _TEXT_NAMES + " caption captions"
_ANSWER_WORDS = "answer reply response antwort antworttext respuesta reponse risposta resposta"
_ANSWERS = frozenset(_ANSWER_WORDS.split())
_NEVER_TEXT = frozenset({"label", "labels", "class", "category", "target"})
_SENTENCE, _VARIED = 4, 0.5  # words of a cell, and share of different cells, from which a column holds texts
_CLOSE = 0.5  # share of the best score from which another column could be the text as well


def choose_text_column(sample: TableSample, options: ImportOptions, path: str) -> tuple[str, tuple[str, ...]]:
    """Return the text column, "" for none, and the columns that could be it too; `path` names pictures, if any do."""
    if options.text_column:
        return ("" if options.text_column == NONE else options.text_column), ()
    if not path:
        return rank_text_columns(sample, options.label_column)
    if options.path_column:
        return "", ()
    texts = texts_beside(sample, {path, options.label_column, *options.label_columns, options.group_column})
    return (texts[0] if len(texts) == 1 else ""), ()


def guess_text_column(sample: TableSample, excluded: str = "") -> str:
    """Guess the text column: its cells are long, varied and of several words, and its name may say so."""
    return rank_text_columns(sample, excluded)[0]


def rank_text_columns(sample: TableSample, excluded: str = "") -> tuple[str, tuple[str, ...]]:
    """Return the guessed text column, and the columns that look as much like the text; "" and () where none does."""
    scores = {name: score for name, column in sample.by_column() if (score := _text_score(name, column)) > 0}
    scores.pop(excluded, None)
    if not scores:
        return "", ()
    best = max(scores, key=lambda name: scores[name])
    others = [n for n in scores if n != best and scores[n] > _CLOSE * scores[best] and _of_words(sample.column(n))]
    return best, tuple(others)


def _text_score(name: str, column: tuple[str, ...]) -> float:
    filled = [cell for cell in column if cell.strip()]
    if name.lower() in _NEVER_TEXT or not filled:
        return 0.0
    length = statistics.median(map(len, filled))
    variety = len(set(filled)) / len(filled)
    words = sum(len(cell.split()) for cell in filled) / len(filled)
    score = length * variety * (len(filled) / len(column))
    if all(map(is_number, filled)) or ("http" in filled[0][:5] and words < 2):
        score *= 0.01
    if words < 2:
        score *= 0.3
    if _named(name, _TEXT_NAMES):
        score *= 5
    if label_tier(name) < (NO_TIER - 1, False):
        score *= 0.1
    if set(name_words(name)) & _ANSWERS:
        score *= 0.1
    return score


def _of_words(cells: list[str]) -> bool:
    """Return whether the cells of a column are texts: of three words and more, and nearly all different."""
    filled = [cell for cell in cells if cell.strip()]
    several = sum(len(cell.split()) > 2 and PurePosixPath(cell.strip()).suffix not in IMAGE_SUFFIXES for cell in filled)
    return several > len(filled) / 2 and len(set(filled)) > 0.8 * len(filled)


def texts_beside(sample: TableSample, excluded: set[str]) -> list[str]:
    """Return the columns that hold texts, of a table that names pictures: by their whole name, else by their cells.

    A cell of such a column has several words, and most cells differ.
    """
    named, wordy = [], []
    for name, column in sample.by_column():
        filled = [cell for cell in column if cell.strip() not in MISSING]
        if name in excluded or not filled or label_tier(name)[0] < NO_TIER or all(map(is_number, filled)):
            continue
        words = sum(len(cell.split()) for cell in filled) / len(filled)
        if name.lower() in _CAPTION_NAMES.split():
            named.append(name)
        elif words >= _SENTENCE and len(set(filled)) >= _VARIED * len(filled):
            wordy.append(name)
    return named or wordy


def _named(column: str, names: str) -> bool:
    """Return whether a column's name, a word of it, or the end of a German one is among `names`."""
    order = names.split()
    words = {column.lower(), *column.lower().replace("-", "_").replace(" ", "_").split("_")}
    return bool(words & set(order)) or any(word.endswith("text") for word in words)

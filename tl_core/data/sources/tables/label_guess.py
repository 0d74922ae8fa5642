"""Where the label column of a table is guessed: by the names of the columns, in tiers, and by what they hold.

A guess is clear where one column alone has the strongest name for labels, or where only one column could hold them.
Columns that divide the rows alike, such as a class and its number, count as one.
"""

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Literal

from tl_core.data.sources.tables.column_roles import NO_TIER, has_other_role, label_tier
from tl_core.data.sources.tables.table_rows import MISSING, TableSample, is_number
from tl_core.types import Finding

YES = frozenset({"1", "1.0", "true", "yes", "y", "x"})
"""Cells in lower case that say that an item has the label of their column."""
NO = frozenset({"0", "0.0", "false", "no", "n"})
"""Cells in lower case that say that an item does not have the label of their column."""
_MANY = 10  # different values from which a label column may be an id
_MOST_NUMBERS = 20  # different numbers in a column of classes
_LONGEST = 60  # characters of a label, at the median
_FEW_COLUMNS = 3  # columns of 0 and 1 that are labels together, where rows may have several


@dataclass(frozen=True)
class LabelGuess:
    """The guessed label: a column, or `columns` of 0 and 1, of which each row has exactly one where `one_of`.

    `others` could be the label too. `sure` says how it was guessed: by a "name" for labels, as the "only" candidate, or
    "unclear".
    """

    column: str = ""
    columns: tuple[str, ...] = ()
    one_of: bool = False
    others: tuple[str, ...] = ()
    sure: Literal["name", "only", "unclear"] = "unclear"


@dataclass(frozen=True)
class _Candidate:
    name: str
    values: tuple[str, ...]
    kinds: int
    tier: int
    in_part: bool
    class_like: bool

    @property
    def strength(self) -> tuple[bool, int]:
        """Order candidates: what looks like classes first, then by name. A name that is only in part one is weak."""
        return not self.class_like, NO_TIER - 1 if self.in_part else self.tier


def guess_label(sample: TableSample, excluded: set[str]) -> LabelGuess:
    """Guess the label column, or the columns of 0 and 1 that are labels together."""
    candidates = [c for c in _candidates(sample, excluded) if c.tier < NO_TIER or c.class_like]
    likely = [c for c in candidates if c.tier < NO_TIER or not has_other_role(c.name)] or candidates
    columns = guess_label_columns(sample, excluded)
    rest = [c for c in likely if c.name not in columns]
    if columns and not any(c.tier < NO_TIER and c.class_like for c in likely):
        one_of = one_a_row(sample, columns)
        if not rest and (one_of or len(columns) >= _FEW_COLUMNS):
            return LabelGuess("", columns, one_of, sure="only")
    if not likely:
        return LabelGuess()
    merged = _merged(likely)
    merged.sort(key=lambda c: (*c.strength, c.kinds / len(c.values)))
    best, others = merged[0], tuple(c.name for c in merged[1:] if c.class_like)
    unlikely = tuple(c.name for c in candidates if c not in likely)
    if not others or (best.tier < NO_TIER - 1 and not best.in_part and merged[1].strength > best.strength):
        return LabelGuess(best.name, others=others + unlikely, sure="name" if best.tier < NO_TIER else "only")
    if not best.in_part and best.tier == NO_TIER - 1 and best.class_like and merged[1].tier == NO_TIER:
        return LabelGuess(best.name, others=others + unlikely, sure="name")
    return LabelGuess(best.name, others=others)


def _candidates(sample: TableSample, excluded: set[str]) -> list[_Candidate]:
    found = []
    for name, column in sample.by_column():
        if name in excluded:
            continue
        values = tuple(cell.strip() for cell in column)
        counts = Counter(value for value in values if value not in MISSING)
        if not counts:
            continue
        tier, in_part = label_tier(name)
        few = not label_findings(counts) and statistics.median(map(len, counts)) <= _LONGEST
        if tier == NO_TIER:
            few = few and 1 < len(counts) <= max(2, counts.total() / 2) and not _is_quantity(counts)
        found.append(_Candidate(name, values, len(counts), tier, in_part, few))
    return found


def _is_quantity(counts: Counter[str]) -> bool:
    """Return whether values are numbers that measure something: with decimals, or many."""
    if not all(map(is_number, counts)):
        return False
    return len(counts) > _MOST_NUMBERS or not all(float(v.replace(",", ".")).is_integer() for v in counts)


def _merged(candidates: list[_Candidate]) -> list[_Candidate]:
    """Return one candidate of those that divide the rows alike: the best name, among equals words before numbers."""
    kept: list[_Candidate] = []
    order = sorted(candidates, key=lambda c: (*c.strength, all(map(is_number, set(c.values) - MISSING))))
    for candidate in order:
        if not any(_alike(candidate, other) for other in kept):
            kept.append(candidate)
    return kept


def _alike(one: _Candidate, other: _Candidate) -> bool:
    if one.kinds != other.kinds:
        return False
    return len(set(zip(one.values, other.values, strict=True))) == len(set(one.values))


def guess_label_columns(sample: TableSample, excluded: set[str]) -> tuple[str, ...]:
    """Guess label columns: the longest run of adjacent columns of 0 and 1, at least two of which hold both; else ()."""
    best: list[str] = []
    run: list[str] = []
    both: set[str] = set()
    for name, column in sample.by_column():
        values = {cell.strip().lower() for cell in column}
        binary = name not in excluded and bool(values & (YES | NO)) and values <= YES | NO | MISSING
        both |= {name} if values & YES and values & NO else set()
        run = [*run, name] if binary else []
        best = max(best, run, key=lambda names: (len(both.intersection(names)), len(names)))
    return tuple(best) if len(both.intersection(best)) > 1 else ()


def one_a_row(sample: TableSample, columns: tuple[str, ...]) -> bool:
    """Return whether each row of a sample says yes in exactly one of some columns."""
    places = [sample.table.place(name) for name in columns]
    return all(sum(row[place].strip().lower() in YES for place in places) == 1 for row in sample.rows)


def label_findings(counts: Counter[str], column: str = "") -> list[Finding]:
    """Return a blocking finding where there are so many different labels that they must be ids or quantities."""
    n, kinds = sum(counts.values()), len(counts)
    if kinds < _MANY or kinds <= n / 3:
        return []
    where = f"The column {column!r} has" if column else "There are"
    what = "numbers, as if it measured a quantity" if all(map(is_number, counts)) else "values, as if it were an id"
    return [
        Finding(
            "stop",
            "label-like-id",
            f"{where} {kinds:,} different {what}, in {n:,} rows: too few rows of each to learn.",
            "Choose the column that says which class a row belongs to.",
        )
    ]


def told_from_text(sample: TableSample, text: str, columns: tuple[str, ...]) -> dict[str, float]:
    """Return how well each column is told from the words of the texts: 0 as by chance, 1 always.

    (accuracy - share of the commonest value) / (1 - that share), of naive Bayes on word counts, cross-validated in
    three parts on at most 600 rows.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import MultinomialNB

    texts, scores = sample.column(text)[:600], {}
    for name in columns:
        rows = [
            (t, v) for t, cell in zip(texts, sample.column(name), strict=False) if (v := cell.strip()) not in MISSING
        ]
        counts = defaultdict(int, Counter(value for _, value in rows))
        rows = [(t, v) for t, v in rows if counts[v] >= 3]
        common = max((counts[v] for _, v in rows), default=0) / max(1, len(rows))
        if not 0 < common < 1:
            continue
        try:
            words = CountVectorizer(max_features=5000).fit_transform([t for t, _ in rows])
        except ValueError:  # no word in any text
            continue
        values = [v for _, v in rows]
        told = cross_val_predict(MultinomialNB(), words, values, cv=3)
        accuracy = sum(a == b for a, b in zip(told, values, strict=True)) / len(values)
        scores[name] = max(0.0, (accuracy - common) / (1 - common))
    return scores

"""What a profile says: counts, spreads, languages, examples and findings, as values."""

from dataclasses import dataclass

from tl_core.data.quality import Duplicates
from tl_core.data.split import SPLITS
from tl_core.errors import DataError
from tl_core.types import Finding, Modality


@dataclass(frozen=True)
class ClassCount:
    """One class, or subgroup, and its items in each split; an item of several labels counts in each of its classes."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """Return the items of all splits."""
        return self.train + self.validation + self.test

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Return the items of train, validation and test, and of all."""
        return self.train, self.validation, self.test, self.total


@dataclass(frozen=True)
class Bars:
    """A histogram: `counts[i]` items lie from `edges[i]` up to `edges[i + 1]`, the last edge included.

    What lies above the last edge is counted in the last bar, where a few giants would squeeze the others.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Quantiles:
    """How a size is spread over the items, in `unit`s; `low` and `high` are the 5th and the 95th percentile."""

    name: str
    unit: str
    minimum: int
    low: int
    median: int
    high: int
    maximum: int
    bars: Bars = Bars((), ())

    @property
    def marks(self) -> tuple[int, int, int, int, int]:
        """Return the least, the 5th percentile, the median, the 95th percentile and the most."""
        return self.minimum, self.low, self.median, self.high, self.maximum


@dataclass(frozen=True)
class Example:
    """One item to show: `path` is absolute (pictures), `text` is the beginning (texts)."""

    id: str
    label: str
    path: str = ""
    text: str = ""


@dataclass(frozen=True)
class Imbalance:
    """What unequal classes do to a score, by the items of the profile.

    A model that always answers `largest` has the accuracy `always`, and the macro-F1 `macro_f1`: the mean over the
    K classes of F1, which is 2 p / (1 + p) for the largest class of share p, and 0 for the others. `weight` is how
    many times as much an item of the smallest class counts as one of the largest, where classes are weighted by
    n / (K n_k) (King and Zeng 2001, doi:10.1093/oxfordjournals.pan.a004868).
    """

    largest: str
    smallest: str
    always: float
    macro_f1: float
    weight: float


@dataclass(frozen=True)
class Pictures:
    """How pictures look. `upright`, `square` (sides within 5 %) and `wide` count shapes of all pictures.

    `cut` is the share of the area of the median picture outside its middle square, which is what a model looks at.
    Brightness and contrast (percent) and `grey` were measured on `measured` pictures: all, or a sample.
    """

    upright: int
    square: int
    wide: int
    cut: float
    measured: int
    grey: int
    brightness: Quantiles | None = None
    contrast: Quantiles | None = None


@dataclass(frozen=True)
class LanguageCount:
    """A language, by its code (ISO 639) and its English name, and the texts found in it; the code "" is unknown."""

    code: str
    name: str
    count: int


@dataclass(frozen=True)
class Vocabulary:
    """How well a tokenizer's vocabulary fits the words of `texts` texts.

    `fertility` is tokens per word, and `continued` the share of words that take two tokens or more, both as Rust et
    al. (2021, doi:10.18653/v1/2021.acl-long.243) define them; `broken` is the share that take four or more, `unknown`
    the share that are in no part of the vocabulary, or partly. A word is what the tokenizer parts before it looks
    into its vocabulary, where that holds a letter or a digit. `named` are words broken most often, or unknown.
    """

    texts: int
    words: int
    fertility: float
    continued: float
    broken: float
    unknown: float
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Texts:
    """What is known of the language of texts: counts over `measured` texts, all, or a sample."""

    measured: int
    languages: tuple[LanguageCount, ...]
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True)
class Pair:
    """Two labels and the items that carry both."""

    first: str
    second: str
    count: int


@dataclass(frozen=True)
class MultilabelStats:
    """A set whose items may have several labels: `per_item[k]` items have k labels.

    `together[i][j]` items have both label i and label j of `names`, the most frequent labels, `[K, K]`; the diagonal
    counts the label itself. `pairs` are the labels most often seen together, of all labels.
    """

    per_item: tuple[int, ...]
    names: tuple[str, ...]
    together: tuple[tuple[int, ...], ...]
    pairs: tuple[Pair, ...]

    @property
    def mean(self) -> float:
        """Return the labels of an average item."""
        return sum(k * n for k, n in enumerate(self.per_item)) / max(1, sum(self.per_item))


@dataclass(frozen=True)
class Span:
    """From when to when items were made, as dates (ISO 8601), and how many say so."""

    first: str
    last: str
    dated: int


@dataclass(frozen=True)
class Profile:
    """Counts, sizes, examples and findings of a data set under its current split.

    `balance` is the smallest class over the largest, 1 where all are equal. `truncated` counts texts of more than
    `max_tokens` tokens, by a sample where there are very many texts, None where no tokenizer was given. `sizes` holds
    width and height in pixels (pictures), or characters and, with a tokenizer, tokens (texts). `parts` are the items
    of each split. `typical_tokens` is the length that costs are estimated with: the tokens of the average text in a
    training batch, its padding included, because a batch costs what its longest text costs for each of its texts; 0 for
    pictures, or where no tokenizer was given. What a data set has not, several labels or a time, is None.
    """

    fingerprint: str
    name: str
    modality: Modality
    n: int
    classes: tuple[ClassCount, ...]
    balance: float
    sizes: tuple[Quantiles, ...]
    duplicates: Duplicates
    examples: tuple[Example, ...]
    findings: tuple[Finding, ...]
    skipped: int
    converted: int
    truncated: int | None = None
    max_tokens: int = 0
    typical_tokens: float = 0.0
    imbalance: Imbalance | None = None
    pictures: Pictures | None = None
    texts: Texts | None = None
    multilabel: MultilabelStats | None = None
    subgroups: tuple[ClassCount, ...] = ()
    span: Span | None = None
    parts: tuple[int, ...] = ()

    @property
    def splits(self) -> dict[str, int]:
        """Return the items of each split."""
        if self.parts:
            return dict(zip(SPLITS, self.parts, strict=True))
        return {split: sum(getattr(c, split) for c in self.classes) for split in SPLITS}

    @property
    def n_train(self) -> int:
        """Return the items of train."""
        return self.splits["train"]

    @property
    def per_class_min(self) -> int:
        """Return the training items of the smallest class."""
        return min((c.train for c in self.classes), default=0)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Return the findings that must be solved before anything can be trained."""
        return tuple(f for f in self.findings if f.level == "stop")

    def require_usable(self) -> None:
        """Raise DataError with the first finding that blocks training, if there is one."""
        for finding in self.blocking:
            raise DataError(finding.message, finding.hint)

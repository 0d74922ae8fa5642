"""The values that make up a profile: counts, distributions, languages, examples and findings."""

from dataclasses import dataclass

from tl_core.data.quality import Duplicates
from tl_core.data.split import SPLITS
from tl_core.errors import DataError
from tl_core.types import Finding, Modality


@dataclass(frozen=True)
class ClassCount:
    """Items of a class or subgroup in each split. An item with several labels counts in each of its classes."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """Return the number of items in all splits."""
        return self.train + self.validation + self.test

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Return the number of items in train, validation, test, and all of them."""
        return self.train, self.validation, self.test, self.total


@dataclass(frozen=True)
class Bars:
    """A histogram: `counts[i]` items lie from `edges[i]` up to `edges[i + 1]`, the last edge included.

    Values above the last edge count in the last bar, so that a few extremes do not squeeze the others.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Quantiles:
    """The distribution of a size over the items, in `unit`s; `low` and `high` are the 5th and 95th percentiles."""

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
        """Return the minimum, 5th percentile, median, 95th percentile and maximum."""
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
    """The effect of class imbalance on scores.

    A model that always answers `largest` has the accuracy `always` and the macro-F1 `macro_f1`: the mean over the
    K classes of F1, which is 2 p / (1 + p) for the largest class, of share p, and 0 for the others. With balanced class
    weights n / (K n_k), an item of the smallest class counts `weight` times as much as one of the largest (King
    and Zeng 2001, doi:10.1093/oxfordjournals.pan.a004868).
    """

    largest: str
    smallest: str
    always: float
    macro_f1: float
    weight: float


@dataclass(frozen=True)
class Pictures:
    """Shapes and colours of pictures. `upright`, `square` (sides within 5 %) and `wide` count shapes of all pictures.

    `cut` is the share of the median picture's area outside its centre square, which is what a model sees.
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
    """A language by its code (ISO 639) and English name, and its number of texts; the code "" is unknown."""

    code: str
    name: str
    count: int


@dataclass(frozen=True)
class Vocabulary:
    """How well a tokenizer's vocabulary fits the words of `texts` texts.

    `fertility` is tokens per word, and `continued` the share of words that take two tokens or more, both as Rust et
    al. (2021, doi:10.18653/v1/2021.acl-long.243) define them; `broken` is the share that take four or more, `unknown`
    the share with a part outside the vocabulary. A word is what the tokenizer's pre-tokenizer returns, if it holds a
    letter or a digit. `named` are the most frequent broken or unknown words.
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
    """Languages and vocabulary of `measured` texts: all, or a sample."""

    measured: int
    languages: tuple[LanguageCount, ...]
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True)
class Pair:
    """Two labels, and the number of items with both."""

    first: str
    second: str
    count: int


@dataclass(frozen=True)
class MultilabelStats:
    """Label counts of a multilabel data set: `per_item[k]` items have k labels.

    `together[i][j]` items have both label i and label j of `names`, the most frequent labels, `[K, K]`; the diagonal
    counts single labels. `pairs` are the pairs of any labels that occur together most often.
    """

    per_item: tuple[int, ...]
    names: tuple[str, ...]
    together: tuple[tuple[int, ...], ...]
    pairs: tuple[Pair, ...]

    @property
    def mean(self) -> float:
        """Return the mean number of labels per item."""
        return sum(k * n for k, n in enumerate(self.per_item)) / max(1, sum(self.per_item))


@dataclass(frozen=True)
class Span:
    """The first and last date of items (ISO 8601), and the number of items with a date."""

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
    pictures, or where no tokenizer was given. A part that does not apply, such as multilabel counts, is None.
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
        """Return the number of items in each split."""
        if self.parts:
            return dict(zip(SPLITS, self.parts, strict=True))
        return {split: sum(getattr(c, split) for c in self.classes) for split in SPLITS}

    @property
    def n_train(self) -> int:
        """Return the number of items in train."""
        return self.splits["train"]

    @property
    def per_class_min(self) -> int:
        """Return the number of training items of the smallest class."""
        return min((c.train for c in self.classes), default=0)

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Return the findings that must be solved before training."""
        return tuple(f for f in self.findings if f.level == "stop")

    def require_usable(self) -> None:
        """Raise DataError with the first finding that blocks training, if any."""
        for finding in self.blocking:
            raise DataError(finding.message, finding.hint)

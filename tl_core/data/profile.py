"""What a data set is, in numbers and findings; no model needed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.quality import Duplicates, duplicates, find_problems
from tl_core.data.split import SPLITS
from tl_core.errors import DataError
from tl_core.types import Finding, Modality
from tl_core.workspace import read_json, write_json

_EXAMPLES = 6  # items shown of each class
_EXAMPLE_CHARS = 280
_TOKEN_CHARS = 100_000  # of one text; what is beyond is not counted
_TOKEN_BATCH = 256


@dataclass(frozen=True)
class ClassCount:
    """One class and its items in each split."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """Return the items of the class."""
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class Quantiles:
    """How a size is spread over the items, in `unit`s."""

    name: str
    unit: str
    minimum: int
    low: int
    median: int
    high: int
    maximum: int


@dataclass(frozen=True)
class Example:
    """One item to show: `path` is absolute (pictures), `text` is the beginning (texts)."""

    id: str
    label: str
    path: str = ""
    text: str = ""


@dataclass(frozen=True)
class Profile:
    """Counts, sizes, examples and findings of a data set under its current split.

    `balance` is the smallest class over the largest, 1 where all are equal. `truncated` counts texts of more than
    `max_tokens` tokens, None where no tokenizer was given. `sizes` holds width and height in pixels (pictures), or
    characters and, with a tokenizer, tokens (texts); `low` and `high` are the 5th and the 95th percentile.
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

    @property
    def splits(self) -> dict[str, int]:
        """Return the items of each split."""
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


def profile(dataset: Dataset, tokenizer: Path | None = None, max_tokens: int = 0) -> Profile:
    """Describe a data set. `tokenizer` is the path of a `tokenizer.json`, `max_tokens` the model's limit (0: none)."""
    counts = count_classes(dataset)
    sizes = _image_sizes(dataset) if dataset.modality == "image" else _text_sizes(dataset)
    truncated = None
    if dataset.modality == "text" and tokenizer is not None:
        tokens = _token_counts(dataset, tokenizer)
        truncated = int((tokens > max_tokens).sum()) if max_tokens else 0
        sizes += (_quantiles("Length", "tokens", tokens),)
    totals = [c.total for c in counts]
    actions = [(line.action, line.item) for line in dataset.receipt.lines]
    return Profile(
        fingerprint=dataset.fingerprint,
        name=dataset.name,
        modality=dataset.modality,
        n=len(dataset.items),
        classes=counts,
        balance=min(totals) / max(totals),
        sizes=sizes,
        duplicates=duplicates(dataset),
        examples=_examples(dataset),
        findings=_findings(dataset, counts, truncated, max_tokens),
        skipped=sum(action == "skipped" for action, _ in actions),
        converted=len({item for action, item in actions if action == "converted"}),
        truncated=truncated,
        max_tokens=max_tokens,
    )


def count_classes(dataset: Dataset) -> tuple[ClassCount, ...]:
    """Return the items of each class in each split."""
    splits, labels = dataset.splits, dataset.labels
    table = [np.bincount(labels[splits == split], minlength=len(dataset.classes)).tolist() for split in SPLITS]
    return tuple(ClassCount(name, *counts) for name, *counts in zip(dataset.classes, *table, strict=True))


def _token_counts(dataset: Dataset, tokenizer: Path) -> np.ndarray:
    """Return the tokens of each text `[N]`, counted once for a tokenizer and kept beside the manifest."""
    key = hashlib.sha256(tokenizer.read_bytes()).hexdigest()[:12]
    kept = dataset.folder / f"tokens-{key}.json"
    if not kept.is_file():
        write_json(kept, count_tokens(dataset.items["text"].tolist(), tokenizer).tolist())
    return np.array(read_json(kept), dtype=np.int64)


def count_tokens(texts: list[str], tokenizer: Path) -> np.ndarray:
    """Return the tokens of each text `[N]`, special ones included, by the `tokenizer.json` at `tokenizer`."""
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(str(tokenizer))
    encoder.no_truncation()
    encoder.no_padding()
    counts: list[int] = []
    for start in range(0, len(texts), _TOKEN_BATCH):
        batch = [text[:_TOKEN_CHARS] for text in texts[start : start + _TOKEN_BATCH]]
        counts += [len(encoding) for encoding in encoder.encode_batch_fast(batch)]
    return np.array(counts, dtype=np.int64)


def _quantiles(name: str, unit: str, values: np.ndarray) -> Quantiles:
    picked = np.percentile(values, [0, 5, 50, 95, 100]).round().astype(int).tolist()
    return Quantiles(name, unit, *picked)


def _image_sizes(dataset: Dataset) -> tuple[Quantiles, ...]:
    items = dataset.items
    sides = [side for side in ("width", "height") if side in items]
    return tuple(_quantiles(side.capitalize(), "pixels", items[side].to_numpy()) for side in sides)


def _text_sizes(dataset: Dataset) -> tuple[Quantiles, ...]:
    return (_quantiles("Length", "characters", dataset.items["text"].str.len().to_numpy(dtype=np.int64)),)


def _examples(dataset: Dataset) -> tuple[Example, ...]:
    """Return the first training items of each class, and others where it has too few there; no copies."""
    items = dataset.items.assign(split=dataset.splits)
    items = items.drop_duplicates(["digest", "label"])
    items = items.assign(later=items["split"] != "train").sort_values(["label", "later"], kind="stable")
    shown = items.groupby("label", sort=True).head(_EXAMPLES)
    return tuple(
        Example(
            row.id,
            dataset.classes[row.label],
            str(dataset.folder / row.path) if row.path else "",
            row.text[:_EXAMPLE_CHARS],
        )
        for row in shown.itertuples()
    )


def _findings(
    dataset: Dataset, counts: tuple[ClassCount, ...], truncated: int | None, max_tokens: int
) -> tuple[Finding, ...]:
    findings = find_problems(dataset, [[c.train, c.validation, c.test] for c in counts])
    if truncated:
        share = truncated / len(dataset.items)
        findings.append(
            Finding(
                "info",
                "truncated",
                f"{truncated:,} texts ({share:.0%}) are longer than the {max_tokens} tokens this model reads; "
                "the rest of each is not seen.",
                "The beginning is usually enough to tell a topic. If it is not, split the texts into parts.",
            )
        )
    return tuple(findings)

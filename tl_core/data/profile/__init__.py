"""The profile of a data set: counts, sizes, examples and findings. No model is needed."""

from pathlib import Path

import numpy as np
import pandas as pd

from tl_core.data.dataset import Dataset
from tl_core.data.options import OnProgress, no_progress
from tl_core.data.profile import class_counts, profile_cache, profile_sentences, size_stats, text_stats
from tl_core.data.profile.class_counts import count_classes
from tl_core.data.profile.data_profile import ClassCount, Example, Profile, Quantiles, Texts
from tl_core.data.profile.text_stats import count_tokens
from tl_core.data.quality import duplicates, find_problems
from tl_core.data.sampling import sample_rows
from tl_core.data.split import SPLITS

__all__ = ["ClassCount", "Example", "Profile", "Quantiles", "count_classes", "count_tokens", "profile"]

_EXAMPLES = 6  # items shown of each class
_CANDIDATES = 60  # of each class, which may include copies
_EXAMPLE_CHARS = 280
_LEVELS = ("stop", "warn", "info")


def profile(
    dataset: Dataset, tokenizer: Path | None = None, max_tokens: int = 0, progress: OnProgress = no_progress
) -> Profile:
    """Return the profile of a data set. `tokenizer` is a `tokenizer.json`, `max_tokens` the model's limit (0: none).

    A profile is made once for the same data, split and tokenizer, and stored beside the manifest. `progress` may raise
    to stop; what was counted by then is not counted again.
    """
    tokenizer = tokenizer if "text" in dataset.parts else None
    path = profile_cache.profile_file(dataset, text_stats.tokenizer_key(tokenizer) if tokenizer else "", max_tokens)
    cached = profile_cache.read(path)
    if cached is None:
        cached = _make(dataset, tokenizer, max_tokens, progress)
        profile_cache.write(path, cached)
    return cached


def _make(dataset: Dataset, tokenizer: Path | None, max_tokens: int, progress: OnProgress) -> Profile:
    counts = count_classes(dataset)
    inside = np.isin(dataset.splits, SPLITS)
    image, text = ("image" in dataset.parts), ("text" in dataset.parts)
    sizes = (*(size_stats.image_sizes(dataset) if image else ()), *(text_stats.text_sizes(dataset) if text else ()))
    pictures = size_stats.pictures(dataset, progress) if image else None
    text_profile = _text_profile(dataset, tokenizer, progress) if text else None
    truncated, typical_tokens = None, 0.0
    if tokenizer:
        tokens = text_stats.token_counts(dataset, tokenizer, progress)
        sizes += (size_stats.quantiles("Length", "tokens", tokens),)
        truncated = round((tokens > max_tokens).mean() * len(dataset.items)) if max_tokens else 0
        typical_tokens = text_stats.padded_length(tokens, max_tokens)
    findings = find_problems(dataset, [[c.train, c.validation, c.test] for c in counts])
    findings += profile_sentences.picture_findings(pictures) + profile_sentences.text_findings(text_profile)
    findings += profile_sentences.truncation_findings(truncated, len(dataset.items), max_tokens, text_stats.COUNTED)
    totals = [c.total for c in counts]
    return Profile(
        fingerprint=dataset.fingerprint,
        name=dataset.name,
        modality=dataset.modality,
        n=int(inside.sum()),
        classes=counts,
        balance=min(totals) / max(1, max(totals)),
        sizes=sizes,
        duplicates=duplicates(dataset),
        examples=_examples(dataset),
        findings=tuple(sorted(findings, key=lambda finding: _LEVELS.index(finding.level))),
        skipped=dataset.receipt.skipped,
        converted=dataset.receipt.converted,
        truncated=truncated,
        max_tokens=max_tokens,
        typical_tokens=typical_tokens,
        imbalance=None if dataset.multilabel else class_counts.imbalance(counts),
        pictures=pictures,
        texts=text_profile,
        multilabel=class_counts.multilabel(dataset, inside),
        subgroups=class_counts.subgroups(dataset),
        span=class_counts.span(dataset, inside),
        parts=tuple(int((dataset.splits == split).sum()) for split in SPLITS),
    )


def _text_profile(dataset: Dataset, tokenizer: Path | None, progress: OnProgress) -> Texts:
    """Return the languages of a sample of texts, and how well the tokenizer's vocabulary fits them."""
    rows = sample_rows(len(dataset.items), text_stats.SAMPLED)
    languages = text_stats.count_languages(dataset, rows, progress)
    vocabulary = text_stats.vocabulary(dataset.items["text"].iloc[rows].tolist(), tokenizer) if tokenizer else None
    return Texts(len(rows), languages, vocabulary)


def _examples(dataset: Dataset) -> tuple[Example, ...]:
    """Return the first training items of each class, then other items if there are too few, without copies."""
    table = pd.DataFrame({"label": dataset.labels, "later": dataset.splits != "train"})
    table = table[dataset.included & (table["label"] < len(dataset.classes))].sort_values(
        ["label", "later"], kind="stable"
    )
    first = table.groupby("label", sort=True).head(_CANDIDATES)
    first = first.assign(digest=dataset.items["digest"].iloc[first.index])
    shown = first[~first.duplicated(["digest", "label"])].groupby("label", sort=True).head(_EXAMPLES)
    wanted = dataset.items.iloc[shown.index]
    return tuple(
        Example(
            row.id,
            dataset.classes[label],
            str(dataset.folder / row.path) if row.path else "",
            row.text[:_EXAMPLE_CHARS],
        )
        for row, label in zip(wanted.itertuples(), shown["label"].tolist(), strict=True)
    )

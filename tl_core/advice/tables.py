"""The published rules of thumb as data. `advice.rules` reports where they disagree."""

from tl_core.advice.advice import SizeRow

GUIDE = "BloomWiki, Transfer Learning, strategy selection guide"
PRODUCTION = "Transfer Learning in Machine Learning (production guide), table of scenarios"
FUNDAMENTALS = "Transfer Learning (1): Fundamentals and Core Concepts, questions and answers"
PRACTICAL = "Transfer Learning (theory and practical choices), Practical Choices"
CS231N = "https://cs231n.github.io/transfer-learning/"
SHIFT_MEASURED = (
    "Measured with EfficientNet-Lite0: photos 0.20, clip art 0.26, grey garments 0.39, textile 0.60 (a rule of thumb)"
)

PER_CLASS = (
    SizeRow(0, 100, "feature_extraction", {}, "Fewer than 100 items a class: train the head only.", GUIDE),
    SizeRow(100, 1000, "partial", {"reach": "two"}, "100 to 1,000 items a class: thaw one or two blocks.", GUIDE),
    SizeRow(
        1000,
        10_001,
        "discriminative",
        {"reach": "half"},
        "1,000 to 10,000 items a class: fine-tune the last half with rates that fall towards the input.",
        GUIDE,
    ),
    SizeRow(10_001, None, "full", {}, "More than 10,000 items a class: fine-tune everything.", GUIDE),
)
"""By labelled items a class, in order; a row applies from `low` up to below `high`."""

SMALL_TOTAL, LARGE_TOTAL = 1000, 10_000

BY_DOMAIN = {
    ("small", "similar"): SizeRow(
        0,
        SMALL_TOTAL,
        "feature_extraction",
        {},
        "Fewer than 1,000 items, similar domain: extract features.",
        PRODUCTION,
    ),
    ("small", "different"): SizeRow(
        0,
        SMALL_TOTAL,
        "lower_layers",
        {},
        "Fewer than 1,000 items of a different domain: extract features from lower layers.",
        PRODUCTION,
    ),
    ("large", "similar"): SizeRow(
        LARGE_TOTAL + 1,
        None,
        "full",
        {},
        "More than 10,000 items, similar domain: fine-tune all gently.",
        PRODUCTION,
    ),
    ("large", "different"): SizeRow(
        LARGE_TOTAL + 1,
        None,
        "discriminative",
        {"reach": "all"},
        "More than 10,000 items of a different domain: fine-tune all, the upper layers at larger rates.",
        PRODUCTION,
    ),
}
"""By total labelled items and domain; the table says nothing about 1,000 to 10,000 items."""

SCRATCH = SizeRow(
    10_001, None, "from_scratch", {}, "More than 10,000 items a class of a very different domain: from scratch.", GUIDE
)

TEXTS = SizeRow(
    100,
    10_001,
    "full",
    {},
    "Texts, 100 to 10,000 items a class: train all layers at a small rate.",
    f"{FUNDAMENTALS}; measured by this project, docs/LOG.md, 2026-11-21",
)
"""Replaces the rows that train only the upper layers, where the time allows it."""

SIMILAR_BELOW = 0.3
VERY_DIFFERENT_FROM = 1.0
"""Thresholds of the shift: between clip art (0.26) and grey garments (0.39), and well beyond everything measured."""


def per_class_row(items: float) -> SizeRow:
    """Return the row for a number of labelled items a class."""
    return next(row for row in PER_CLASS if row.high is None or items < row.high)


def domain_row(total: int, different: bool) -> SizeRow | None:
    """Return the row for a total and a domain; None for 1,000 to 10,000 items."""
    size = "small" if total < SMALL_TOTAL else "large" if total > LARGE_TOTAL else ""
    return BY_DOMAIN.get((size, "different" if different else "similar"))


def trains_upper(row: SizeRow) -> bool:
    """Return whether a row trains only the upper layers."""
    return row.strategy in ("partial", "discriminative") and row.options.get("reach") != "all"

"""Findings and sentences that explain the figures of a profile in plain words."""

from tl_core.data.profile.data_profile import (
    Imbalance,
    LanguageCount,
    MultilabelStats,
    Pictures,
    Profile,
    Texts,
    Vocabulary,
)
from tl_core.types import Finding

FERTILITY = 1.5
"""Tokens per word from which a vocabulary is reported as a poor fit.

Measured with the English vocabulary of all-MiniLM-L6-v2: BBC news 1.08; the first article of the Universal
Declaration of Human Rights in English 1.0, French 1.7, German 2.1, Finnish 2.8, Russian 5.0; English reports of
medicine and of chemistry 2.5.
"""
UNKNOWN = 0.02
"""Share of unknown words from which it is reported: the same vocabulary has none in BBC news, and 64 % in that article
in Chinese."""
MIXED = 0.1
"""Share of the texts from which a second language is reported."""
_UNEQUAL = 1.5  # ratio of the largest class to the smallest from which the effect is explained
_CUT = 0.3  # share of the median picture outside its centre square from which it is reported


def truncation_findings(truncated: int | None, n: int, max_tokens: int, counted: int) -> list[Finding]:
    """Return a finding if texts are longer than a model reads. At most `counted` texts were counted."""
    if not truncated:
        return []
    about = "About " if n > counted else ""
    return [
        Finding(
            "info",
            "truncated",
            f"{about}{truncated:,} texts ({truncated / n:.0%}) are longer than the {max_tokens} tokens "
            "this model reads; it does not see the rest of each.",
            "The beginning is usually enough to tell a topic. If not, split the texts into parts.",
        )
    ]


def text_findings(texts: Texts | None) -> list[Finding]:
    """Return findings on the languages and the vocabulary of texts."""
    if texts is None:
        return []
    return vocabulary_findings(texts.vocabulary, texts.languages) + language_findings(texts.languages)


def language_findings(languages: tuple[LanguageCount, ...]) -> list[Finding]:
    """Return a finding if texts are in several languages."""
    known = [language for language in languages if language.code]
    n = sum(language.count for language in known)
    frequent = [language for language in known if language.count >= MIXED * n]
    if len(frequent) < 2:
        return []
    named = ", ".join(f"{language.name} {language.count / n:.0%}" for language in frequent)
    return [
        Finding(
            "info",
            "languages",
            f"The texts are in more than one language: {named}.",
            "A backbone made for one language does badly on the others: compare the wrong answers by language.",
        )
    ]


def vocabulary_findings(vocabulary: Vocabulary | None, languages: tuple[LanguageCount, ...]) -> list[Finding]:
    """Return a finding if a backbone does not know many words of the texts."""
    if vocabulary is None or (vocabulary.fertility < FERTILITY and vocabulary.unknown < UNKNOWN):
        return []
    known = [language for language in languages if language.code]
    main_language = f" Most of the texts are in {known[0].name}." if known and known[0].code != "en" else ""
    named = f", for example {', '.join(vocabulary.named[:3])}" if vocabulary.named else ""
    how = (
        f"it cannot read {vocabulary.unknown:.0%} of them"
        if vocabulary.unknown >= UNKNOWN
        else f"it splits {vocabulary.continued:.0%} of them into pieces"
    )
    return [
        Finding(
            "warn",
            "vocabulary",
            f"This backbone does not know many words of your texts: {how}{named}.{main_language}",
            "Choose a backbone made for this language or subject if there is one; with this one, expect to need more "
            "examples.",
            vocabulary.named,
        )
    ]


def picture_findings(pictures: Pictures | None) -> list[Finding]:
    """Return a finding if much of the pictures lies outside what a model sees."""
    if pictures is None or pictures.cut < _CUT:
        return []
    return [
        Finding(
            "info",
            "cut-off",
            f"A model sees the centre square of a picture; {pictures.cut:.0%} of a typical one of yours lies outside.",
            "If what matters is at the ends, crop the pictures yourself before you import them.",
        )
    ]


def imbalance_words(imbalance: Imbalance | None) -> tuple[str, ...]:
    """Explain the effect of class imbalance on scores, which metric to use, and what class weights would do."""
    if imbalance is None or imbalance.weight < _UNEQUAL:
        return ()
    return (
        f"Always answering {imbalance.largest!r} would be right for {imbalance.always:.0%} of the items. "
        "Accuracy means something only if it is well above that.",
        f"A score that counts every class alike, large or small, gives that answer {imbalance.macro_f1:.0%} "
        "(macro-F1). Look at it, and at the table per class.",
        f'"Weigh rare classes up", on the plan page, makes one item of {imbalance.smallest!r} count as much as '
        f"{imbalance.weight:.3g} of {imbalance.largest!r} while the model learns: small classes are found more often, "
        "and more often predicted by mistake.",
    )


def multilabel_words(stats: MultilabelStats | None, profile: Profile) -> tuple[str, ...]:
    """Describe the labels per item, and say how to read the scores of a multilabel data set."""
    if stats is None:
        return ()
    n, none = sum(stats.per_item), stats.per_item[0]
    rare = min(profile.classes, key=lambda c: c.total)
    words = [f"An item has {stats.mean:.1f} labels on average, {len(stats.per_item) - 1} at most."]
    words += (
        [f"{none:,} of {n:,} items have no label at all; a model learns from them what none of the labels looks like."]
        if none
        else []
    )
    share = 1 - rare.total / max(1, n)
    words.append(
        f"{rare.name!r} is the rarest label: never naming it would be right for {share:.0%} of the items. "
        "So look at each label's own AUC and F1, not at how many answers are right."
    )
    return tuple(words)


def language_words(languages: tuple[LanguageCount, ...]) -> str:
    """Return the most frequent languages with their shares, "" where none were identified."""
    n = sum(language.count for language in languages)
    return ", ".join(f"{language.name} {language.count / n:.0%}" for language in languages[:6])


def vocabulary_words(vocabulary: Vocabulary | None) -> str:
    """Return in one sentence how well a backbone knows the words; "" where that is unknown."""
    if vocabulary is None:
        return ""
    unknown = f"; {vocabulary.unknown:.1%} it cannot read at all" if vocabulary.unknown >= 0.0005 else ""
    return (
        f"The backbone knows {1 - vocabulary.continued:.0%} of the words whole and splits the others into pieces, "
        f"{vocabulary.fertility:.2f} pieces per word on average{unknown}."
    )


def picture_words(pictures: Pictures | None) -> tuple[str, ...]:
    """Describe the shapes and the colours of pictures."""
    if pictures is None:
        return ()
    words = []
    shapes = [(pictures.wide, "wide"), (pictures.upright, "upright"), (pictures.square, "square")]
    if any(n for n, _ in shapes):
        words.append("Shapes: " + ", ".join(f"{n:,} {name}" for n, name in sorted(shapes, reverse=True) if n) + ".")
    if pictures.measured:
        kind = {0: "All in colour", pictures.measured: "All grey"}.get(
            pictures.grey, f"{pictures.grey:,} of {pictures.measured:,} grey, the others in colour"
        )
        words.append(kind + ".")
    return tuple(words)

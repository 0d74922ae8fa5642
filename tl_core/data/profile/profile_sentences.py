"""What a profile's figures mean, in plain words."""

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
"""Tokens a word from which a vocabulary is said not to fit.

Measured with the English vocabulary of all-MiniLM-L6-v2: BBC news 1.08; the first article of the Universal
Declaration of Human Rights in English 1.0, French 1.7, German 2.1, Finnish 2.8, Russian 5.0; English reports of
medicine and of chemistry 2.5.
"""
UNKNOWN = 0.02
"""Share of unknown words from which that is said: the same vocabulary has none in BBC news, 64 % in that article in
Chinese."""
MIXED = 0.1
"""Share of the texts from which a second language is worth a word."""
_UNEQUAL = 1.5  # largest class over smallest, from which the effect is explained
_CUT = 0.3  # share of the median picture outside its middle square, from which that is said


def truncation(truncated: int | None, n: int, max_tokens: int, counted: int) -> list[Finding]:
    """Return what to know where texts are longer than a model reads; at most `counted` were counted."""
    if not truncated:
        return []
    about = "About " if n > counted else ""
    return [
        Finding(
            "info",
            "truncated",
            f"{about}{truncated:,} texts ({truncated / n:.0%}) are longer than the {max_tokens} tokens "
            "this model reads; the rest of each is not seen.",
            "The beginning is usually enough to tell a topic. If it is not, split the texts into parts.",
        )
    ]


def text_findings(found: Texts | None) -> list[Finding]:
    """Return what to know of the language and the words of texts."""
    if found is None:
        return []
    return vocabulary_findings(found.vocabulary, found.languages) + language_findings(found.languages)


def language_findings(languages: tuple[LanguageCount, ...]) -> list[Finding]:
    """Return what to know where texts are in more than one language."""
    told = [each for each in languages if each.code]
    n = sum(each.count for each in told)
    often = [each for each in told if each.count >= MIXED * n]
    if len(often) < 2:
        return []
    named = ", ".join(f"{each.name} {each.count / n:.0%}" for each in often)
    return [
        Finding(
            "info",
            "languages",
            f"The texts are in more than one language: {named}.",
            "A backbone made for one language reads the others badly: look at wrong answers by language.",
        )
    ]


def vocabulary_findings(found: Vocabulary | None, languages: tuple[LanguageCount, ...]) -> list[Finding]:
    """Return what to know where a backbone does not know the words of the texts."""
    if found is None or (found.fertility < FERTILITY and found.unknown < UNKNOWN):
        return []
    told = [each for each in languages if each.code]
    most = f" Most of the texts are in {told[0].name}." if told and told[0].code != "en" else ""
    named = f", for example {', '.join(found.named[:3])}" if found.named else ""
    how = (
        f"it cannot read {found.unknown:.0%} of them"
        if found.unknown >= UNKNOWN
        else f"it puts {found.continued:.0%} of them together from pieces"
    )
    return [
        Finding(
            "warn",
            "vocabulary",
            f"This backbone does not know many words of your texts: {how}{named}.{most}",
            "Choose a backbone made for this language or subject if there is one; with this one, expect to need more "
            "examples.",
            found.named,
        )
    ]


def picture_findings(found: Pictures | None) -> list[Finding]:
    """Return what to know where much of the pictures lies outside of what a model looks at."""
    if found is None or found.cut < _CUT:
        return []
    return [
        Finding(
            "info",
            "cut-off",
            f"A model looks at the middle square of a picture; {found.cut:.0%} of a typical one of yours lies outside.",
            "If what matters is at the ends, crop the pictures yourself before you bring them.",
        )
    ]


def imbalance_words(found: Imbalance | None) -> tuple[str, ...]:
    """Return what unequal classes do to a score, which metric to look at, and what class weights would do."""
    if found is None or found.weight < _UNEQUAL:
        return ()
    return (
        f"Always answering {found.largest!r}, without looking, would be right for {found.always:.0%} of the items. "
        "Accuracy says something only where it is well above that.",
        f"A score that counts every class alike, large or small, would give that answer {found.macro_f1:.0%} "
        "(the field's macro-F1). Look at it, and at the table per class.",
        f'"Weigh rare classes up", on the plan page, makes one item of {found.smallest!r} count as much as '
        f"{found.weight:.3g} of {found.largest!r} while the model learns: small classes are found more often, "
        "and more often named by mistake.",
    )


def multilabel_words(found: MultilabelStats | None, profile: Profile) -> tuple[str, ...]:
    """Return what to know of items with several labels, and how to read their scores."""
    if found is None:
        return ()
    n, none = sum(found.per_item), found.per_item[0]
    rare = min(profile.classes, key=lambda c: c.total)
    words = [f"An item has {found.mean:.1f} labels on average, {len(found.per_item) - 1} at most."]
    words += [f"{none:,} of {n:,} items have no label at all; they teach what is none of them."] if none else []
    share = 1 - rare.total / max(1, n)
    words.append(
        f"{rare.name!r} is the rarest label: never naming it would be right for {share:.0%} of the items. "
        "So look at each label's own AUC and F1, not at how many answers are right."
    )
    return tuple(words)


def language_words(languages: tuple[LanguageCount, ...]) -> str:
    """Return the most frequent languages with their shares, "" where none were looked for."""
    n = sum(each.count for each in languages)
    return ", ".join(f"{each.name} {each.count / n:.0%}" for each in languages[:6])


def vocabulary_words(found: Vocabulary | None) -> str:
    """Return how well a backbone knows the words, in one sentence; "" where that is not known."""
    if found is None:
        return ""
    unknown = f"; {found.unknown:.1%} it cannot read at all" if found.unknown >= 0.0005 else ""
    return (
        f"The backbone knows {1 - found.continued:.0%} of the words whole and puts the others together from pieces, "
        f"{found.fertility:.2f} pieces a word in all{unknown}."
    )


def picture_words(found: Pictures | None) -> tuple[str, ...]:
    """Return the shapes and the colours of pictures, in sentences."""
    if found is None:
        return ()
    words = []
    shapes = [(found.wide, "wide"), (found.upright, "upright"), (found.square, "square")]
    if any(n for n, _ in shapes):
        words.append("Shapes: " + ", ".join(f"{n:,} {name}" for n, name in sorted(shapes, reverse=True) if n) + ".")
    if found.measured:
        kind = {0: "All in colour", found.measured: "All grey"}.get(
            found.grey, f"{found.grey:,} of {found.measured:,} grey, the others in colour"
        )
        words.append(kind + ".")
    return tuple(words)

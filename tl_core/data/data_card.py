"""The data card: what is known of a data set, under the headings of "Datasheets for Datasets", and what is not.

Headings and questions after Gebru et al. (2021), Communications of the ACM 64(12), https://arxiv.org/abs/1803.09010.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.data.profile import profile_sentences
from tl_core.data.profile.data_profile import Profile, Quantiles
from tl_core.data.quality.phrasing import NOUNS, count
from tl_core.data.samples import SAMPLES, Sample
from tl_core.data.sources.sample_source import SAMPLE_PREFIX
from tl_core.data.split import rule

_CLASSES = 200  # rows of a table
_REASONS = 20
_ACTIONS = {
    "drop": "left out",
    "relabel": "given another label",
    "keep": "looked at and kept as it is",
    "together": "kept together in one split",
}


def data_card(dataset: Dataset, profile: Profile) -> str:
    """Return what is known of a data set as Markdown; what only a person can say is asked, with room for an answer."""
    sample = SAMPLES[dataset.receipt.source.removeprefix(SAMPLE_PREFIX)] if _is_sample(dataset) else None
    sections = (
        _head(dataset, profile, sample),
        _motivation(),
        _composition(dataset, profile),
        _collection(dataset, profile, sample),
        _preparation(dataset, profile),
        _uses(profile),
        _distribution(sample),
        _maintenance(dataset),
    )
    return "\n\n".join("\n\n".join(section) for section in sections) + "\n"


def _is_sample(dataset: Dataset) -> bool:
    source = dataset.receipt.source
    return source.startswith(SAMPLE_PREFIX) and source.removeprefix(SAMPLE_PREFIX) in SAMPLES


def _head(dataset: Dataset, profile: Profile, sample: Sample | None) -> Iterator[str]:
    noun = NOUNS[dataset.modality]
    yield f"# Data card: {_plain(dataset.name)}"
    if sample:
        yield f"{sample.title}: {sample.summary}"
    yield f"{count(profile.n, *noun)} in {count(len(profile.classes), 'class', 'classes')}."
    yield (
        "Headings and questions are those of *Datasheets for Datasets* (Gebru et al., 2021). What Graft could find out "
        "by itself is filled in; what only you can know is marked **To fill in**."
    )


def _motivation() -> Iterator[str]:
    yield "## Motivation"
    yield _ask("For what purpose was the data set made, by whom, and who paid for it?")


def _composition(dataset: Dataset, profile: Profile) -> Iterator[str]:
    one, many = NOUNS[dataset.modality]
    yield "## Composition"
    yield f"Each item is one {one}" + (
        ", which may have several labels, or none." if profile.multilabel else " of one class."
    )
    yield _class_table(profile)
    yield from (
        *profile_sentences.imbalance_words(profile.imbalance),
        *profile_sentences.multilabel_words(profile.multilabel, profile),
    )
    if profile.multilabel and profile.multilabel.pairs:
        pairs = profile.multilabel.pairs[:10]
        yield "Labels most often seen together:\n\n" + _table(
            ("label", "label", "items"), [(p.first, p.second, f"{p.count:,}") for p in pairs]
        )
    if profile.subgroups:
        yield f"Subgroups, after the column {_plain(dataset.subgroup_column)}:\n\n" + _table(
            ("subgroup", "train", "validation", "test", "all"),
            [(g.name or "(none said)", *_numbers(*g.counts)) for g in profile.subgroups[:_CLASSES]],
        )
    if profile.sizes:
        yield _table(("", "least", "5 %", "median", "95 %", "most"), [_spread(size) for size in profile.sizes])
    yield from _looks(profile)
    yield _findings(profile)
    yield _ask(
        f"Do the {many} show or name people, or anything confidential? Do some give offence? "
        "Are subgroups of people (age, gender, origin) recognisable, and how many are there of each?"
    )
    yield _ask("Is it all there is, or a selection; and if so, selected how?")


def _looks(profile: Profile) -> Iterator[str]:
    """Yield what pictures look like, or in which language texts are."""
    yield from profile_sentences.picture_words(profile.pictures)
    shown = profile.pictures
    if shown and shown.brightness and shown.contrast:
        yield f"Measured on {count(shown.measured, 'picture', 'pictures')}, in percent:\n\n" + _table(
            ("", "least", "5 %", "median", "95 %", "most"), [_spread(shown.brightness), _spread(shown.contrast)]
        )
    if profile.texts:
        told = profile_sentences.language_words(profile.texts.languages)
        yield f"Languages, as a program told them from {count(profile.texts.measured, 'text', 'texts')}: {told}."
        yield from filter(None, [profile_sentences.vocabulary_words(profile.texts.vocabulary)])


def _findings(profile: Profile) -> str:
    if not profile.findings:
        return "Graft found nothing wrong with it."
    lines = [f"- {_plain(f.message)} {_plain(f.hint)}".rstrip() for f in profile.findings]
    return "What Graft found:\n\n" + "\n".join(lines)


def _collection(dataset: Dataset, profile: Profile, sample: Sample | None) -> Iterator[str]:
    yield "## Collection process"
    yield f"It was read from {sample.source if sample else _plain(dataset.receipt.source)}."
    if profile.span:
        when = profile.span
        yield f"{when.dated:,} of {profile.n:,} items are dated, from {when.first} to {when.last}."
    yield _ask("How, where and when were the items collected, by whom? Did the people concerned agree?")


def _preparation(dataset: Dataset, profile: Profile) -> Iterator[str]:
    yield "## Preprocessing, cleaning, labelling"
    if not dataset.receipt.lines:
        yield f"All {dataset.receipt.taken:,} items were taken as they are."
    else:
        yield (
            f"{dataset.receipt.taken:,} items were taken; {profile.skipped:,} were left out, and "
            f"{profile.converted:,} were changed to be usable."
        )
        reasons = Counter((line.action, line.reason) for line in dataset.receipt_lines()).most_common(_REASONS)
        yield _table(("what", "why", "items"), [(action, why, f"{n:,}") for (action, why), n in reasons])
    yield _decided(dataset.decisions, dataset.unconfirmed)
    yield "\n\n".join(_split(dataset, profile))
    yield _ask("Who gave the labels, by which rule, and how was it checked?")


def _decided(decisions: Sequence[Decision], waiting: Sequence[Decision]) -> str:
    """Return what was decided by hand; what waits for a second word changed nothing yet, and is told apart."""
    rows: Counter[tuple[str, str]] = Counter()
    for decision in decisions:
        rows[_ACTIONS[decision.action], decision.code] += len(decision.rows)
    for decision in waiting:
        rows[_ACTIONS[decision.action], decision.code] -= len(decision.rows)
    table = [(action, code, f"{n:,}") for (action, code), n in rows.most_common() if n > 0]
    told = "No item was left out or given another label afterwards."
    if table:
        told = "Decided by hand afterwards:\n\n" + _table(("what", "because of", "items"), table)
    if open_ := sum(len(decision.rows) for decision in waiting):
        told += f"\n\nFor {count(open_, 'item', 'items')} of the test set a decision waits for a second word: "
        told += "it changed nothing yet."
    return told


def _split(dataset: Dataset, profile: Profile) -> Iterator[str]:
    parts = ", ".join(f"{n:,} {name}" for name, n in profile.splits.items())
    spec = dataset.split
    by = rule(dataset.items, spec)
    yield f"Split: {parts}."
    shares = f"{spec.validation:.0%} validation, {spec.test:.0%} test"
    alike = "identical and nearly identical items" if spec.keep_near else "identical items"
    if by == "given":
        yield "It is the split that came with the data; what it lacked was drawn from its training items."
    elif by == "time":
        yield f"The newest items are kept for the test, those before them for validation ({shares}); {alike} together."
    else:
        yield (
            f"It was drawn at random with the seed {spec.seed} ({shares}), each class shared out evenly, {alike} kept "
            "together."
        )


def _uses(profile: Profile) -> Iterator[str]:
    yield "## Uses"
    named = ", ".join(c.name for c in profile.classes[:12]) + (", ..." if len(profile.classes) > 12 else "")
    yield f"It was brought to Graft to train a classifier of: {_plain(named)}."
    yield _ask("What else has it been used for? What should it not be used for, and who could be harmed by that?")


def _distribution(sample: Sample | None) -> Iterator[str]:
    yield "## Distribution"
    if sample:
        yield f"Licence: {sample.licence}. Source: {sample.source}."
    else:
        yield _ask("Under which licence, and with which restrictions, may it be passed on?")


def _maintenance(dataset: Dataset) -> Iterator[str]:
    yield "## Maintenance"
    yield (
        f"Fingerprint of the content: `{dataset.fingerprint}`. Version, with split and decisions: `{dataset.version}`. "
        "Equal fingerprints are equal data, item for item."
    )
    yield _ask("Who keeps it, who is to be told of errors, and how are corrections made known?")


def _class_table(profile: Profile) -> str:
    largest = sorted(profile.classes, key=lambda c: -c.total)[:_CLASSES]
    rows = [(c.name, *_numbers(*c.counts)) for c in largest]
    more = len(profile.classes) - len(largest)
    return _table(("class", "train", "validation", "test", "all"), rows) + (
        f"\n\nand {more:,} smaller." if more else ""
    )


def _numbers(*parts: int) -> tuple[str, ...]:
    return tuple(f"{n:,}" for n in parts)


def _spread(size: Quantiles) -> tuple[str, ...]:
    return f"{size.name} ({size.unit})", *_numbers(*size.marks)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the last columns, of numbers, are set to the right."""
    rule = ["---:" if rows and all(_is_number(row[i]) for row in rows) else "---" for i in range(len(header))]
    lines = [header, rule, *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").lstrip("-").isdigit()


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line: names and reasons are not markup."""
    line = " ".join(text.split())
    for mark in "\\`*_[]<>|#":
        line = line.replace(mark, f"\\{mark}")
    return line


def _ask(question: str) -> str:
    return f"> **To fill in.** {question}"

"""The data card: what is known about a data set, and what only a person can fill in.

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
from tl_core.data.split import split_rule
from tl_core.markdown import escape

_CLASSES = 200  # rows of a table
_REASONS = 20
_ACTIONS = {
    "drop": "left out",
    "relabel": "given another label",
    "keep": "checked and kept as it is",
    "together": "kept together in one split",
}


def data_card(dataset: Dataset, profile: Profile) -> str:
    """Return the data card as Markdown. What only a person can know is put as a question to fill in."""
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
    yield f"# Data card: {escape(dataset.name)}"
    if sample:
        yield f"{sample.title}: {sample.summary}"
    yield f"{count(profile.n, *noun)} in {count(len(profile.classes), 'class', 'classes')}."
    yield (
        "Headings and questions are those of *Datasheets for Datasets* (Gebru et al., 2021). Graft has filled in what "
        "it could find out; what only you can know is marked **To fill in**."
    )


def _motivation() -> Iterator[str]:
    yield "## Motivation"
    yield _question("For what purpose was the data set made, by whom, and who paid for it?")


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
        yield "Labels that occur together most often:\n\n" + _table(
            ("label", "label", "items"), [(p.first, p.second, f"{p.count:,}") for p in pairs]
        )
    if profile.subgroups:
        yield f"Subgroups, from the column {escape(dataset.subgroup_column)}:\n\n" + _table(
            ("subgroup", "train", "validation", "test", "all"),
            [(g.name or "(none given)", *_numbers(*g.counts)) for g in profile.subgroups[:_CLASSES]],
        )
    if profile.sizes:
        yield _table(("", "least", "5%", "median", "95%", "most"), [_spread(size) for size in profile.sizes])
    yield from _content(profile)
    yield _findings(profile)
    yield _question(
        f"Do the {many} show or name people, or anything confidential? Are some offensive? "
        "Are subgroups of people (age, gender, origin) recognisable, and how many items has each?"
    )
    yield _question("Is it complete or a selection? If it is a selection, how was it selected?")


def _content(profile: Profile) -> Iterator[str]:
    """Yield the properties of pictures, or the languages and words of texts."""
    yield from profile_sentences.picture_words(profile.pictures)
    shown = profile.pictures
    if shown and shown.brightness and shown.contrast:
        yield f"Measured on {count(shown.measured, 'picture', 'pictures')}, in percent:\n\n" + _table(
            ("", "least", "5%", "median", "95%", "most"), [_spread(shown.brightness), _spread(shown.contrast)]
        )
    if profile.texts:
        languages = profile_sentences.language_words(profile.texts.languages)
        yield f"Languages, as identified by a program in {count(profile.texts.measured, 'text', 'texts')}: {languages}."
        yield from filter(None, [profile_sentences.vocabulary_words(profile.texts.vocabulary)])


def _findings(profile: Profile) -> str:
    if not profile.findings:
        return "Graft found no problems."
    lines = [f"- {escape(f.message)} {escape(f.hint)}".rstrip() for f in profile.findings]
    return "What Graft found:\n\n" + "\n".join(lines)


def _collection(dataset: Dataset, profile: Profile, sample: Sample | None) -> Iterator[str]:
    yield "## Collection process"
    yield f"It was imported from {sample.source if sample else escape(dataset.receipt.source)}."
    if dataset.origins:
        yield "What was read from where:\n\n" + "\n".join(f"- {escape(str(origin))}" for origin in dataset.origins)
    if profile.span:
        when = profile.span
        yield f"{when.dated:,} of {profile.n:,} items are dated, from {when.first} to {when.last}."
    yield _question("How, where and when were the items collected, by whom? Did the people concerned agree?")


def _preparation(dataset: Dataset, profile: Profile) -> Iterator[str]:
    yield "## Preprocessing, cleaning, labelling"
    if not dataset.receipt.lines:
        yield f"All {dataset.receipt.taken:,} items were imported unchanged."
    else:
        yield (
            f"{dataset.receipt.taken:,} items were imported; {profile.skipped:,} were skipped, and "
            f"{profile.converted:,} were converted to be usable."
        )
        reasons = Counter((line.action, line.reason) for line in dataset.receipt_lines()).most_common(_REASONS)
        yield _table(("what", "why", "items"), [(action, why, f"{n:,}") for (action, why), n in reasons])
    yield _decision_summary(dataset.decisions, dataset.unconfirmed)
    yield "\n\n".join(_split(dataset, profile))
    yield _question("Who gave the labels, by which rule, and how was it checked?")


def _decision_summary(decisions: Sequence[Decision], unconfirmed: Sequence[Decision]) -> str:
    """Return the decisions in effect, and how many about the test set still wait for confirmation."""
    rows: Counter[tuple[str, str]] = Counter()
    for decision in decisions:
        rows[_ACTIONS[decision.action], decision.code] += len(decision.rows)
    for decision in unconfirmed:
        rows[_ACTIONS[decision.action], decision.code] -= len(decision.rows)
    table = [(action, code, f"{n:,}") for (action, code), n in rows.most_common() if n > 0]
    summary = "No item was left out or given another label afterwards."
    if table:
        summary = "Decided by hand afterwards:\n\n" + _table(("what", "because of", "items"), table)
    if n_unconfirmed := sum(len(decision.rows) for decision in unconfirmed):
        summary += f"\n\nFor {count(n_unconfirmed, 'item', 'items')} of the test set a decision is not confirmed: "
        summary += "it has no effect yet."
    return summary


def _split(dataset: Dataset, profile: Profile) -> Iterator[str]:
    parts = ", ".join(f"{n:,} {name}" for name, n in profile.splits.items())
    spec = dataset.split
    by = split_rule(dataset.items, spec)
    yield f"Split: {parts}."
    shares = f"{spec.validation:.0%} validation, {spec.test:.0%} test"
    similar = "identical and nearly identical items" if spec.keep_near else "identical items"
    if by == "given":
        yield "It is the split that came with the data; a split that was missing was drawn from the training items."
    elif by == "time":
        yield (
            f"The newest items are the test set, those before them the validation set ({shares}); "
            f"{similar} stay together."
        )
    else:
        yield (
            f"It was drawn at random with the seed {spec.seed} ({shares}), stratified by class; "
            f"{similar} stay together."
        )


def _uses(profile: Profile) -> Iterator[str]:
    yield "## Uses"
    named = ", ".join(c.name for c in profile.classes[:12]) + (", ..." if len(profile.classes) > 12 else "")
    yield f"It was imported to train a classifier of: {escape(named)}."
    yield _question("What else has it been used for? What should it not be used for, and who could be harmed by that?")


def _distribution(sample: Sample | None) -> Iterator[str]:
    yield "## Distribution"
    if sample:
        yield f"Licence: {sample.licence}. Source: {sample.source}."
    else:
        yield _question("Under which licence, and with which restrictions, may it be passed on?")


def _maintenance(dataset: Dataset) -> Iterator[str]:
    yield "## Maintenance"
    yield (
        f"Fingerprint of the content: `{dataset.fingerprint}`. Version, with split and decisions: `{dataset.version}`. "
        "Equal fingerprints mean equal data, item by item."
    )
    yield _question("Who maintains it, who should be told about errors, and how are corrections announced?")


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
    """Return a Markdown table. Columns of numbers are aligned right."""
    rule = ["---:" if rows and all(_is_number(row[i]) for row in rows) else "---" for i in range(len(header))]
    lines = [header, rule, *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").lstrip("-").isdigit()


def _question(question: str) -> str:
    return f"> **To fill in.** {question}"

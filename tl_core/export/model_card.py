"""The model card: what the model is for, how it was made, how good it is known to be, and what is not known."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import yaml

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.split import rule
from tl_core.evaluation.report import IN_TRAIN, errors
from tl_core.evaluation.results import Prediction, Report
from tl_core.export import TrainedModel
from tl_core.plan import Phase
from tl_core.strategies import STRATEGIES
from tl_core.types import Estimate


def model_card(material: TrainedModel) -> str:
    """Return the card as Markdown with YAML front matter (https://huggingface.co/docs/hub/model-cards)."""
    report, spec = material.report, material.spec
    sections = (
        _title(spec, report),
        f"A classifier made by transfer learning: {spec.title} with a new head, trained by the strategy "
        f"{_strategy(report.plan.strategy)}. On {_tests(report)}, {_headline(report)} (95 % interval).",
        "\n".join(_use(spec, report)),
        "\n".join(_data(material)),
        "\n".join(_training(material)),
        "\n".join(_results(report)),
        "\n".join(_limits(report)),
        "\n".join(_origin(material)),
    )
    return _whole([spec], report, sections)


Member = tuple[str, BackboneSpec, Report]
"""One of several models that are averaged: the name of its folder, its backbone, its own report."""


def ensemble_card(report: Report, members: Sequence[Member]) -> str:
    """Return the card of models whose probabilities are averaged; `report` is that of all together."""
    specs = [spec for _, spec, _ in members]
    sections = (
        _title(specs[0], report),
        f"A classifier of {len(members)} networks that learned from the same data: each answers, and their "
        f"probabilities are averaged. On {_tests(report)}, {_headline(report)} "
        "(95 % interval).",
        "\n".join(_members(report, members)),
        "\n".join(_use(specs[0], report)),
        "\n".join(_results(report)),
        "\n".join(_limits(report)),
    )
    return _whole(specs, report, sections)


def _tests(report: Report) -> str:
    """Return how many test items there were, and that they played no part in making the model, where that is so."""
    leaked = next((finding for finding in report.findings if finding.code == IN_TRAIN), None)
    said = "some of which it learned from, which flatters it" if leaked else "that played no part in making it"
    return f"{_count(report.accuracy.n, 'test item')} {said}"


def _strategy(name: str) -> str:
    return f"“{STRATEGIES[name].title}” (`{name}`)" if name in STRATEGIES else f"`{name}`"


def _members(report: Report, members: Sequence[Member]) -> Iterator[str]:
    yield "## What is averaged\n\nEach folder is a whole model that also works alone; its own card says more."
    yield f"\n| folder | backbone | its {report.metric} alone |\n|---|---|---|"
    for name, spec, its in members:
        yield f"| `{name}` | {_cell(spec.title)} | {percent(its.score) if its.score else 'not known'} |"
    if report.score:
        yield f"| all together | | {percent(report.score)} |"
    yield "\nAnswers take as long as those of all the networks one after the other."


def _title(spec: BackboneSpec, report: Report) -> str:
    return f"# {report.dataset}: {_kinds(report)} from {'images' if spec.modality == 'image' else 'texts'}"


def _whole(specs: Sequence[BackboneSpec], report: Report, sections: Sequence[str]) -> str:
    """Return the sections behind what a hub reads of a card."""
    sources = list(dict.fromkeys(spec.source for spec in specs))
    front = {
        "license": ", ".join(dict.fromkeys(spec.licence.lower() for spec in specs)),
        "library_name": "pytorch",
        "pipeline_tag": "image-classification" if specs[0].modality == "image" else "text-classification",
        "base_model": sources if len(sources) > 1 else sources[0],
        "tags": ["transfer-learning", report.plan.strategy],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n" + "\n\n".join(sections) + "\n"


def percent(estimate: Estimate) -> str:
    """Return "87.5 % (81.2 to 92.0)"."""
    return f"{estimate.value * 100:.1f} % ({estimate.low * 100:.1f} to {estimate.high * 100:.1f})"


def _kinds(report: Report) -> str:
    return (
        _count(len(report.classes), "label") if report.multilabel else _count(len(report.classes), "class", "classes")
    )


def _headline(report: Report) -> str:
    """Return the figure that says most, in words."""
    if not report.multilabel:
        return f"its accuracy is **{percent(report.accuracy)}**"
    right = f"it is right about **{percent(report.accuracy)}** of the labels, said yes or no to"
    if report.auc is None:
        return right
    return f"it ranks an item with a label above one without it **{percent(report.auc)}** of the time (mean AUC)"


def _use(spec: BackboneSpec, report: Report) -> Iterator[str]:
    thing = "photo.jpg" if spec.modality == "image" else "texts.csv"
    call = 'model(["photo.jpg"])' if spec.modality == "image" else 'model(["a text", "another"])'
    yield "## How to use it\n\n```"
    yield f"pip install -r requirements.txt\npython predict.py {thing} --out predictions.csv\n```\n"
    yield "or in Python, with this folder on the path:\n\n```python\nfrom predict import Model\n"
    yield f"model = Model()\nprobabilities = {call}    # [N, C], in the order of model.classes\n```"
    if report.multilabel:
        yield "\nAn item may have several labels, or none: each label has a probability of its own, and counts as said"
        yield "above 0.5."
    yield "\nNo network is needed, and nothing but what `requirements.txt` lists."


def _data(material: TrainedModel) -> Iterator[str]:
    dataset = material.dataset
    splits = Counter(dataset.splits.tolist())
    parts = ", ".join(f"{splits[name]} {name}" for name in ("train", "validation", "test") if splits[name])
    alike = f"identical{' and nearly identical' * dataset.split.keep_near} items kept together"
    how = {
        "given": "as the source gives it",
        "time": f"the newest items for the test, {alike}",
        "random": f"stratified, drawn with seed {dataset.split.seed}, {alike}",
    }[rule(dataset.items, dataset.split)]
    items = _count(int(dataset.included.sum()), "item")
    yield f"## Data\n\n{dataset.name} (fingerprint `{dataset.fingerprint}`): {items},"
    what = "label" if dataset.multilabel else "class"
    yield f"{parts} ({how}).{_decided(dataset)}\n\n| {what} | items | test |\n|---|---|---|"
    counted = (count_labels(dataset, np.flatnonzero(dataset.included)), count_labels(dataset, dataset.rows("test")))
    for name, count, tested in zip(dataset.classes, *counted, strict=True):
        yield f"| {_cell(name)} | {count} | {tested} |"


def _decided(dataset: Dataset) -> str:
    if not dataset.decisions_digest:
        return ""
    changed = (dataset.targets != dataset.with_decisions("").targets).any(axis=1) & dataset.included
    gone, anew = _count(int((~dataset.included).sum()), "item"), _count(int(changed.sum()), "item")
    return f" A person looked at items before: {gone} of the source left out, {anew} labelled anew."


def _training(material: TrainedModel) -> Iterator[str]:
    plan = material.report.plan
    start = "pretrained weights" if plan.init == "pretrained" else "random weights"
    tap = f"cut after `{plan.head.tap}`" if plan.head.tap else "whole"
    pooled = "mean and standard deviation" if plan.head.pool == "mean_std" else "mean"
    yield f"## How it was trained\n\nBackbone {material.spec.title}, {tap}, from {start}; {plan.head.kind} head"
    yield f"on the {pooled} over positions, standardised. A layer group that a phase does not name was frozen in it.\n"
    yield "| phase | epochs | optimiser | trained groups and rates | fitted on |\n|---|---|---|---|---|"
    for phase in plan.phases:
        yield f"| {_cell(phase.name)} | {phase.epochs} | {phase.optimizer} | {_rates(phase)} | {phase.fit_on} |"
    if plan.why:
        yield "\nWhy this plan:\n"
        for reason in plan.why:
            yield f"- {reason.text} ({reason.source})"


def _results(report: Report) -> Iterator[str]:
    yield "## Results\n\nAll on the test items, which were looked at once. Intervals hold 95 %; they cover which items"
    yield "the test set happens to hold, not another training run.\n\n| | value |\n|---|---|"
    rows: list[tuple[str, Estimate | None]] = [("accuracy", report.accuracy), ("macro-F1", report.macro_f1)]
    area = "area under the ROC curve, one class against the rest"
    if report.multilabel:
        rows = [("right answers, each label yes or no", report.accuracy), ("items with all labels right", report.exact)]
        rows += [("macro-F1", report.macro_f1), ("micro-F1", report.micro_f1)]
        area = "area under the ROC curve, mean over the labels"
    for title, found in (*rows, (area, report.auc)):
        if found:
            yield f"| {title} | {percent(found)} |"
    if report.log_loss:
        loss = report.log_loss
        yield f"| log loss (nats) | {loss.value:.3f} ({loss.low:.3f} to {loss.high:.3f}) |"
    what, auc = ("label", " AUC |") if report.multilabel else ("class", "")
    yield f"\n| {what} | precision | recall | F1 |{auc} test items |\n|---|---|---|---|---|{'---|' if auc else ''}"
    for score in report.per_class:
        shown = (score.precision, score.recall, score.f1, *((score.auc,) if auc else ()))
        cells = [percent(e) if e and e.n else "not known" for e in shown]
        yield f"| {_cell(score.name)} | {' | '.join(cells)} | {score.recall.n} |"
    yield from _slices(report)
    if report.comparisons:
        yield "\nAgainst baselines, on the same test items:\n"
        its = report.comparisons[0].metric
        yield f"| baseline | its {its} | gain, in points | verdict | its budget |\n|---|---|---|---|---|"
        for other in report.comparisons:
            gain = f"{other.gain.value * 100:+.1f} ({other.gain.low * 100:+.1f} to {other.gain.high * 100:+.1f})"
            row = (_cell(other.title), percent(other.other), gain, other.verdict, _cell(other.budget))
            yield f"| {' | '.join(row)} |"


def _slices(report: Report) -> Iterator[str]:
    found = report.slices
    if found is None:
        return
    worst = f" The lowest is where {found.column} is {found.worst}." if found.worst else ""
    yield f"\nBy {_cell(found.column)}:{worst}\n"
    yield f"| {_cell(found.column)} | test items | {found.metric} | against the rest, in points |\n|---|---|---|---|"
    for one in found.slices:
        gap = "too few to say"
        if one.gap:
            gap = f"{one.gap.value * 100:+.1f} ({one.gap.low * 100:+.1f} to {one.gap.high * 100:+.1f})"
        yield f"| {_cell(one.name)} | {one.n} | {percent(one.score) if one.score else 'not known'} | {gap} |"
    if found.without:
        yield f"\n{_count(found.without, 'test item')} say nothing about {_cell(found.column)}."


def _limits(report: Report) -> Iterator[str]:
    yield "## Limits\n"
    for finding in report.findings:
        yield f"- {finding.message} {finding.hint}".rstrip()
    if wrong := errors(report):
        yield _surest(report, wrong[0])
    if report.multilabel:
        yield "- It knows no labels but these, and its one half is the same for all, however rare a label is."
    else:
        yield "- It answers one of its classes for anything it is given, also for what belongs to none of them."
    yield "- The numbers hold for data like the test items; for data from elsewhere, measure again."
    yield "- The probabilities were not calibrated beyond what training does."


def _surest(report: Report, wrong: Prediction) -> str:
    said, is_ = (_named(report, labels) for labels in (wrong.predicted_labels, wrong.labels))
    if report.multilabel:
        return f"- It can be confidently wrong: on `{wrong.item}` it answered {said}, where the labels are {is_}."
    sure = f"{wrong.confidence:.0%}"
    return f"- It can be confidently wrong: on `{wrong.item}` it answered {said} with {sure}, where the label is {is_}."


def _named(report: Report, labels: Sequence[int]) -> str:
    return ", ".join(repr(report.classes[label]) for label in labels) or "none"


def _origin(material: TrainedModel) -> Iterator[str]:
    spec, report = material.spec, material.report
    yield f"## Licence and origin\n\nThe backbone {spec.title} is licensed under {spec.licence} ({spec.source})."
    yield "The rights in the training data are those of its source.\n"
    yield f"Made with Graft, run `{report.run}`." if report.run else "Made with Graft."
    if report.environment:
        yield "Versions: " + ", ".join(f"{name} {version}" for name, version in report.environment.items()) + "."


def _rates(phase: Phase) -> str:
    return ", ".join(f"{group} {rate:g}" for group, rate in phase.lr.items())


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def count_labels(dataset: Dataset, rows: np.ndarray) -> list[int]:
    """Return how many of the rows are of each class; with several labels an item, one counts for each of its labels."""
    if dataset.multilabel:
        return [int(count) for count in dataset.targets[rows].sum(axis=0, dtype=np.int64)]
    return np.bincount(dataset.labels[rows], minlength=len(dataset.classes)).tolist()

"""The model card: what the model is for, how it was made, how good it is, and its limits."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import yaml

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.split import split_rule
from tl_core.evaluation.holdout import holdout_sentence
from tl_core.evaluation.report import IN_TRAIN, errors
from tl_core.evaluation.results import Prediction, Report
from tl_core.export import TrainedModel
from tl_core.markdown import code, escape
from tl_core.plan import Phase
from tl_core.strategies import STRATEGIES
from tl_core.types import Estimate, noun


def model_card(trained: TrainedModel) -> str:
    """Return the card as Markdown with YAML front matter (https://huggingface.co/docs/hub/model-cards)."""
    report, spec = trained.report, trained.spec
    sections = (
        _title(spec, report),
        f"A classifier made by transfer learning: {escape(spec.title)} with a new head, trained by the strategy "
        f"{_strategy(report.plan.strategy)}. On {_tests(report)}, {_headline(report)} (95% interval).",
        "\n".join(_use(spec, report)),
        "\n".join(_data(trained)),
        "\n".join(_training(trained)),
        "\n".join(_results(report)),
        "\n".join(_limits(report)),
        "\n".join(_origin(trained)),
    )
    return _whole([spec], report, sections)


Member = tuple[str, BackboneSpec, Report]
"""One model of an ensemble: the name of its folder, its backbone, its own report."""


def ensemble_card(report: Report, members: Sequence[Member]) -> str:
    """Return the card of an ensemble; `report` is the report of the ensemble as a whole."""
    specs = [spec for _, spec, _ in members]
    sections = (
        _title(specs[0], report),
        f"An ensemble of {len(members)} networks trained on the same data; their probabilities are averaged. "
        f"On {_tests(report)}, {_headline(report)} "
        "(95% interval).",
        "\n".join(_members(report, members)),
        "\n".join(_use(specs[0], report)),
        "\n".join(_results(report)),
        "\n".join(_limits(report)),
    )
    return _whole(specs, report, sections)


def _tests(report: Report) -> str:
    """Return the number of test items, and whether they are really new to the model."""
    leaked = any(finding.code == IN_TRAIN for finding in report.findings)
    note = "of which some are also in its training or validation data" if leaked else "that were not used to make it"
    return f"{_count(report.accuracy.n, 'test item')} {note}"


def _strategy(name: str) -> str:
    return f"“{STRATEGIES[name].title}” (`{name}`)" if name in STRATEGIES else f"`{name}`"


def _members(report: Report, members: Sequence[Member]) -> Iterator[str]:
    yield "## The models\n\nEach folder is a complete model that also works alone; its own card says more."
    yield f"\n| folder | backbone | {report.metric} alone |\n|---|---|---|"
    for name, spec, its in members:
        yield f"| {code(name)} | {escape(spec.title)} | {percent(its.score) if its.score else 'not known'} |"
    if report.score:
        yield f"| the ensemble | | {percent(report.score)} |"
    yield "\nA prediction takes as long as the predictions of all networks one after the other."


def _title(spec: BackboneSpec, report: Report) -> str:
    return f"# {escape(report.dataset)}: {_kinds(report)} from {noun(spec.modality)}"


def _whole(specs: Sequence[BackboneSpec], report: Report, sections: Sequence[str]) -> str:
    """Return the sections after the front matter, which a model hub reads."""
    specs = [one for spec in specs for one in spec.towers or (spec,)]
    kinds = {part for spec in specs for part in spec.parts}
    sources = list(dict.fromkeys(spec.source for spec in specs))
    front = {
        "license": ", ".join(dict.fromkeys(spec.licence.lower() for spec in specs)),
        "library_name": "pytorch",
        **({"pipeline_tag": f"{min(kinds)}-classification"} if len(kinds) == 1 else {}),
        "base_model": sources if len(sources) > 1 else sources[0],
        "tags": ["transfer-learning", report.plan.strategy],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n" + "\n\n".join(sections) + "\n"


def percent(estimate: Estimate) -> str:
    """Return "87.5% (81.2 to 92.0)"."""
    return f"{estimate.value * 100:.1f}% ({estimate.low * 100:.1f} to {estimate.high * 100:.1f})"


def _kinds(report: Report) -> str:
    return (
        _count(len(report.classes), "label") if report.multilabel else _count(len(report.classes), "class", "classes")
    )


def _headline(report: Report) -> str:
    """Return the headline metric in words."""
    if not report.multilabel:
        return f"its accuracy is **{percent(report.accuracy)}**"
    if report.auc is None:
        return f"its yes-or-no answers for the labels are right in **{percent(report.accuracy)}** of the cases"
    return f"it ranks an item with a label above one without it **{percent(report.auc)}** of the time (mean AUC)"


def _use(spec: BackboneSpec, report: Report) -> Iterator[str]:
    thing, items = {
        "image": ("photo.jpg", '"photo.jpg"'),
        "text": ("texts.csv", '"a text", "another"'),
        "multimodal": ("items.csv", '("photo.jpg", "its text")'),
    }[spec.modality]
    call = f"model([{items}])"
    yield "## How to use it\n\n```"
    yield f"pip install -r requirements.txt\npython predict.py {thing} --out predictions.csv\n```\n"
    yield "or in Python, with this folder on the path:\n\n```python\nfrom predict import Model\n"
    yield f"model = Model()\nprobabilities = {call}    # [N, C], in the order of model.classes\n```"
    if report.multilabel:
        yield "\nAn item may have several labels, or none: each label has its own probability, and is predicted"
        yield "if that is above 0.5."
    yield "\nIt needs only the packages in `requirements.txt`, and no internet."


def _data(trained: TrainedModel) -> Iterator[str]:
    dataset = trained.dataset
    splits = Counter(dataset.splits.tolist())
    parts = ", ".join(f"{splits[name]} {name}" for name in ("train", "validation", "test") if splits[name])
    copies = f"identical{' and nearly identical' * dataset.split.keep_near} items kept together"
    split_method = {
        "given": "split as the source gives it",
        "time": f"the newest items for the test, {copies}",
        "random": f"stratified, drawn with seed {dataset.split.seed}, {copies}",
    }[split_rule(dataset.items, dataset.split)]
    items = _count(int(dataset.included.sum()), "item")
    yield f"## Data\n\n{escape(dataset.name)} (fingerprint `{dataset.fingerprint}`): {items},"
    noun = "label" if dataset.multilabel else "class"
    yield f"{parts} ({split_method}).{_decisions(dataset)}\n\n| {noun} | items | test |\n|---|---|---|"
    counts = (count_labels(dataset, np.flatnonzero(dataset.included)), count_labels(dataset, dataset.rows("test")))
    for name, count, tested in zip(dataset.classes, *counts, strict=True):
        yield f"| {escape(name)} | {count} | {tested} |"
    if dataset.origins:
        yield "\nRead from the source: " + "; ".join(escape(str(origin)) for origin in dataset.origins) + "."


def _decisions(dataset: Dataset) -> str:
    if not dataset.decisions_digest:
        return ""
    changed = (dataset.targets != dataset.with_decisions("").targets).any(axis=1) & dataset.included
    dropped, relabelled = _count(int((~dataset.included).sum()), "item"), _count(int(changed.sum()), "item")
    return f" A person cleaned the data: {dropped} of the source left out, {relabelled} relabelled."


def _training(trained: TrainedModel) -> Iterator[str]:
    plan = trained.report.plan
    start = "pretrained weights" if plan.init == "pretrained" else "random weights"
    depth = f"cut after {code(plan.head.tap)}" if plan.head.tap else "whole"
    pooled = "mean and standard deviation" if plan.head.pool == "mean_std" else "mean"
    yield f"## How it was trained\n\nBackbone {escape(trained.spec.title)}, {depth}, from {start};"
    yield f"{plan.head.kind} head on the standardised {pooled} over positions. In each phase, layer groups that are"
    yield "not listed were frozen.\n"
    yield "| phase | epochs | optimiser | trained groups and learning rates | fitted on |\n|---|---|---|---|---|"
    for phase in plan.phases:
        yield f"| {escape(phase.name)} | {phase.epochs} | {phase.optimizer} | {_rates(phase)} | {phase.fit_on} |"
    if plan.why:
        yield "\nWhy this plan:\n"
        for reason in plan.why:
            yield f"- {escape(reason.text)} ({escape(reason.source, links=True)})"


def _results(report: Report) -> Iterator[str]:
    yield f"## Results\n\nAll measured on the test items. {holdout_sentence(report)}"
    yield "Intervals are 95% confidence intervals: they cover the choice of test items, not of the training run."
    yield "\n| | value |\n|---|---|"
    rows: list[tuple[str, Estimate | None]] = [("accuracy", report.accuracy), ("macro-F1", report.macro_f1)]
    area = "area under the ROC curve, one class against the rest"
    if report.multilabel:
        rows = [("right answers, each label yes or no", report.accuracy), ("items with all labels right", report.exact)]
        rows += [("macro-F1", report.macro_f1), ("micro-F1", report.micro_f1)]
        area = "area under the ROC curve, mean over the labels"
    for title, estimate in (*rows, (area, report.auc)):
        if estimate:
            yield f"| {title} | {percent(estimate)} |"
    if report.log_loss:
        loss = report.log_loss
        yield f"| log loss (nats) | {loss.value:.3f} ({loss.low:.3f} to {loss.high:.3f}) |"
    noun, auc = ("label", " AUC |") if report.multilabel else ("class", "")
    yield f"\n| {noun} | precision | recall | F1 |{auc} test items |\n|---|---|---|---|---|{'---|' if auc else ''}"
    for score in report.per_class:
        estimates = (score.precision, score.recall, score.f1, *((score.auc,) if auc else ()))
        cells = [percent(e) if e and e.n else "not known" for e in estimates]
        yield f"| {escape(score.name)} | {' | '.join(cells)} | {score.recall.n} |"
    yield from _slices(report)
    if report.comparisons:
        yield "\nAgainst baselines, on the same test items:\n"
        metric = report.comparisons[0].metric
        yield f"| baseline | its {metric} | gain, in points | verdict | its budget |\n|---|---|---|---|---|"
        for other in report.comparisons:
            gain = f"{other.gain.value * 100:+.1f} ({other.gain.low * 100:+.1f} to {other.gain.high * 100:+.1f})"
            row = (escape(other.title), percent(other.other), gain, other.verdict, escape(other.budget))
            yield f"| {' | '.join(row)} |"


def _slices(report: Report) -> Iterator[str]:
    slices = report.slices
    if slices is None:
        return
    worst = f" The lowest is where {escape(slices.column)} is {escape(slices.worst)}." if slices.worst else ""
    yield f"\nBy {escape(slices.column)}:{worst}\n"
    yield f"| {escape(slices.column)} | test items | {slices.metric} | against the rest, in points |\n|---|---|---|---|"
    for subgroup in slices.slices:
        gap, score = "too few to say", percent(subgroup.score) if subgroup.score else "not known"
        if subgroup.gap:
            low, high = subgroup.gap.low * 100, subgroup.gap.high * 100
            gap = f"{subgroup.gap.value * 100:+.1f} ({low:+.1f} to {high:+.1f})"
        yield f"| {escape(subgroup.name)} | {subgroup.n} | {score} | {gap} |"
    if slices.without:
        yield f"\nWithout a value for {escape(slices.column)}: {_count(slices.without, 'test item')}."


def _limits(report: Report) -> Iterator[str]:
    yield "## Limits\n"
    for finding in report.findings:
        yield f"- {escape(finding.message)} {escape(finding.hint, links=True)}".rstrip()
    if wrong := errors(report):
        yield _most_confident_error(report, wrong[0])
    if report.multilabel:
        yield "- It knows only these labels. The threshold of 0.5 is the same for all of them, however rare a label is."
    else:
        yield "- It predicts one of its classes for any input, even for one that belongs to none of them."
    yield "- The numbers are valid for data like the test items; for other data, measure again."
    yield "- The probabilities were not calibrated after training."


def _most_confident_error(report: Report, wrong: Prediction) -> str:
    predicted, true = (_names(report, labels) for labels in (wrong.predicted_labels, wrong.labels))
    sure = "" if report.multilabel else f" with {wrong.confidence:.0%}"
    truth = f"labels are {true}" if report.multilabel else f"label is {true}"
    return f"- It can be confidently wrong: on {code(wrong.item)} it predicted {predicted}{sure}, where the {truth}."


def _names(report: Report, labels: Sequence[int]) -> str:
    return ", ".join(f"“{escape(report.classes[label])}”" for label in labels) or "none"


def _origin(trained: TrainedModel) -> Iterator[str]:
    spec, report = trained.spec, trained.report
    yield f"## Licence and origin\n\nThe backbone {escape(spec.title)} is licensed under {escape(spec.licence)}"
    yield f"({spec.source})."
    yield "The rights in the training data remain with its source.\n"
    yield f"Made with Graft, run `{report.run}`." if report.run else "Made with Graft."
    if report.environment:
        yield "Versions: " + ", ".join(f"{name} {version}" for name, version in report.environment.items()) + "."


def _rates(phase: Phase) -> str:
    return ", ".join(f"{group} {rate:g}" for group, rate in phase.lr.items())


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def count_labels(dataset: Dataset, rows: np.ndarray) -> list[int]:
    """Return the number of rows of each class; a multilabel item counts once for each of its labels."""
    if dataset.multilabel:
        return [int(count) for count in dataset.targets[rows].sum(axis=0, dtype=np.int64)]
    return np.bincount(dataset.labels[rows], minlength=len(dataset.classes)).tolist()

"""The advice: what the published tables recommend, what the probe measured, and what the time allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tl_core.advice.advice import NOT_MEASURED, SOURCES, Advice, Card, Domain, SizeRow
from tl_core.advice.cost import estimate_for, trainable_parameters
from tl_core.advice.probe_report import DEFAULT_L2, ProbeReport
from tl_core.advice.tables import (
    CS231N,
    FUNDAMENTALS,
    LARGE_TOTAL,
    PRACTICAL,
    PRODUCTION,
    SCRATCH,
    SHIFT_MEASURED,
    SIMILAR_BELOW,
    TEXTS,
    VERY_DIFFERENT_FROM,
    domain_row,
    per_class_row,
    trains_upper,
)
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.profile import Profile
from tl_core.layers import plain_titles
from tl_core.plan import Reason, TransferPlan
from tl_core.strategies import STRATEGIES, TaskInfo
from tl_core.types import Estimate, Finding, Modality, Similarity

if TYPE_CHECKING:
    from tl_core.backbones.speed import Speed

TIME_BUDGET = 600.0
"""Seconds that fine-tuning may take to be recommended."""
HEADROOM = 0.05
"""Errors of a head below which fine-tuning has too little to gain to be recommended."""
MIN_VALIDATION = 100
"""Validation items below which fine-tuning cannot be judged well enough to be recommended."""
FEW_TEXTS = (8, 250)
"""Contrastive tuning is recommended from this many to below this many labelled texts a class; tried at 10 to 200."""
CONTRASTIVE_TRIED = Reason(
    "Few labels teach more as pairs. Accuracy measured with MiniLM, three draws of the labels each: questions in 6 "
    "classes, 16 a class: 85%, a head alone 69%; film snippets, 50 a class: 75%, a head alone 68 %. One draw each: "
    "60 uneven questions: 75%, a head alone 42%; 400 film snippets: 76%, a head alone 72 %.",
    "Measured by this project, docs/LOG.md, 2026-11-21; SetFit, arXiv:2209.11055",
)
HEAD_ONLY = ("feature_extraction", "lower_layers")
"""The strategies that train a head over frozen features."""
MEASURED_HERE = "Measured on this data by cross-validation"
ORDER = (
    *("feature_extraction", "lower_layers", "contrastive", "lp_ft", "partial", "discriminative", "gradual", "full"),
    *("wise_ft", "lora", "domain_adaptive", "from_scratch"),
)  # fmt: skip
"""The order in which the cards of the strategies are shown."""


def advise(
    profile: Profile,
    spec: BackboneSpec,
    probe: ProbeReport | None = None,
    speed: "Speed | None" = None,
    similarity: Literal["similar", "different"] | None = None,
    time_budget: float = TIME_BUDGET,
) -> Advice:
    """Return the recommended strategy for this data and backbone, why, and every other one with its plan and cost.

    The published tables make the rule. Where the rule is a head over frozen features, the probe chooses its depth.
    Where it is fine-tuning, that is recommended only if it can still gain, can be judged, and fits `time_budget`
    seconds. `similarity` is what the person says about the domain, and overrules the measurement.
    """
    domain = domain_of(spec, probe, similarity)
    task_info = task_info_for(profile, spec, probe, speed, similarity)
    maker = _CardMaker(spec, speed, profile, probe, task_info)
    row = rule_for(task_info, domain)
    if spec.modality == "text" and trains_upper(row) and _fits_time(maker.card("full", {}), time_budget):
        row = TEXTS
    cards = {
        name: maker.card(name, row.options if name == row.strategy else {}) for name in _strategy_names(spec.modality)
    }
    strategy, verdict = _recommend(row, task_info, cards, probe, time_budget)
    if (
        spec.modality == "text"
        and not task_info.multilabel
        and strategy in HEAD_ONLY
        and _contrastive_pays(task_info, cards["contrastive"], probe, time_budget)
    ):
        message = f"The rule says {_title(row.strategy)}; for so few texts {_title('contrastive')} is recommended."
        strategy, verdict = "contrastive", [Finding("info", "few-texts", message, CONTRASTIVE_TRIED.text)]
    chosen = cards[strategy]
    reasons = _reasons(row, domain, task_info, chosen, probe)
    findings = (*_disagreements(row, task_info, domain, profile.modality), *verdict, *(probe.findings if probe else ()))
    plan = replace(chosen.plan, why=(*reasons, *chosen.plan.why))
    chosen = replace(chosen, plan=plan)
    others = tuple(card for name, card in cards.items() if name != strategy)
    return Advice(
        spec.name, strategy, chosen.options, plan, row.strategy, row, domain, reasons, findings, (chosen, *others)
    )


def task_info_for(
    profile: Profile,
    spec: BackboneSpec,
    probe: ProbeReport | None = None,
    speed: "Speed | None" = None,
    similarity: str | None = None,
) -> TaskInfo:
    """Return what the strategies need to know; `tap` is the lower depth with the best features, if the probe has run.

    The measured speed tells which kind of processor trains; `similarity` is what the person says about the domain.
    """
    splits = profile.splits
    lower = [score for score in (probe.depth if probe else ()) if score.tap != spec.groups[-1].name]
    best = max(lower, key=lambda score: (score.tap == (probe.tap if probe else ""), score.accuracy.value), default=None)
    return TaskInfo(
        backbone=spec.name,
        modality=spec.modality,
        groups=tuple(group.name for group in spec.groups),
        n_train=splits["train"],
        n_classes=max(1, len(profile.classes)),
        per_class_min=profile.per_class_min,
        tap=best.tap if best else None,
        pool=best.pool if best else "mean",
        l2=best.l2 if best else (probe.last_l2 if probe else DEFAULT_L2),
        last_l2=probe.last_l2 if probe else DEFAULT_L2,
        n_validation=splits["validation"],
        similarity=domain_of(spec, probe, similarity).similarity,
        last_is_best=probe.tap is None if probe and probe.accuracy and probe.depth else None,
        device="cuda" if speed and speed.device.startswith("cuda") else "cpu",
        parameters=spec.parameters,
        multilabel=profile.multilabel is not None,
        labels=sum(c.train + c.validation for c in profile.classes),
    )


def domain_of(spec: BackboneSpec, probe: ProbeReport | None, similarity: str | None = None) -> Domain:
    """Return how similar the data is: as the person says, else by the shift, else by the depth that does best."""
    if similarity in ("similar", "different"):
        level: Similarity = "similar" if similarity == "similar" else "different"
        return Domain(level, Reason(f"You said it is {similarity}.", "your choice"))
    if probe is None:
        text = "How similar your data are to what the backbone has seen is not measured yet. They are taken as similar."
        return Domain("not measured", Reason(text, NOT_MEASURED))
    if (shift := probe.mean_shift) is not None:
        level = "similar" if shift < SIMILAR_BELOW else "different" if shift < VERY_DIFFERENT_FROM else "very different"
        text = (
            f"Inside the backbone your items are {shift:.2f} away from what it learned from, so they count as {level} "
            f"(below {SIMILAR_BELOW} is similar)."
            if level != "similar"
            else f"Inside the backbone your items are only {shift:.2f} away from what it learned from, so they count "
            f"as similar (below {SIMILAR_BELOW})."
        )
        return Domain(level, Reason(text, SHIFT_MEASURED), shift)
    if not probe.depth or probe.accuracy is None:
        text = "There are too few items to measure how similar your data is. It is taken as similar."
        return Domain("not measured", Reason(text, NOT_MEASURED))
    if probe.tap in (None, spec.groups[-1].name):
        text = "The features of the last layer do best on your data: the domain is similar."
        return Domain("similar", Reason(text, MEASURED_HERE))
    depth = _depth_title(probe.tap, [group.name for group in spec.groups])
    text = f"The features after {depth} do better on your data than those of the last layer: the domain is different."
    return Domain("different", Reason(text, MEASURED_HERE))


def rule_for(task_info: TaskInfo, domain: Domain) -> SizeRow:
    """Return the table row that decides, by items a class; for a different domain, by total items and domain.

    Only the production guide takes the domain into account; its rows for a different domain come before the rows by
    items a class. A very different domain with more than 10,000 items a class means training from scratch.
    """
    row = per_class_row(task_info.per_class)
    if domain.similarity == "very different" and row.strategy == "full":
        return SCRATCH
    if domain.similarity in ("different", "very different"):
        return domain_row(task_info.total, different=True) or row
    return row


def _strategy_names(modality: Modality) -> tuple[str, ...]:
    """Return the names of all strategies for such items: those of ORDER first, then any others that are registered."""
    names = (*ORDER, *(name for name in STRATEGIES if name not in ORDER))
    return tuple(name for name in names if modality in STRATEGIES[name].modalities)


def _recommend(
    row: SizeRow, task_info: TaskInfo, cards: Mapping[str, Card], probe: ProbeReport | None, budget: float
) -> tuple[str, list[Finding]]:
    """Return the strategy, and findings where measurement or time overrules the rule."""
    if probe is None or probe.accuracy is None:
        return row.strategy, []
    head = "feature_extraction" if probe.tap is None else "lower_layers"
    if row.strategy in HEAD_ONLY:
        if head == row.strategy:
            return head, []
        depth = _depth_title(probe.tap, task_info.groups)
        message = f"The rule says {_title(row.strategy)}; on your data a head on {depth} did as well or better."
        return head, [Finding("info", "evidence-depth", message, "The recommendation follows the measurement.")]
    objection = _objection(row, task_info, cards[row.strategy], probe, budget)
    if not objection:
        return row.strategy, []
    message = f"The rule says {_title(row.strategy)}, the recommendation is {_title(head)}: {objection}"
    hint = f"You can still choose {_title(row.strategy)} below."
    return head, [Finding("info", "evidence-over-rule", message, hint)]


def _contrastive_pays(task_info: TaskInfo, card: Card, probe: ProbeReport | None, budget: float) -> bool:
    """Return whether there are as few texts a class as was tried, a gain is possible, and the time allows it."""
    few = FEW_TEXTS[0] <= task_info.per_class < FEW_TEXTS[1] and task_info.per_class_min >= 2
    can_gain = probe is not None and probe.accuracy is not None and probe.accuracy.value < 1 - HEADROOM
    return few and can_gain and _fits_time(card, budget)


def _fits_time(card: Card, budget: float) -> bool:
    return card.seconds is not None and card.seconds.value <= budget


def _objection(row: SizeRow, task_info: TaskInfo, card: Card, probe: ProbeReport, budget: float) -> str:
    """Return what speaks against the fine-tuning of the rule, or nothing; the probe must have an accuracy."""
    accuracy, metric = probe.accuracy, probe.metric
    assert accuracy is not None
    if accuracy.value >= 1 - HEADROOM:
        already = "is already right about" if metric == "accuracy" else "already ranks right about"
        return f"a head alone {already} {accuracy.value:.1%} of the time, which leaves little to gain."
    if task_info.n_validation < MIN_VALIDATION:
        return f"{task_info.n_validation} validation items are too few to tell whether fine-tuning helps."
    if card.seconds is None:
        return f"how long fine-tuning takes here is {NOT_MEASURED}."
    if card.seconds.value > budget:
        return (
            f"fine-tuning would take about {card.seconds.value / 60:.0f} minutes on this machine, a head alone seconds "
            f"at an expected {metric} of {accuracy.value:.1%}."
        )
    if row.strategy == "from_scratch":
        return "what training from scratch would reach is unknown; what the frozen features reach is measured."
    return ""


def _reasons(
    row: SizeRow, domain: Domain, task_info: TaskInfo, card: Card, probe: ProbeReport | None
) -> tuple[Reason, ...]:
    counts = f"{task_info.total} items without the test items, {task_info.n_classes} classes"
    text = f"{row.text} Here: {counts}, some {task_info.per_class:.0f} each."
    reasons = [Reason(text, row.source), domain.reason]
    if card.strategy in HEAD_ONLY and card.accuracy and probe:
        does, guess = expectation(probe)
        text = (
            f"A head on {_depth_title(probe.tap, task_info.groups)} is expected to {does} {card.accuracy.value:.1%} "
            f"of the time ({card.accuracy.low:.1%} to {card.accuracy.high:.1%}); {guess}, {probe.majority:.1%}."
        )
        reasons.append(Reason(text, card.accuracy.method))
    if card.strategy == "contrastive":
        reasons.append(CONTRASTIVE_TRIED)
    if card.strategy not in HEAD_ONLY and card.seconds:
        minutes = max(1, round(card.seconds.value / 60))
        length = f"{minutes} minute{'s' if minutes > 1 else ''}"
        text = f"Fine-tuning fits the time: about {length} if no phase stops early."
        reasons.append(Reason(text, card.seconds.method))
    return tuple(reasons)


def expectation(probe: ProbeReport) -> tuple[str, str]:
    """Return in words what the probe's accuracy counts, and the guess that `majority` is the accuracy of."""
    if probe.metric == "accuracy":
        return "be right", "always naming the largest class"
    return "rank an item with a label above one without it", "guessing"


def _depth_title(tap: str | None, groups: Sequence[str]) -> str:
    """Return the depth of a head in words for a person."""
    return plain_titles(groups).get(tap, tap) if tap else "the last layer"


def _disagreements(row: SizeRow, task_info: TaskInfo, domain: Domain, modality: Modality) -> Iterator[Finding]:
    """Yield where the published sources disagree on this case, and which one is followed."""
    by_class = per_class_row(task_info.per_class)
    by_total = domain_row(task_info.total, domain.similarity in ("different", "very different"))
    if by_total and by_total.strategy != by_class.strategy:
        table = "domain" if row is by_total else "number of items a class"
        why = "only that table knows the domain" if row is by_total else "a class is learned from its own items"
        message = (
            f"The sources disagree. By items a class: {_title(by_class.strategy)}. By total and domain: "
            f"{_title(by_total.strategy)}. The rule follows the {table}, because {why}."
        )
        yield _disagree("total-or-class", message, f"{by_class.source}; {by_total.source}; {CS231N}")
    if row.strategy == "partial":
        message = (
            "Another source freezes the lower 30 to 50% and trains the rest. The rule keeps to the last two blocks: "
            "there are fewer weights to learn from few items, and the frozen part runs only once."
        )
        yield _disagree("freeze-share", message, FUNDAMENTALS)
    if modality == "text" and (row is TEXTS or trains_upper(row)):
        known = "which is so here" if row is TEXTS else "which is not known here"
        message = "For texts, one source trains the upper layers, another all layers. "
        message += f"The rule trains all layers where that is known to fit the time, {known}."
        yield _disagree("text-all-layers", message, f"{by_class.source}; {FUNDAMENTALS}")
    if row.strategy == "discriminative":
        message = (
            "From one layer to the layer below, one source lets the rate fall to 0.3 to 0.5 of it, the paper to 1/2.6 "
            "(0.38). 0.4 agrees with both."
        )
        yield _disagree("rate-decay", message, f"{PRODUCTION}; Howard & Ruder 2018, arXiv:1801.06146")
    if row.strategy == "feature_extraction" and task_info.total > LARGE_TOTAL // 10:
        message = (
            "Another source fine-tunes from thousands of items on. The rule goes by items a class, which are few here."
        )
        yield _disagree("thousands", message, PRACTICAL)


def _disagree(code: str, message: str, source: str) -> Finding:
    return Finding("info", f"{SOURCES}{code}", message, f"Sources: {source}.")


def _title(strategy: str) -> str:
    return f"“{STRATEGIES[strategy].title}”"


@dataclass(frozen=True)
class _CardMaker:
    """Makes the card of a strategy."""

    spec: BackboneSpec
    speed: "Speed | None"
    profile: Profile
    probe: ProbeReport | None
    task_info: TaskInfo

    def card(self, name: str, options: Mapping[str, Any]) -> Card:
        """Return the card of a strategy: its plan and what the plan costs."""
        strategy = STRATEGIES[name]
        plan: TransferPlan = strategy.make(self.task_info, options)
        seconds = memory = None
        if self.speed:
            seconds, memory = estimate_for(plan, self.spec, self.speed, self.profile)
        return Card(
            strategy=name,
            options=vars(strategy.defaults(self.task_info)) | dict(options),
            plan=plan,
            trainable=trainable_parameters(plan, self.spec, max(1, len(self.profile.classes))),
            seconds=seconds,
            memory=memory,
            accuracy=self._accuracy(plan) if name in HEAD_ONLY else None,
            note="" if seconds else f"Time and memory: {NOT_MEASURED}.",
        )

    def _accuracy(self, plan: TransferPlan) -> Estimate | None:
        """Return the measured accuracy of a head at the plan's depth; at the chosen depth it allows for the choice."""
        if self.probe is None:
            return None
        last = self.spec.groups[-1].name
        tap = plan.head.tap or last
        if tap == (self.probe.tap or last):
            return self.probe.accuracy
        return next((score.accuracy for score in self.probe.depth if score.tap == tap), None)

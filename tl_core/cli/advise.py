"""`advise`: print the recommended backbone and plan, with reasons."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from tl_core.cli.columns import column_options
from tl_core.cli.console import Console, duration
from tl_core.cli.data import choose_backbone, describe, open_data, origins_json, print_origins, usable_profile
from tl_core.cli.running import run_to_end
from tl_core.errors import UsageError
from tl_core.runs.task import Task
from tl_core.types import dump, metric
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.advice.advice import Advice
    from tl_core.advice.probe_report import ProbeReport
    from tl_core.backbones.spec import BackboneSpec
    from tl_core.data.dataset import Dataset


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Import a data set, probe it with the backbone, and print the advice."""
    workspace = Workspace.default()
    dataset = open_data(arguments.data, workspace, console, column_options(arguments), arguments.test)
    spec = choose_backbone(arguments.backbone, dataset)
    advice = advise_on(dataset, spec, workspace, console)
    if arguments.json:
        console.json({**dump(advice), **origins_json(dataset)})
    else:
        _print(dataset, advice, console)
    return 0


def advise_on(dataset: "Dataset", spec: "BackboneSpec", workspace: Workspace, console: Console) -> "Advice":
    """Return the advice on a data set and a backbone, with all evidence. Raises DataError as `ensure_probe` does."""
    from tl_core.advice.rules import advise
    from tl_core.backbones.speed import read_speed
    from tl_core.zero_shot.measured import zero_shot_accuracy

    probe = ensure_probe(dataset, spec, workspace, console)
    advice = advise(describe(dataset, spec), spec, probe=probe, speed=read_speed(workspace, spec.name))
    return replace(advice, zero_shot=zero_shot_accuracy(dataset, spec, workspace))


def ensure_probe(dataset: "Dataset", spec: "BackboneSpec", workspace: Workspace, console: Console) -> "ProbeReport":
    """Return the probe report, and make sure the machine's speed is measured; reuse what the workspace has.

    Raises DataError if the data set cannot be trained on, UsageError if the backbone has no weights.
    """
    from tl_core.advice.probe_report import read_probe
    from tl_core.backbones.speed import read_speed

    usable_profile(dataset, spec)
    if not spec.pretrained:
        raise UsageError(
            f"There are no weights of {spec.name} on this machine.",
            "Train it from random weights (train --strategy from_scratch), or fetch weights for it.",
        )
    if read_speed(workspace, spec.name) is None:
        run_to_end(workspace, Task("speed", spec.name, name=f"Speed of {spec.title}"), console)
    report = read_probe(workspace, dataset, spec.name)
    if report is None:
        task = Task(
            "probe",
            spec.name,
            dataset.fingerprint,
            dataset.split,
            name=f"Probe of {dataset.name}",
            decisions=dataset.pin_decisions(),
        )
        run_to_end(workspace, task, console)
        report = read_probe(workspace, dataset, spec.name)
    assert report is not None, "a probe that ended well has written its report"
    return report


def _print(dataset: "Dataset", advice: "Advice", console: Console) -> None:
    print_origins(dataset, console)
    console.line(f"Backbone: {advice.backbone}")
    console.line(f"Strategy: {advice.strategy}")
    card = advice.card(advice.strategy)
    if card.accuracy:
        low, high = card.accuracy.low, card.accuracy.high
        console.line(f"Expected {metric(dataset.multilabel)}: {card.accuracy.value:.1%} ({low:.1%} to {high:.1%})")
    if none := advice.zero_shot:
        console.line(
            f"No training (zero-shot, by the class names): {none.value:.1%} ({none.low:.1%} to {none.high:.1%})"
        )
    if card.seconds:
        console.line(f"Expected time: {duration(card.seconds.value)}")
    console.line("\nWhy:")
    for reason in advice.reasons:
        console.line(f"  - {reason.text} [{reason.source}]")
    for finding in advice.findings:
        console.line(f"\n{finding.level}: {finding.message} {finding.hint}".rstrip())
    console.line("\nPlan:")
    phases = [
        (p.name, str(p.epochs), ", ".join(f"{group} {rate:g}" for group, rate in p.lr.items()))
        for p in advice.plan.phases
    ]
    console.table(("phase", "epochs at most", "learning rates (every other group is frozen)"), phases)

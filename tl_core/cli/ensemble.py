"""`ensemble`: make one model of several that were trained on the same data, by averaging their probabilities."""

import argparse

from tl_core.cli.console import Console
from tl_core.cli.evaluate import ONE, SEVERAL, numbers
from tl_core.types import dump


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Write the ensemble of some bundles, and print its metrics."""
    from tl_core.export.ensemble import write_ensemble

    report = write_ensemble(arguments.out, arguments.bundles)
    shown = SEVERAL[:5] if report.multilabel else ONE[:2]
    estimates = {name: getattr(report, name) for name, _ in shown}
    if arguments.json:
        console.json(
            {
                "out": str(arguments.out),
                **{name: dump(estimate) if estimate else None for name, estimate in estimates.items()},
            }
        )
        return 0
    console.line(f"{len(arguments.bundles)} models averaged, measured on {report.accuracy.n} test items:")
    console.table(
        ("", "value", "low", "high"), [(title, *numbers(estimates[name])) for name, title in shown if estimates[name]]
    )
    console.line(f"The model is in {arguments.out}")
    return 0

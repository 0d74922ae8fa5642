"""`rank`: measure what every ready backbone does on a data set, and say which to take."""

import argparse
from typing import TYPE_CHECKING

from tl_core.backbones.catalogue import ready_for
from tl_core.cli.columns import column_options
from tl_core.cli.console import Console
from tl_core.cli.data import choose_backbone, open_data, usable_profile
from tl_core.cli.running import run_to_end
from tl_core.errors import RunError, UsageError
from tl_core.runs.task import Task
from tl_core.types import dump, noun
from tl_core.workspace import Workspace

if TYPE_CHECKING:
    from tl_core.advice.ranking import Ranking


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the ranking of backbones on a data set; one that was measured before is reused."""
    from tl_core.advice.ranking import read_ranking

    workspace = Workspace.default()
    dataset = open_data(arguments.data, workspace, console, column_options(arguments), arguments.test)
    usable_profile(dataset)
    named = tuple(choose_backbone(name, dataset).name for name in arguments.backbone)
    wanted = named or tuple(spec.name for spec in ready_for(dataset.modality, workspace))
    if not wanted:
        raise UsageError(
            f"No backbone for {noun(dataset.modality)} is ready as it is.", "Name those to compare with --backbone."
        )
    ranking = read_ranking(workspace, dataset, named)
    if ranking is None or ranking.compared != set(wanted):
        task = Task(
            "rank",
            "",
            dataset.fingerprint,
            dataset.split,
            name=f"Comparison of backbones on {dataset.name}",
            decisions=dataset.pin_decisions(),
            backbones=named,
        )
        run_to_end(workspace, task, console)
        ranking = read_ranking(workspace, dataset, named)
    if ranking is None:
        raise RunError("The ranking was not written.", "Run the command again.")
    if arguments.json:
        console.json(dump(ranking))
    else:
        _print(ranking, console)
    return 0


def _print(ranking: "Ranking", console: Console) -> None:
    from tl_core.advice.ranking import advice

    header = (
        *("backbone", f"{ranking.metric} (95% interval)", "behind the best", "last layer", f"{ranking.k} neighbours"),
        *("LogME", f"s for 1,000 {noun(ranking.modality)}", "MB"),
    )
    rows = []
    for row in ranking.rows:
        behind = row.behind
        rows.append(
            (
                row.backbone,
                f"{row.accuracy.value:.1%} ({row.accuracy.low:.1%} to {row.accuracy.high:.1%})",
                f"{100 * behind.value:+.1f} ({100 * behind.low:+.1f} to {100 * behind.high:+.1f})" if behind else "",
                f"{row.last.value:.1%}",
                f"{row.neighbours.value:.1%}",
                f"{row.logme:.3f}",
                f"{row.seconds:.1f}",
                f"{row.megabytes:,.0f}",
            )
        )
    console.table(header, rows)
    n = ranking.best.accuracy.n
    console.line(f"\nMeasured on {n:,} held-out training and validation items; test items take no part.")
    console.line(advice(ranking))
    for sentence in ranking.failed:
        console.line(f"Left out: {sentence}")

"""How often, and by what, the test items behind a report were used, in one sentence."""

from collections.abc import Sequence

from tl_core.data.holdout_log import HoldoutUse
from tl_core.evaluation.results import Report

REPORT, EVALUATE = "report", "evaluate"
"""Reasons for a use of the test items: a run's report, and `evaluate` of its model on them again."""
JOINED = "+"
"""Between the runs of an ensemble's members, where a use names them."""
SHOWN = 5


def merged_uses(reports: Sequence[Report]) -> tuple[HoldoutUse, ...]:
    """Return the uses that several reports on the same test items know of, each once, the oldest first."""
    uses = {(use.test, use.run, use.why): use for report in reports for use in report.holdout_uses}
    return tuple(sorted(uses.values(), key=lambda use: use.when))


def holdout_sentence(report: Report) -> str:
    """Return how often the test items had been used when the report was written, and by what."""
    uses = report.holdout_uses
    if not uses:
        return "How often the test items had been used was not recorded."
    times = {1: "once", 2: "twice"}.get(len(uses), f"{len(uses):,} times")
    described = [_describe(use, report.run) for use in uses]
    shown = described[:SHOWN] + ([f"{len(described) - SHOWN:,} more"] if len(described) > SHOWN else [])
    users = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    advice = " Each choice made by such results lets the next one look a little too good." if len(uses) > 1 else ""
    return f"At the time of writing, the test items had been used {times}: by {users}.{advice}"


def _describe(use: HoldoutUse, run: str) -> str:
    if use.run and use.run == run:
        return "this report" if use.why == REPORT else f"`{use.why}` of this model"
    if use.why == REPORT:
        return f"the report of run {use.run}"
    if use.why == EVALUATE:
        members = use.run.split(JOINED)
        ensemble = f"an ensemble of runs {', '.join(members[:-1])} and {members[-1]}" if len(members) > 1 else ""
        return f"`{use.why}` of " + (ensemble or (f"run {use.run}" if use.run else "an ensemble"))
    return f"the {use.why}"

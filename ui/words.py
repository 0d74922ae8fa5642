"""Text for people: numbers, sizes and times in words, and text that Markdown leaves alone."""

from collections.abc import Callable, Iterable, Mapping

import streamlit as st

from tl_core.layers import plain_titles
from tl_core.markdown import escape as escape
from tl_core.types import Estimate, Finding
from ui import session


def shorten(text: str, length: int) -> str:
    """Return text cut to `length` characters; an ellipsis marks the cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def plural(count: int, singular: str, plural: str = "") -> str:
    """Return the count with its noun: "1 item", "2 items"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def size(count: float) -> str:
    """Return a number of bytes in short form."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def part(done: float, total: float) -> str:
    """Return how much of a number of bytes is there, in the unit of the total: "41 of 102 MB", "0.8 of 1.5 MB"."""
    scale, unit = next((each for each in ((1e9, "GB"), (1e6, "MB")) if total >= each[0]), (1e3, "kB"))
    digits = 1 if scale == 1e9 or (scale == 1e6 and total < 1e7) else 0
    return f"{done / scale:.{digits}f} of {total / scale:.{digits}f} {unit}"


def millions(count: int) -> str:
    """Return a number of parameters in short form: 940, 12 k, 4.1 million."""
    if count >= 1e9:
        return f"{count / 1e9:.3g} billion"
    if count >= 1e6:
        return f"{count / 1e6:.3g} million"
    return f"{count / 1e3:.3g} k" if count >= 1e4 else f"{count:,}"


def seconds(value: float) -> str:
    """Return a duration in its natural unit: 45 s, 12 min, 1.5 h."""
    if value < 1:
        return "under a second"
    if value < 90:
        return f"{value:.0f} s"
    if value < 90 * 60:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h"


def span(estimate: Estimate, unit_text: Callable[[float], str] = seconds) -> str:
    """Return the range of an estimate, with a shared unit named once: "2 to 5 min", "50 s to 2 min"."""
    low, high = unit_text(estimate.low), unit_text(estimate.high)
    number, _, unit = low.rpartition(" ")
    shared = number[-1:].isdigit() and high.endswith(f" {unit}")
    return low if low == high else f"{number if shared else low} to {high}"


def show_findings(findings: Iterable[Finding]) -> None:
    """Show findings, the blocking ones first; those for information only are plain text without a box."""
    ordered = sorted(findings, key=lambda finding: ("stop", "warn", "info").index(finding.level))
    for finding in ordered:
        text = f"**{escape(finding.message)}** {escape(finding.hint, links=True)}".strip()
        if finding.level == "stop":
            st.error(text, icon=":material/block:")
        elif finding.level == "warn":
            st.warning(text, icon=":material/warning:")
        else:
            st.markdown(f":material/info: {escape(finding.message)} :gray[{escape(finding.hint, links=True)}]")


def humanize(name: str) -> str:
    """Return an identifier as words, with a capital letter."""
    return name.replace("_", " ").capitalize()


def layer_names(backbone: str, groups: Iterable[str]) -> dict[str, str]:
    """Return the title of each layer group by its name.

    Titles count over the whole backbone ("block 3 of 7"), also for a run that cuts the backbone lower.
    """
    spec = session.find_backbone(backbone)
    return plain_titles(dict.fromkeys([*(group.name for group in spec.groups), *groups] if spec else groups))


def capitalise(text: str) -> str:
    """Return a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def score_text(numbers: Mapping[str, float]) -> str:
    """Return the score of a run in words, from its key figures; "" if it was not measured."""
    if "auc" in numbers:
        return f"mean AUC {numbers['auc']:.1%}"
    if "exact" in numbers:
        return f"{numbers['exact']:.1%} with all labels right"
    return f"{numbers['accuracy']:.1%} right" if "accuracy" in numbers else ""

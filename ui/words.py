"""Numbers, sizes and times as a person reads them, and text that Markdown leaves alone."""

from collections.abc import Callable, Iterable, Mapping

import streamlit as st

from tl_core.backbones.spec import BACKBONES
from tl_core.layers import plain_titles
from tl_core.types import Estimate, Finding

_MARKS = "\\`*_[]<>$~:#|"


def tell(text: str) -> str:
    """Return text that Markdown shows as it is: names of files and classes are not markup."""
    for mark in _MARKS:
        text = text.replace(mark, f"\\{mark}")
    return text


def shorten(text: str, length: int) -> str:
    """Return text cut to a length, with an ellipsis where something was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def plural(count: int, one: str, many: str = "") -> str:
    """Return "1 item", "2 items"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: float) -> str:
    """Return a number of bytes in short form."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def millions(count: int) -> str:
    """Return a number of parameters in short form: 940, 12 k, 4.1 million."""
    if count >= 1e9:
        return f"{count / 1e9:.3g} billion"
    if count >= 1e6:
        return f"{count / 1e6:.3g} million"
    return f"{count / 1e3:.3g} k" if count >= 1e4 else f"{count:,}"


def seconds(value: float) -> str:
    """Return a time span as a person says it."""
    if value < 1:
        return "under a second"
    if value < 90:
        return f"{value:.0f} s"
    if value < 90 * 60:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h"


def span(estimate: Estimate, say: Callable[[float], str] = seconds) -> str:
    """Return an estimate with its range: "2 to 5 min", "50 s to 2 min"."""
    low, high = say(estimate.low), say(estimate.high)
    number, _, unit = low.rpartition(" ")
    shared = number[-1:].isdigit() and high.endswith(f" {unit}")
    return low if low == high else f"{number if shared else low} to {high}"


def findings(found: Iterable[Finding]) -> None:
    """Say in plain words what was seen, the blocking first. What is merely worth knowing stays quiet."""
    ordered = sorted(found, key=lambda each: ("stop", "warn", "info").index(each.level))
    for finding in ordered:
        text = f"**{tell(finding.message)}** {tell(finding.hint)}".strip()
        if finding.level == "stop":
            st.error(text, icon=":material/block:")
        elif finding.level == "warn":
            st.warning(text, icon=":material/warning:")
        else:
            st.markdown(f":material/info: {tell(finding.message)} :gray[{tell(finding.hint)}]")


def sentence(name: str) -> str:
    """Return an identifier as words, with a capital letter."""
    return name.replace("_", " ").capitalize()


def layer_names(backbone: str, groups: Iterable[str]) -> dict[str, str]:
    """Return how layer groups are told, by their place in the whole backbone: also where a run cuts it lower."""
    known = [group.name for group in BACKBONES[backbone].groups] if backbone in BACKBONES else []
    return plain_titles(dict.fromkeys([*known, *groups]))


def capital(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def score(numbers: Mapping[str, float]) -> str:
    """Return how good a measured run is, from its key figures; "" where it was not measured."""
    if "auc" in numbers:
        return f"mean AUC {numbers['auc']:.1%}"
    if "exact" in numbers:
        return f"{numbers['exact']:.1%} with all labels right"
    return f"{numbers['accuracy']:.1%} right" if "accuracy" in numbers else ""

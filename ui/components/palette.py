"""What the drawings share: one colour, icon and word for each state, numbers in short form, their assets."""

from pathlib import Path
from typing import Literal

from tl_core.layers import HEAD

State = Literal["frozen", "trainable", "head", "unused"]
WORDS: dict[State, str] = {"frozen": "Frozen", "trainable": "Trainable", "head": "New head", "unused": "Not used"}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def asset(name: str) -> str:
    """Return the text of a style or script in this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def state_of(group: str, trainable: bool) -> State:
    """Return the state of a layer group in a phase."""
    if not trainable:
        return "frozen"
    return "head" if group == HEAD else "trainable"


def rate_text(rate: float) -> str:
    """Return a learning rate with at most two significant digits: 0.001, 3×10⁻⁵."""
    if rate <= 0:
        return "0"
    if rate >= 1e-4:
        return f"{rate:.2g}"
    mantissa, exponent = f"{rate:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def count_text(count: int) -> str:
    """Return a count in short form: 940, 12.3 k, 4.1 M, 1.2 B, as parameters are counted."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)

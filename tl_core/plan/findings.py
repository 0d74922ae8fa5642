"""How the checks of a plan word a finding: its place in the plan, and a hint that suggests a near miss."""

import difflib
from collections.abc import Collection, Iterator
from typing import get_args, get_type_hints

from tl_core.plan.transfer_plan import Phase
from tl_core.types import Finding, Level


def finding(level: Level, code: str, where: str, message: str, hint: str = "") -> Finding:
    """Return a finding about one place in the plan."""
    return Finding(level, code, message, hint, (where,))


def stop(code: str, where: str, message: str, hint: str = "") -> Finding:
    """Return a finding that blocks the plan."""
    return finding("stop", code, where, message, hint)


def numbered(index: int, phase: Phase) -> str:
    """Return how a finding names a phase, counted from 1."""
    return f"Phase {index + 1} ({phase.name!r})"


def suggest(name: str, choices: Collection[str]) -> str:
    """Return a hint: the choice that is nearest to `name`, or all of them."""
    near = difflib.get_close_matches(str(name), list(choices), n=1)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(choices)}."


def unknown_choice(holder: type, field: str, value: object, where: str, code: str = "") -> Iterator[Finding]:
    """Yield a stop where `value` is none of the names that a field may hold; `code` defaults to the field's name."""
    choices = [str(choice) for choice in get_args(get_type_hints(holder)[field])]
    if value not in choices:
        message = f"There is no {field} {value!r}."
        yield stop(code or field.replace("_", "-"), where, message, suggest(str(value), choices))

"""The plan as a YAML document that a person can write by hand; every mistake in it names its line."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import yaml

from tl_core.errors import PlanError
from tl_core.layers import HEAD
from tl_core.plan.checks import check
from tl_core.plan.findings import suggest
from tl_core.plan.transfer_plan import Phase, TransferPlan
from tl_core.types import Modality, earlier_names

MAX_CHARACTERS = 1_000_000
NULLS = ("", "~", "null", "Null", "NULL")
NUMBER = {
    int: (re.compile(r"[-+]?[0-9]+"), "a whole number, such as 10"),
    float: (re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"), "a number, such as 0.001 or 1e-3"),
}
RARE = {
    "patience",
    "objective",
    "draws",
    "interpolate_weights",
    "recalibrate_norm",
    "only_if_better",
    "penalties",
    "adapter",
    "augment",
    "loss",
    "precision",
}
KINDS = {"phases": "phase", "penalties": "penalty", "why": "reason"}
"""What one entry of each list is called."""
Lines = dict[str, int]


def to_yaml(plan: TransferPlan, groups: Sequence[str] = ()) -> str:
    """Return `plan` as a YAML document. `groups`, input side first, are listed in its opening comment."""
    lines = ["# A transfer plan. A layer group that a phase does not list under lr is frozen in that phase."]
    if groups:
        lines.append(f"# Layer groups, input side first: {', '.join([*groups, HEAD])}.")
    order = {group: index for index, group in enumerate([*groups, HEAD])}
    data = _without_defaults(asdict(plan), TransferPlan)
    for phase in data["phases"]:
        phase["lr"] = dict(sorted(phase["lr"].items(), key=lambda item: order.get(item[0], -1)))
    data["phases"] = [_without_defaults(phase, Phase) for phase in data["phases"]]
    data["why"] = list(data["why"])
    if "penalties" in data:
        data["penalties"] = list(data["penalties"])
    first = {name: data.pop(name) for name in ("backbone", "strategy", "init", "head", "batch_size", "phases")}
    body = yaml.safe_dump(first | data, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join(lines) + "\n" + body


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _without_defaults(data: dict[str, Any], cls: Any) -> dict[str, Any]:
    """Leave out rarely used settings that are at their default."""
    defaults = {field.name: field.default for field in fields(cls) if field.name in RARE}
    plain = {name: _plain(default) for name, default in defaults.items()}
    return {name: value for name, value in data.items() if name not in plain or value != plain[name]}


def from_yaml(
    text: str,
    groups: Sequence[str] | None = None,
    backbones: Collection[str] = (),
    modality: Modality | None = None,
) -> TransferPlan:
    """Read a plan from a YAML document. `strategy` and everything with a default may be left out.

    With `groups` (and `backbones`, and the items' `modality`) the plan is also checked.
    Raises PlanError that names the line of the first mistake: broken YAML, a duplicate, unknown or missing key, a value
    of the wrong kind, or a plan that cannot run.
    """
    node = _compose(text)
    lines: Lines = {}
    plan = _Reader(lines).read(node, TransferPlan, "")
    if groups is not None:
        stops = [finding for finding in check(plan, groups, backbones, modality) if finding.level == "stop"]
        if stops:
            raise PlanError(f"Line {_line(lines, stops[0].items[0])}: {stops[0].message}", stops[0].hint)
    return plan


def _compose(text: str) -> yaml.Node:
    if len(text) > MAX_CHARACTERS:
        raise PlanError("Line 1: this file is too long to be a plan.", "A plan is a few dozen lines of YAML.")
    try:
        for token in yaml.scan(text):
            if isinstance(token, (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)):
                _fail(token, "anchors (&), aliases (*) and tags (!) have no place in a plan.", "Write the value out.")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        # a scanner's context mark is where the broken piece begins; a parser's is where the whole block begins
        scanned = "scanning" in (error.context or "")
        mark = (error.context_mark if scanned else None) or error.problem_mark
        line = mark.line + 1 if mark else 1
        hint = "Check the indentation, the colons and the quotes there."
        raise PlanError(f"Line {line}: this is not valid YAML ({error.problem}).", hint) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        hint = "Save the plan as plain UTF-8 text."
        raise PlanError(f"Line {line}: there is a character that YAML does not allow.", hint) from error
    except RecursionError as error:
        raise PlanError("Line 1: this file is nested far too deeply to be a plan.") from error
    if node is None:
        raise PlanError("Line 1: the plan is empty.", "A plan needs at least backbone and phases.")
    return node


def _fail(node: Any, message: str, hint: str = "") -> NoReturn:
    raise PlanError(f"Line {node.start_mark.line + 1}: {message}", hint)


def _line(lines: Lines, where: str) -> int:
    """Return the line of a place in the plan, or of the nearest enclosing place that the document has."""
    while where and where not in lines:
        where = where.rpartition("/")[0]
    return lines.get(where, 1)


class _Reader:
    """Turns YAML nodes into values by the types of the dataclasses, and records the line of each place."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def read(self, node: yaml.Node, hint: Any, where: str) -> Any:
        """Return the value of `node` as `hint`. Raises PlanError that names the line."""
        self.lines.setdefault(where, node.start_mark.line + 1)
        origin, inner = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType):
            if _is_null(node):
                return None
            return self.read(node, next(kind for kind in inner if kind is not NoneType), where)
        if is_dataclass(hint):
            return self._dataclass(node, hint, where)
        if origin is tuple:
            return tuple(self.read(item, inner[0], f"{where}/{i}") for i, item in enumerate(_items(node, where)))
        if origin is Mapping:
            return {key: self.read(item, inner[1], f"{where}/{key}") for key, item in self._pairs(node, where).items()}
        return _scalar(node, hint, where)

    def _dataclass(self, node: yaml.Node, cls: Any, where: str) -> Any:
        hints = get_type_hints(cls)
        pairs = self._pairs(node, where, names=hints, earlier=earlier_names(cls))
        optional = {"strategy"} if cls is TransferPlan else set()
        for field in fields(cls):
            needed = field.default is MISSING and field.default_factory is MISSING
            if needed and field.name not in pairs and field.name not in optional:
                kind = "phase" if cls is Phase else KINDS.get(where.rstrip("/0123456789"), where) or "plan"
                _fail(node, f"the {kind} has no {field.name!r}.", f"Add a line that starts with {field.name}:")
        values = {k: self.read(v, hints[k], f"{where}/{k}".lstrip("/")) for k, v in pairs.items()}
        return cls(**({"strategy": "custom"} if optional else {}) | values)

    def _pairs(
        self,
        node: yaml.Node,
        where: str,
        names: Collection[str] | None = None,
        earlier: Mapping[str, str] | None = None,
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            _fail(node, f"{_name(where)} must be lines of the form name: value.")
        pairs: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _fail(key, "a name must be a single word.")
            name = (earlier or {}).get(key.value, key.value)
            if name in pairs:
                _fail(key, f"{name!r} appears twice in {_name(where)}.", "Keep one of the two.")
            if names is not None and name not in names:
                _fail(key, f"{_name(where)} has no setting {name!r}.", suggest(name, names))
            pairs[name] = value
            self.lines[f"{where}/{name}".lstrip("/")] = key.start_mark.line + 1
        return pairs


def _name(where: str) -> str:
    """Return the name of a place for a message: 'lr' for "phases/0/lr", phase 1 for "phases/0"."""
    if not where:
        return "the plan"
    last = where.rpartition("/")[2]
    return f"{KINDS[where.partition('/')[0]]} {int(last) + 1}" if last.isdigit() else f"'{last}'"


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in NULLS


def _items(node: yaml.Node, where: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        _fail(node, f"{_name(where)} must be a list, each entry starting with a dash.")
    return node.value


def _scalar(node: yaml.Node, hint: Any, where: str) -> Any:
    if not isinstance(node, yaml.ScalarNode) or _is_null(node):
        _fail(node, f"{_name(where)} must be a single value.")
    if get_origin(hint) is Literal:
        if node.value not in get_args(hint):
            _fail(node, f"{_name(where)} cannot be {node.value!r}.", suggest(node.value, get_args(hint)))
        return node.value
    if hint is str:
        return node.value
    if hint is bool:
        if node.value not in ("true", "false"):
            _fail(node, f"{_name(where)} must be true or false, not {node.value!r}.")
        return node.value == "true"
    pattern, expected = NUMBER[hint]
    convert: Callable[[str], Any] = hint
    if not pattern.fullmatch(node.value) or len(node.value) > 400 or not math.isfinite(float(node.value)):
        _fail(node, f"{_name(where)} must be {expected}, not {node.value!r}.")
    return convert(node.value)

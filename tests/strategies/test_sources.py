"""Every number that a strategy sets says where it comes from: a paper, a page, or that it is a rule of thumb."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from tl_core import strategies
from tl_core.strategies import STRATEGIES, TaskInfo

SOURCED = re.compile(r"https?://|arXiv:\d{4}\.\d{4,5}|doi:10\.|guide|rule of thumb|\b(19|20)\d\d\b")
FILES = sorted(Path(strategies.__file__).parent.glob("*.py"))
NUMERIC = [
    (name, field.name)
    for name in STRATEGIES
    for field in fields(STRATEGIES[name].options)
    if isinstance(field.default, (int, float))
]
RATES = (
    "backbone_rate",
    "scratch_rate",
    "batch_growth",
    "batch_size",
    "tuning_epochs",
    "scratch_epochs",
    "layerwise_decay",
)


def constants(path):
    """Yield (name, what stands below it) of every number, or table of numbers, at the top of a module."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.Assign):
            continue
        values = statement.value.values if isinstance(statement.value, ast.Dict) else [statement.value]
        if all(isinstance(value, ast.Constant) and isinstance(value.value, (int, float)) for value in values):
            below = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            yield statement.targets[0].id, str(below)


@pytest.mark.parametrize(("strategy", "option"), NUMERIC)
def test_the_help_of_a_number_names_the_source_of_its_usual_value(strategy, option):
    field = next(field for field in fields(STRATEGIES[strategy].options) if field.name == option)
    assert SOURCED.search(field.metadata["source"])
    assert field.metadata["source"] in field.metadata["help"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_constant_names_its_source_below_it(path):
    unsourced = [name for name, below in constants(path) if not SOURCED.search(" ".join(below.split()))]
    assert unsourced == []


def test_the_constants_are_found():
    names = {name for path in FILES for name, _ in constants(path)}
    assert {"HEAD_RATE", "DECAY", "MASKED_RATE", "_BACKBONE_RATE", "FEW"} <= names


@pytest.mark.parametrize("name", RATES)
def test_a_function_that_sets_numbers_names_its_source(name):
    from tl_core.strategies import recipes

    assert SOURCED.search(getattr(recipes, name).__doc__)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("n", [20, 1999, 2000, 30_000])
def test_a_gpu_gets_larger_batches_where_data_allows_and_the_rate_follows_by_the_square_root(name, modality, n):
    plans = [
        STRATEGIES[name].make(TaskInfo("net", modality, ("a", "b", "c"), n, 2, n // 2, device=device))
        for device in ("cpu", "cuda")
    ]
    on_cpu, on_gpu = plans
    times = on_gpu.batch_size / on_cpu.batch_size
    assert times in ((1,) if n < 2000 else (1, 2))
    for phase, larger in zip(on_cpu.phases, on_gpu.phases, strict=True):
        fixed = phase.optimizer == "lbfgs" or phase.objective != "labels"
        for group, rate in phase.lr.items():
            assert larger.lr[group] == pytest.approx(rate if fixed else rate * times**0.5, rel=1e-5)
    assert any("square root" in reason.text for reason in on_gpu.why) <= (times == 2)

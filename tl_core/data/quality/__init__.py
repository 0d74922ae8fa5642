"""What is wrong with a data set: findings in plain words, each check a file of its own, found by a registry."""

from tl_core.data.quality.basic_problems import FEW, SKEW, find_problems
from tl_core.data.quality.checks import CHECKS, Check, CheckInput, Suspicion, run_checks
from tl_core.data.quality.exact_copies import Duplicates, duplicates

__all__ = [
    "CHECKS",
    "FEW",
    "SKEW",
    "Check",
    "CheckInput",
    "Duplicates",
    "Suspicion",
    "duplicates",
    "find_problems",
    "run_checks",
]

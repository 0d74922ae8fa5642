"""What is wrong with a data set: findings in plain words, each check a file of its own, found by a registry."""

from tl_core.data.quality.copies import Duplicates, duplicates
from tl_core.data.quality.problems import FEW, SKEW, find_problems
from tl_core.data.quality.values import CHECKS, Check, Material, Suspicion, run_checks

__all__ = [
    "CHECKS",
    "FEW",
    "SKEW",
    "Check",
    "Duplicates",
    "Material",
    "Suspicion",
    "duplicates",
    "find_problems",
    "run_checks",
]

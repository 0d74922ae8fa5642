"""Data quality: what may be wrong with a data set, as findings. Each check is a file that CHECKS finds."""

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

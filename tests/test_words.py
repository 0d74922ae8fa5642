"""Figures as a person reads them."""

import pytest

from tl_core.types import Estimate
from ui.words import seconds, size, span


@pytest.mark.parametrize(
    ("low", "high", "unit_text", "text"),
    [
        (120, 300, seconds, "2 to 5 min"),
        (50, 150, seconds, "50 s to 2 min"),
        (0.2, 5, seconds, "under a second to 5 s"),
        (300, 301, seconds, "5 min"),
        (620e6, 930e6, size, "620 to 930 MB"),
        (930e6, 1.4e9, size, "930 MB to 1.4 GB"),
    ],
)
def test_a_range_names_a_shared_unit_once(low, high, unit_text, text):
    assert span(Estimate((low + high) / 2, low, high, 1, "made up"), unit_text) == text

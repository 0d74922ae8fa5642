"""Figures as a person reads them."""

import pytest

from tl_core.types import Estimate
from ui.words import part, seconds, size, span


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


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (41.2e6, 102e6, "41 of 102 MB"),
        (801_000, 1.5e6, "0.8 of 1.5 MB"),
        (0, 2.47e9, "0.0 of 2.5 GB"),
        (400e6, 12.1e9, "0.4 of 12.1 GB"),
        (900, 4200, "1 of 4 kB"),
    ],
)
def test_a_part_is_told_in_the_unit_of_the_whole(done, total, text):
    assert part(done, total) == text

"""Intervals, bootstraps and tests that every stage shares; each says which published method it is. No torch."""

"""Evaluation: metrics with confidence intervals, and comparisons with baselines."""

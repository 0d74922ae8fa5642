"""Evaluation: what a model is worth, with the spread of every number, and against what."""

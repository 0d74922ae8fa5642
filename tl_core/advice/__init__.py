"""Advice: the rules of the literature, and what the probe measured on the data itself."""

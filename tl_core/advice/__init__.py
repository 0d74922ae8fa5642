"""Advice: the rules of the literature, and the evidence of the data itself."""

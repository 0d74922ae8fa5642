"""Data: from a source to labelled items under a fingerprint, their split and their profile."""

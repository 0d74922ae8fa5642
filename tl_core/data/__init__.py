"""Data: import a source as labelled items under a fingerprint, split them, profile them, check their quality."""

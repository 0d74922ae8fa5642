"""Runs: their tasks, their events, and the folder on disk that holds the state of each."""

"""Runs, for every page: finding, starting, requests, titles; and the list of the runs page."""

"""Runs: what they are asked, what they say, and the folder that is the truth about them."""

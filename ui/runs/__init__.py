"""What every page needs of runs: finding, starting and naming them, and the list of the runs page."""

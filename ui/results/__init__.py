"""Parts of the results page: headline, comparison, curve, classes, confusion matrix, subgroups."""

"""Parts of the data page: ways in, what the data are, what looks wrong, the split, the receipt."""

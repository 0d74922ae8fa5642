"""Zero-shot: sort items into classes by the names of the classes alone, without any labelled item."""

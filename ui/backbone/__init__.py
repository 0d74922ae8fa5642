"""Parts of the backbone page: the tree's branches and the card of a backbone."""

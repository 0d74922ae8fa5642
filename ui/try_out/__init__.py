"""Parts of the try page: one item, a batch, the download."""

"""Parts of the train page: before, during and after a training."""

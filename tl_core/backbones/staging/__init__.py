"""Any network as a chain of stages: where it may be cut is found by one traced forward pass, and then proven."""

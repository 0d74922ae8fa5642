"""Training: executes a transfer plan, phase by phase, and knows no strategy."""

"""Graft's engine: from data to a fine-tuned model that works anywhere. It knows nothing of any screen."""

"""Samples: where they come from, and the synthetic tasks that make the nano family trainable anywhere."""

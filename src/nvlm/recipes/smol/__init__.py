"""The smallest recipe on a real language model: SmolLM2-135M with the vision encoder of the nano family."""

"""How a recipe runs: backbones and data become a model and batches, and its stages are trained one after another."""

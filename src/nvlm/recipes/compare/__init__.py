"""Comparisons: the same recipe in several variants, on the same backbones and samples, over several seeds."""

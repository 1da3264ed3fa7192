"""What a model needs before it is there: which part stands on which GPU, and how much memory that takes."""

from nvlm.planning.layouts import device_map

__all__ = ["device_map"]

"""Tiny saved models, shared with the tests of inference."""

from tests.inference.conftest import tiny_folders

__all__ = ["tiny_folders"]

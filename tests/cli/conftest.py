"""Tiny saved models, shared with the tests of inference and evaluation."""

from tests.evaluation.conftest import language_folder, tiny_folder
from tests.inference.conftest import tiny_folders

__all__ = ["language_folder", "tiny_folder", "tiny_folders"]

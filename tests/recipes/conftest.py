"""Backbones of the nano family, made once for all tests of its recipe."""

from pathlib import Path

import pytest

from tests.recipes.tiny_nano import make_backbones


@pytest.fixture(scope="session")
def tiny_backbones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has made its backbones and nothing else; to be read, or copied."""
    folder = tmp_path_factory.mktemp("tiny-backbones")
    make_backbones(folder)
    return folder

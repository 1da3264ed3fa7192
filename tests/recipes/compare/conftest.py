"""Backbones and features, made once for all tests of comparisons."""

from pathlib import Path

import pytest

from nvlm.recipes.compare.backbones import Shared
from tests.recipes.compare.small import make_backbones, shared


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished backbones."""
    folder = tmp_path_factory.mktemp("backbones")
    make_backbones(folder)
    return folder


@pytest.fixture(scope="session")
def ground(backbones: Path, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """These with the features of the small recipe's pictures."""
    return shared(backbones, tmp_path_factory.mktemp("features"))

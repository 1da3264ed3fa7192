"""Tiny models, made once."""

from pathlib import Path

import pytest

from tests.checkpoints.conftest import published
from tests.inference.tiny import Tiny, make_tiny, save_tiny

__all__ = ["published"]


@pytest.fixture(scope="session")
def tiny_models() -> dict[str, Tiny]:
    return {architecture: make_tiny(architecture) for architecture in "DXH"}


@pytest.fixture(params=["D", "X", "H"])
def tiny(request: pytest.FixtureRequest, tiny_models: dict[str, Tiny]) -> Tiny:
    return tiny_models[request.param]


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {architecture: save_tiny(architecture, root / f"tiny-{architecture.lower()}") for architecture in "DXH"}

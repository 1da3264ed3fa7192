"""A small checkpoint in NVIDIA's layout, made once."""

from pathlib import Path

import pytest

from nvlm.checkpoints.small import write_small


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder; read it only."""
    folder = tmp_path_factory.mktemp("published") / "small"
    write_small(folder)
    return folder

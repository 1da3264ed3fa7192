"""Tiny models of random weights, in folders, as a user has them."""

from pathlib import Path

import pytest

from tests.inference.conftest import tiny_folders
from tests.inference.tiny import make_tiny

__all__ = ["tiny_folders"]


@pytest.fixture(scope="session")
def tiny_folder(tiny_folders: dict[str, Path]) -> Path:
    return tiny_folders["H"]


@pytest.fixture(scope="session")
def language_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The language model inside the tiny NVLM-D, with its tokenizer: a baseline whose text answers are the same."""
    folder = tmp_path_factory.mktemp("models") / "tiny-lm"
    model, processor = make_tiny("D")
    language = model.language_model
    language.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    language.generation_config.suppress_tokens = [processor.image_token_id]
    language.save_pretrained(folder)
    processor.tokenizer.save_pretrained(folder)
    return folder

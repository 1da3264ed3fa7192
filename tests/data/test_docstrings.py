import doctest
from types import ModuleType

import pytest

from nvlm.data import contamination, prompts, shards
from nvlm.data.sources import flat, llava


@pytest.mark.parametrize("module", [contamination, flat, llava, prompts, shards], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed

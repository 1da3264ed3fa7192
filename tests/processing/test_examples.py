import doctest
from types import ModuleType

import pytest

from nvlm.processing import budget, layout, tags, tiling


@pytest.mark.parametrize("module", [budget, layout, tags, tiling], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed

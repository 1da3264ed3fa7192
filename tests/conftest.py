"""What holds for every test."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_curves() -> Iterator[None]:
    """Runs draw no curves: a picture takes longer than a tiny run. Tests of them call `plot.draw`, or put it back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nvlm.training.loop.draw", lambda folder: None)
        yield

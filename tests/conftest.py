"""What holds for every test."""

import gc
from collections.abc import Iterator

import pytest


def pytest_collection() -> None:
    """No garbage is looked for while modules are imported: next to none of it is garbage, and looking takes seconds."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What was imported stays for good, so the search for garbage leaves it out from here on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def no_curves() -> Iterator[None]:
    """Runs draw no curves: a picture takes longer than a tiny run. Tests of them call `plot.draw`, or put it back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nvlm.training.loop.draw", lambda folder: None)
        yield

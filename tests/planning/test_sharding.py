import pytest

from nvlm.planning.gpus import GPUS
from nvlm.planning.sharding import Layout, fewest_gpus, layouts, smallest
from tests.modeling.batches import config

H100 = GPUS["h100-80g"]


def test_small_layouts_come_first():
    """Four heads in two groups: two GPUs can share a layer, four cannot."""
    found = [(each.fsdp, each.tensor, each.replicas, each.recompute) for each in layouts(config("D"), H100, 4, 64)]
    assert found == [
        (1, 1, 4, False),
        (1, 1, 4, True),
        (2, 1, 2, False),
        (2, 1, 2, True),
        (1, 2, 2, False),
        (1, 2, 2, True),
        (4, 1, 1, False),
        (4, 1, 1, True),
        (2, 2, 1, False),
        (2, 2, 1, True),
    ]


@pytest.mark.parametrize("gpus", [1, 6, 8, 12])
def test_all_gpus_are_used(gpus: int):
    for layout in layouts(config("D"), H100, gpus, 64):
        assert layout.gpus == gpus
        assert layout.ranks * layout.tensor == gpus


def test_every_rank_has_a_sample():
    assert {layout.tensor for layout in layouts(config("D"), H100, 8, batch=4)} == {2}
    assert list(layouts(config("D"), H100, 16, batch=4)) == []


def test_the_first_that_fits_is_taken():
    def fits(layout: Layout) -> bool:
        return layout.fsdp * layout.tensor >= 4

    assert smallest(config("D"), H100, 8, 64, fits) == Layout(4, 1, 2)
    assert fewest_gpus(config("D"), H100, 64, fits) == Layout(4, 1, 1)
    assert smallest(config("D"), H100, 2, 64, fits) is None


def test_what_fits_nowhere_ends():
    assert fewest_gpus(config("D"), H100, 64, lambda layout: False) is None


@pytest.mark.parametrize(
    ("layout", "words"),
    [(Layout(), "one GPU"), (Layout(32, 1, 4), "FSDP 32 x HSDP 4"), (Layout(4, 8, 2), "FSDP 4 x TP 8 x HSDP 2")],
)
def test_in_words(layout: Layout, words: str):
    assert str(layout) == words

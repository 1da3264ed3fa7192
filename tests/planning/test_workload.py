import pytest

from nvlm.modeling import ARCHITECTURES
from nvlm.planning.workload import Workload, shape_of
from tests.modeling.batches import TOKENS_PER_VIEW, Picture, batch, config, text


def workload(**changes: object) -> Workload:
    values = dict(name="w", trainable=("*",), steps=10, batch=4, text=100, tiles=6, tag_tokens=0, supervised=50)
    return Workload(**(values | changes))


@pytest.mark.parametrize("tiles", [0, 1, 2, 6])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_lengths_are_those_of_a_real_batch(architecture: str, tiles: int):
    """Tags have two tokens there, the thumbnail's three, and the delimiters count as text."""
    shape = shape_of(config(architecture), workload(text=20, supervised=5, tiles=tiles, tag_tokens=2))
    parts = [text(17), Picture(tiles)] if tiles else [text(20)]
    inputs = batch(architecture, parts)
    third = int(tiles > 0)  # token of the thumbnail's tag, which stands in the sequence in every architecture
    assert shape.sequence == inputs["input_ids"].shape[1] - third
    views = inputs["memory_views"].shape[1] if "memory_views" in inputs else 0
    tags = inputs["memory_tag_ids"].shape[2] if "memory_tag_ids" in inputs else 0
    assert shape.memory == views * (TOKENS_PER_VIEW + tags)
    assert shape.views == (len(inputs["pixel_values"]) if tiles else 0)


def test_samples_of_a_stage():
    assert workload(steps=7, batch=3).samples == 21


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "batch of stage w is 0; it must be at least 1"),
        ({"tiles": -1}, "tiles of stage w is -1"),
        ({"supervised": 101}, "101 of 100 text tokens of stage w have a loss"),
        ({"supervised": 0}, "0 of 100 text tokens"),
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, int], message: str):
    with pytest.raises(ValueError, match=message):
        workload(**changes)

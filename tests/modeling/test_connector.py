"""Pixel shuffle in the released order, and the projector's published form."""

import pytest
import torch
from torch import nn
from transformers.models.internvl.modeling_internvl import InternVLModel

from nvlm.modeling.connector import Connector, pixel_shuffle
from tests.modeling.batches import config


def test_neighbours_are_joined_row_by_row():
    """A 4 x 4 grid whose patches carry their own number."""
    grid = torch.arange(16.0).reshape(1, 16, 1)
    expected = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert pixel_shuffle(grid, 2)[0].tolist() == expected


def test_same_order_as_internvl():
    torch.manual_seed(0)
    features = torch.randn(3, 36, 5)
    theirs = InternVLModel.pixel_shuffle(None, features.reshape(3, 6, 6, 5), scale_factor=0.5)
    torch.testing.assert_close(pixel_shuffle(features, 2), theirs.reshape(3, 9, 20), rtol=0, atol=0)


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
def test_any_factor_that_divides_the_grid(factor: int):
    features = torch.randn(2, 36, 4)
    shuffled = pixel_shuffle(features, factor)
    assert shuffled.shape == (2, (6 // factor) ** 2, 4 * factor**2)
    assert torch.equal(shuffled.flatten().sort().values, features.flatten().sort().values)


@pytest.mark.parametrize(
    ("patches", "factor", "message"),
    [
        (36, 4, "factor of 4 does not divide a grid of 6 x 6"),
        (36, 0, "factor of 0"),
        (35, 1, "35 patches are not a square grid"),
    ],
)
def test_what_does_not_fit_is_refused_with_numbers(patches: int, factor: int, message: str):
    with pytest.raises(ValueError, match=message):
        pixel_shuffle(torch.zeros(1, patches, 2), factor)


def test_published_projectors():
    two, one = Connector(config("D")), Connector(config("X"))
    assert [type(module) for module in (two.norm, *two.projector)][:2] == [nn.LayerNorm, nn.Linear]
    assert {name: tuple(p.shape) for name, p in two.named_parameters()} == {
        "norm.weight": (64,),
        "norm.bias": (64,),
        "projector.0.weight": (48, 64),
        "projector.2.weight": (32, 48),
    }
    assert {name: tuple(p.shape) for name, p in one.named_parameters()} == {
        "norm.weight": (64,),
        "norm.bias": (64,),
        "projector.weight": (32, 64),
    }


def test_every_choice_is_a_value():
    changed = Connector(
        config("X", projector_layers=2, projector_norm=False, projector_bias=True, projector_hidden_size=7)
    )
    assert {name: tuple(p.shape) for name, p in changed.named_parameters()} == {
        "projector.0.weight": (7, 64),
        "projector.0.bias": (7,),
        "projector.2.weight": (32, 7),
        "projector.2.bias": (32,),
    }
    assert changed(torch.randn(5, 16, 16)).shape == (5, 4, 32)

import numpy as np
import pytest
import torch

from nvlm.processing.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise


@pytest.mark.parametrize(("mean", "std"), [(IMAGENET_MEAN, IMAGENET_STD), ((0.5, 0.5, 0.5), (0.5, 0.25, 1.0))])
def test_every_level_is_bit_for_bit_what_tensor_operations_give(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    views = np.concatenate([levels, np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)])
    reference = torch.from_numpy(views).permute(0, 3, 1, 2).float().div(255)
    reference = reference.sub(torch.tensor(mean).view(3, 1, 1)).div(torch.tensor(std).view(3, 1, 1))
    result = normalise(views, mean, std)
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert torch.equal(result, reference)


@pytest.mark.parametrize(
    "views", [np.zeros((1, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((1, 3, 4, 4), np.uint8)]
)
def test_anything_but_uint8_views_is_refused(views: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"views must be uint8 of shape \(V, T, T, 3\), not"):
        normalise(views)

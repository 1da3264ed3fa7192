"""How features are written: half precision, or eight bits with a scale for each patch."""

from typing import Protocol

import torch
from torch import Tensor

E4M3 = torch.float8_e4m3fn
LARGEST = torch.finfo(E4M3).max


class Codec(Protocol):
    """Features of one view, (patches, channels), as so many bytes.

    Attributes:
        dtype: of what is read.
        suffix: of the file.
    """

    dtype: torch.dtype
    suffix: str

    def size(self, patches: int, channels: int) -> int:
        """Bytes of a view."""
        ...

    def encode(self, views: Tensor) -> Tensor:
        """(views, patches, channels) → uint8 (views, bytes)."""
        ...

    def decode(self, data: Tensor, patches: int, channels: int) -> Tensor:
        """uint8 (views, bytes) → (views, patches, channels) in `dtype`."""
        ...


class Half:
    """Two bytes a number.

    Args:
        dtype: float16 or bfloat16.
        suffix: of the file.
    """

    def __init__(self, dtype: torch.dtype, suffix: str) -> None:
        self.dtype, self.suffix = dtype, suffix

    def size(self, patches: int, channels: int) -> int:
        """Bytes of a view."""
        return 2 * patches * channels

    def encode(self, views: Tensor) -> Tensor:
        """Round.

        Raises:
            ValueError: a number is too large for float16, or none.
        """
        rounded = views.to(self.dtype).contiguous()
        if not torch.isfinite(rounded).all():
            raise ValueError(
                f"the encoder gives features of up to {views.abs().max():,.0f}, which {self.suffix} cannot hold; "
                "store them as bf16"
            )
        return rounded.flatten(1).view(torch.uint8)

    def decode(self, data: Tensor, patches: int, channels: int) -> Tensor:
        """As they are."""
        return data.view(self.dtype).view(len(data), patches, channels)


class Eight:
    """Float8 e4m3 (4 bits of exponent, 3 of mantissa), after each patch was divided by a float32 scale that makes its
    largest number the largest of the format."""

    dtype = torch.bfloat16
    suffix = "fp8"

    def size(self, patches: int, channels: int) -> int:
        """Bytes of a view: the numbers, then the scales."""
        return patches * channels + 4 * patches

    def encode(self, views: Tensor) -> Tensor:
        """Scale and round.

        Raises:
            ValueError: a number is none.
        """
        views = views.float()
        if not torch.isfinite(views).all():
            raise ValueError("the encoder gives features that are no finite numbers; does it run in a fitting dtype?")
        scales = (views.abs().amax(-1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
        small = (views / scales[..., None]).clamp(-LARGEST, LARGEST).to(E4M3)
        return torch.cat([small.flatten(1).view(torch.uint8), scales.contiguous().view(torch.uint8)], 1)

    def decode(self, data: Tensor, patches: int, channels: int) -> Tensor:
        """Multiply with the scales."""
        small, scales = data[:, : patches * channels], data[:, patches * channels :]
        numbers = small.contiguous().view(E4M3).view(len(data), patches, channels).float()
        return (numbers * scales.contiguous().view(torch.float32)[..., None]).to(self.dtype)


CODECS: dict[str, Codec] = {
    "fp16": Half(torch.float16, "f16"),
    "bf16": Half(torch.bfloat16, "bf16"),
    "fp8": Eight(),
}
"""By the name on the command line."""


def errors(stored: Tensor, exact: Tensor) -> tuple[float, float]:
    """How far features are off: the root mean square of the difference as a share of the exact ones', and the mean
    cosine of the angle between patches."""
    stored, exact = stored.double(), exact.double()
    relative = (stored - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    return float(relative), float(torch.cosine_similarity(stored, exact, dim=-1).mean())

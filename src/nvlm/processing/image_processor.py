"""`NVLMImageProcessor`: pictures → normalised views, with its settings saved beside the model. Needs no torchvision."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from nvlm.processing.images import ImageError, ImageSource, Limits, load_image
from nvlm.processing.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise
from nvlm.processing.tiling import Grid, choose_grid, cut

_WRITTEN_BESIDE = {"image_processor_type", "processor_class", "auto_map"}  # by transformers, in the saved settings


class ImageSettings(TypedDict, total=False):
    """What `from_pretrained` may change; see `NVLMImageProcessor`."""

    tile_size: int
    max_tiles: int
    thumbnail: bool
    mean: Sequence[float]
    std: Sequence[float]
    limits: Limits | dict[str, int] | None


class NVLMImageProcessor(BaseImageProcessor):
    """Dynamic high-resolution tiling (paper, section 4.1) and normalisation.

    Args:
        tile_size: side of a tile in pixels; the vision encoder's image size.
        max_tiles: most tiles of one image, the thumbnail not counted; 1 is a plain resize.
        thumbnail: add the whole image as a last view where there is more than one tile.
        mean, std: of the three channels, as the vision encoder was trained with (ImageNet's for InternViT).
        limits: what is accepted from outside, a `Limits` or a dictionary of its fields.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012
    valid_kwargs = ImageSettings  # type: ignore[assignment]

    def __init__(
        self,
        tile_size: int = 448,
        max_tiles: int = 6,
        thumbnail: bool = True,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        limits: Limits | dict[str, int] | None = None,
        **saved: Any,
    ) -> None:
        if unknown := set(saved) - _WRITTEN_BESIDE:
            raise TypeError(f"NVLMImageProcessor has no settings {sorted(unknown)}")
        super().__init__()
        if tile_size < 1 or max_tiles < 1:
            raise ValueError(f"tile_size is {tile_size} and max_tiles is {max_tiles}; both must be at least 1")
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"mean and std need three values each, those of std above 0; they are {mean} and {std}")
        self.tile_size = tile_size
        self.max_tiles = max_tiles
        self.thumbnail = thumbnail
        self.mean = list(mean)
        self.std = list(std)
        self.limits = limits if isinstance(limits, Limits) else Limits(**limits or {})

    def load(self, image: ImageSource) -> Image.Image:
        """One picture as RGB, within the limits; see `load_image`."""
        return load_image(image, self.limits)

    def grid(self, image: Image.Image, max_tiles: int | None = None) -> Grid:
        """The grid of tiles of a loaded picture."""
        return choose_grid(*image.size, self.tile_size, self.max_tiles if max_tiles is None else max_tiles)

    def views(self, image: Image.Image, grid: Grid) -> NDArray[np.uint8]:
        """The views of a loaded picture: uint8 (views, tile_size, tile_size, 3)."""
        return cut(image, grid, self.tile_size, self.thumbnail)

    def normalise(self, views: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 (V, T, T, 3) → float32 (V, 3, T, T)."""
        return normalise(views, self.mean, self.std)

    def check_prompt(self, images: int, tiles: int = 0) -> None:
        """Hold the images of one prompt, and the tiles of all of them, against the limits.

        Raises:
            ImageError: too many.
        """
        for limit, found, allowed in (("images", images, self.limits.images), ("tiles", tiles, self.limits.tiles)):
            if found > allowed:
                raise ImageError(f"the prompt has {found:,} {limit}, more than the limit {limit!r} of {allowed:,}")

    def preprocess(
        self, images: ImageSource | Sequence[ImageSource], max_tiles: int | None = None, return_tensors: str = "pt"
    ) -> BatchFeature:
        """All views of one or several pictures.

        Returns:
            `pixel_values` float32 (V, 3, tile_size, tile_size) and `grids`, for each picture its (columns, rows).
        """
        if return_tensors != "pt":
            raise ValueError(f"return_tensors is {return_tensors!r}; only 'pt' is made")
        sources: Sequence[Any] = images if isinstance(images, list | tuple) else [images]
        pictures = [self.load(source) for source in sources]
        grids = [self.grid(picture, max_tiles) for picture in pictures]
        self.check_prompt(len(grids), sum(grid.tiles for grid in grids))
        views = np.concatenate([self.views(picture, grid) for picture, grid in zip(pictures, grids, strict=True)])
        return BatchFeature({"pixel_values": self.normalise(views), "grids": grids})

    def to_dict(self) -> dict[str, Any]:
        """The settings, as they are saved."""
        settings: dict[str, Any] = super().to_dict()
        return settings | {"limits": asdict(self.limits)}

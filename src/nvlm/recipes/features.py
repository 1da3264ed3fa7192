"""Stored features of the frozen encoder, made before a stage that wants them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from nvlm.data.encode import Cuts, count_views, encode_folders
from nvlm.data.encode_costs import check_disk
from nvlm.data.picture_features import FeatureWriter, PictureFeatures, features_key
from nvlm.inference.load import find_device
from nvlm.modeling.vision import encode, grid_size
from nvlm.processing import NVLMImageProcessor
from nvlm.processing.budget import LADDER

BATCH = 64
"""Views that go through the encoder together, or just more."""


class Frozen(NamedTuple):
    """An encoder whose features are stored.

    Attributes:
        encoder: is left on the CPU.
        hash: of its weights, see `nvlm.data.picture_features.weights_hash`.
        layer: that is read.
    """

    encoder: PreTrainedModel
    hash: str
    layer: int = -1


def stored_features(frozen: Frozen, images: NVLMImageProcessor, folder: Path) -> PictureFeatures:
    """The features of a folder.

    Raises:
        ValueError: it has none, or those of another encoder or of other pixels.
    """
    return PictureFeatures(folder, features_key(frozen.hash, frozen.layer, images))


def store_features(
    frozen: Frozen, images: NVLMImageProcessor, shards: Sequence[Path], folder: Path, say: Callable[[str], None]
) -> None:
    """Encode the pictures of folders of shards into ``folder``; those that are stored already are left alone.

    Every limit of tiles is gone through that samples with several pictures may be lowered to.

    Raises:
        ValueError: the disk is too small, or the folder holds features of another encoder or of other pixels.
    """
    config = frozen.encoder.config
    shape = (grid_size(config) ** 2, int(config.hidden_size))
    writer = FeatureWriter(folder, features_key(frozen.hash, frozen.layer, images), "fp16", shape)
    cuts = Cuts(images, [images.max_tiles, *(step for step in LADDER if step < images.max_tiles)])
    missing = count_views(shards, cuts, writer).missing
    if not missing:
        return
    needed = missing * writer.view_bytes
    say(f"storing features of {missing:,} views in {writer.folder}: at most {needed / 1e9:,.2f} GB")
    check_disk(writer.folder, needed)
    device = find_device()
    encoder = frozen.encoder.eval().to(device)  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def features(pixels: torch.Tensor) -> torch.Tensor:
        return encode(encoder, pixels.to(device, encoder.dtype), frozen.layer).cpu()

    encode_folders(shards, cuts, features, writer, BATCH, writer.views + missing)
    encoder.cpu()

"""Stored features of the frozen encoder, made before a stage that wants them."""

import os
from pathlib import Path

import torch

from nvlm.data.blend import Blend
from nvlm.data.encode import Cuts, count_views, encode_folders
from nvlm.data.encode_costs import check_disk
from nvlm.data.picture_features import FeatureWriter, PictureFeatures, features_key
from nvlm.inference.load import find_device
from nvlm.modeling.vision import encode, grid_size
from nvlm.processing import NVLMProcessor
from nvlm.processing.budget import LADDER
from nvlm.recipes.running.build import Built
from nvlm.recipes.running.folder import say_once

BATCH = 64
"""Views that go through the encoder together, or just more."""


def stored_features(built: Built, processor: NVLMProcessor, blend: Blend, folder: Path) -> PictureFeatures:
    """The features of a blend's pictures; those that are not in ``folder`` yet are encoded first.

    Several processes do not encode: `nvlm data encode` does it before they start.

    Raises:
        ValueError: the disk is too small, or the folder holds features of another encoder or of other pixels.
    """
    key = features_key(built.encoder_hash(), built.model.config.vision_feature_layer, processor.image_processor)
    folders = [part.local for part in blend.folders() if part.local is not None]
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 and folders:
        config = built.model.config.vision_config
        writer = FeatureWriter(folder, key, "fp16", (grid_size(config) ** 2, int(config.hidden_size)))
        _encode(built, processor, list(dict.fromkeys(folders)), writer)
    return PictureFeatures(folder, key)


def _encode(built: Built, processor: NVLMProcessor, folders: list[Path], writer: FeatureWriter) -> None:
    """Encode what is missing, with every limit of tiles that samples with several pictures may be lowered to."""
    most = processor.image_processor.max_tiles
    cuts = Cuts(processor.image_processor, [most, *(step for step in LADDER if step < most)])
    missing = count_views(folders, cuts, writer).missing
    if not missing:
        return
    needed = missing * writer.view_bytes
    say_once(True, f"storing features of {missing:,} views in {writer.folder}: at most {needed / 1e9:,.2f} GB")
    check_disk(writer.folder, needed)
    device, layer = find_device(), built.model.config.vision_feature_layer
    encoder = built.model.vision_model.eval().to(device)

    @torch.inference_mode()
    def features(pixels: torch.Tensor) -> torch.Tensor:
        return encode(encoder, pixels.to(device, encoder.dtype), layer).cpu()

    encode_folders(folders, cuts, features, writer, BATCH, writer.views + missing)
    encoder.cpu()

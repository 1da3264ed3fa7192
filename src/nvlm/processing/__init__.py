"""Images and messages in, model inputs out: the one preprocessing path for training, evaluation and serving.

Importing this package registers the processors with transformers' Auto classes, under the model family's configuration.
"""

from transformers import AutoImageProcessor, AutoProcessor

from nvlm.modeling.config import NVLMConfig
from nvlm.processing.chat import CHATML
from nvlm.processing.image_processor import NVLMImageProcessor
from nvlm.processing.images import ImageError, Limits, load_image
from nvlm.processing.inspection import Inspection, Token, inspect
from nvlm.processing.layout import Row
from nvlm.processing.processor import NVLMProcessor
from nvlm.processing.tags import Tags, render_image
from nvlm.processing.tiling import Grid, choose_grid, tiles

__all__ = [
    "CHATML",
    "Grid",
    "ImageError",
    "Inspection",
    "Limits",
    "NVLMImageProcessor",
    "NVLMProcessor",
    "Row",
    "Tags",
    "Token",
    "choose_grid",
    "inspect",
    "load_image",
    "render_image",
    "tiles",
]

AutoImageProcessor.register(NVLMConfig, image_processor_classes={"pil": NVLMImageProcessor}, exist_ok=True)
AutoProcessor.register(NVLMConfig, NVLMProcessor, exist_ok=True)  # type: ignore[no-untyped-call]

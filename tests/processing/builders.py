"""Processors and conversations for the tests: tiny, offline, with the settings of each test spelled out."""

from typing import Any

from PIL import Image

from nvlm.processing import NVLMImageProcessor, NVLMProcessor
from tests.processing.tiny_tokenizers import qwen_like

TILE = 16


def processor(
    architecture: str = "D", *, tile_size: int = TILE, tokenizer: Any = None, **settings: Any
) -> NVLMProcessor:
    """A processor with 16-pixel tiles and one slot per view."""
    image_settings = {name: settings.pop(name) for name in ("max_tiles", "thumbnail", "limits") if name in settings}
    images = NVLMImageProcessor(tile_size=tile_size, **image_settings)
    settings.setdefault("tokens_per_view", 1)
    return NVLMProcessor(images, tokenizer or qwen_like(), architecture=architecture, **settings)


def picture(cols: int = 1, rows: int = 1, colour: str = "red") -> Image.Image:
    """A picture that is cut into exactly this grid."""
    return Image.new("RGB", (cols * TILE, rows * TILE), colour)


def user(*parts: Any) -> dict[str, Any]:
    """A user message of texts and pictures."""
    return {"role": "user", "content": [_part(part) for part in parts]}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _part(part: Any) -> dict[str, Any]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": part}

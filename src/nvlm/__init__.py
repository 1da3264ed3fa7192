"""NVLM-D, NVLM-X and NVLM-H: three ways to let a language model read pictures.

`import nvlm` makes the family known to the Auto classes of transformers and costs next to nothing: PyTorch and
transformers are loaded when something first needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nvlm._auto import register_with_transformers

if TYPE_CHECKING:
    from nvlm.inference import ask, load, load_image
    from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
    from nvlm.planning import device_map
    from nvlm.processing import NVLMImageProcessor, NVLMProcessor, tiles

__version__ = "0.1.0"

__all__ = [
    "NVLMConfig",
    "NVLMForConditionalGeneration",
    "NVLMImageProcessor",
    "NVLMProcessor",
    "__version__",
    "ask",
    "device_map",
    "load",
    "load_image",
    "tiles",
]

_HOMES = {
    "NVLMConfig": "nvlm.modeling",
    "NVLMForConditionalGeneration": "nvlm.modeling",
    "NVLMImageProcessor": "nvlm.processing",
    "NVLMProcessor": "nvlm.processing",
    "ask": "nvlm.inference",
    "device_map": "nvlm.planning",
    "load": "nvlm.inference",
    "load_image": "nvlm.inference",
    "tiles": "nvlm.processing",
}


def __getattr__(name: str) -> Any:
    """A public name, from the package that it lives in (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_transformers()

"""Other layouts in which models of this family lie on disk; `nvlm.checkpoints` adds NVIDIA's."""

from collections.abc import Callable
from typing import Any, NamedTuple

from transformers import PreTrainedConfig

__all__ = ["HUB_OPTIONS", "LAYOUTS", "Layout", "find_layout"]

HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")
"""What `from_pretrained` takes to find files on the hub."""


class Layout(NamedTuple):
    """How to read a layout that is not this family's own."""

    own_config: Callable[..., dict[str, Any]]
    """(its config.json, the folder or hub id that it is from, hub options) → our config.json."""
    processor: Callable[..., Any]
    """(a folder or hub id, options of `NVLMProcessor` and of the hub) → its `NVLMProcessor`."""


LAYOUTS: dict[str, Layout] = {}
"""By the `model_type` of its config.json."""


def find_layout(source: str, **kwargs: Any) -> Layout | None:
    """The other layout that a folder or hub id is in; None for this family's own, or where there is no config.json."""
    options = {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs}
    try:
        config, _ = PreTrainedConfig.get_config_dict(source, **options)
    except OSError:
        return None
    return LAYOUTS.get(str(config.get("model_type")))

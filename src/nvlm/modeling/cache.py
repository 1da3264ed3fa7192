"""Keys and values of the views in memory, in any transformers cache, after the layers of the language model."""

from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

__all__ = ["MemoryLayer", "add_memory_layers", "cached_keys"]


class MemoryLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """The slot of one cross-attention layer: written once per prompt, then read by every decoding step.

    It holds images and not text, so cropping the text (assisted decoding) leaves it alone; beams and repeated rows are
    followed. Its size never changes while decoding, so it serves dynamic and static caches alike.
    """

    is_compileable = True
    is_croppable = True
    is_sliding = False
    supports_early_init = False

    keys: Tensor | None
    values: Tensor | None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Remember dtype and device; there is nothing to allocate."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keep keys and values (B, heads, K, head size); a second prompt (a next turn) replaces those of the first."""
        self.lazy_initialization(key_states, value_states)
        self.keys, self.values = key_states, value_states
        return key_states, value_states

    def get_seq_length(self) -> int:
        """Keys per row, K."""
        return 0 if self.keys is None else int(self.keys.shape[-2])

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """All keys, from the first: their number does not depend on the text."""
        return self.get_seq_length(), 0

    def get_max_length(self) -> int:
        """No bound on the text."""
        return -1

    def crop(self, tokens_to_remove: int) -> None:
        """Nothing to do: removed tokens were text."""

    def reset(self) -> None:
        """Forget the images."""
        self.keys = self.values = None
        self.is_initialized = False

    def offload(self) -> None:
        """Nothing to do: every decoding step needs these, and their size does not grow."""

    def prefetch(self) -> None:
        """Nothing to do, see `offload`."""

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row."""
        if self.keys is not None and self.values is not None:
            self.keys = self.keys.repeat_interleave(repeats, dim=0)
            self.values = self.values.repeat_interleave(repeats, dim=0)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in this order."""
        if self.keys is not None and self.values is not None:
            indices = indices.to(self.keys.device)
            self.keys, self.values = self.keys[indices], self.values[indices]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Follow the beams."""
        self.batch_select_indices(beam_idx)


def add_memory_layers(cache: Cache, text_layers: int, memory_layers: int) -> None:
    """Give `cache` one slot per cross-attention layer behind the `text_layers` slots of the language model."""
    while len(cache.layers) < text_layers:
        cache.layers.append(cache.layer_class_to_replicate())  # type: ignore[misc]
    while len(cache.layers) < text_layers + memory_layers:
        cache.layers.append(MemoryLayer())  # type: ignore[no-untyped-call]


def cached_keys(cache: Cache | None) -> int:
    """Keys per row in the slots of the cross-attention layers; 0 when nothing has been written."""
    if cache is None or not cache.layers or not isinstance(cache.layers[-1], MemoryLayer):
        return 0
    return cache.layers[-1].get_seq_length()

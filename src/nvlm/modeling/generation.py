"""What `generate` must know about images: read once, at the prompt, and followed by index ever after."""

from typing import Any

from torch import LongTensor, Tensor
from transformers import GenerationMixin
from transformers.cache_utils import Cache

from nvlm.modeling.cache import cached_keys
from nvlm.modeling.placement import check_slots, keys_per_row, rows_at, without_first

__all__ = ["ImageGenerationMixin"]

IMAGES = ("pixel_values", "image_features")


class ImageGenerationMixin(GenerationMixin):
    """`generate` for a model that reads images by index: greedy, sampling, beams, assisted, static cache, streaming.

    Images reach the model with the prompt and never again: the tokens in the sequence are in the text cache by then,
    and the keys and values of the memory in the slots behind it (`nvlm.modeling.cache`).
    """

    config: Any

    def prepare_inputs_for_generation(
        self,
        input_ids: LongTensor,
        next_sequence_length: int | None = None,
        past_key_values: Cache | None = None,
        attention_mask: LongTensor | None = None,
        inputs_embeds: Tensor | None = None,
        is_first_iteration: bool | None = False,
        pixel_values: Tensor | None = None,
        image_features: Tensor | None = None,
        sequence_views: Tensor | None = None,
        cross_attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The inputs of one step: images with the prompt only, and the mask rows of this step's tokens."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(  # type: ignore[misc]
            input_ids,
            next_sequence_length=next_sequence_length,
            past_key_values=past_key_values,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )
        if is_first_iteration or past_key_values is None or not past_key_values.is_initialized:
            if sequence_views is not None and next_sequence_length is not None:
                earlier = input_ids[:, :-next_sequence_length] == self.config.image_token_id
                sequence_views = without_first(sequence_views, earlier.sum(-1) // self.config.tokens_per_view)
            inputs["sequence_views"] = sequence_views
            if (pixel_values is None and image_features is None) or self._is_read(inputs, past_key_values):
                self._check_prompt(inputs)
            else:
                inputs.update(pixel_values=pixel_values, image_features=image_features)
        if cross_attention_mask is not None:
            past = 0 if past_key_values is None else past_key_values.get_seq_length()
            tokens = inputs["input_ids"] if inputs.get("inputs_embeds") is None else inputs["inputs_embeds"]
            inputs["cross_attention_mask"] = rows_at(cross_attention_mask, past, tokens.shape[1])
        return inputs

    def _is_read(self, inputs: dict[str, Any], cache: Cache | None) -> bool:
        """A next turn without new images: every view of the sequence and of the memory is in the cache already."""
        sequence_views, memory_views = inputs["sequence_views"], inputs.get("memory_views")
        if cache is None or (sequence_views is not None and bool((sequence_views >= 0).any())):
            return False
        if memory_views is None:
            return cache.get_seq_length() > 0
        wanted = keys_per_row(memory_views, inputs.get("memory_tag_ids"), self.config.tokens_per_view)
        return cached_keys(cache) == wanted

    def _check_prompt(self, inputs: dict[str, Any]) -> None:
        """A prompt that comes without images must not reserve places for them."""
        if inputs.get("input_ids") is not None:
            slots = inputs["input_ids"] == self.config.image_token_id
            check_slots(slots, None, self.config.tokens_per_view)

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: LongTensor | None = None,
        **model_kwargs: Any,
    ) -> tuple[LongTensor, dict[str, Any]]:
        """Repeat rows for beams and return sequences. Images stay as they are: rows name their views by index."""
        images = {name: model_kwargs.pop(name) for name in IMAGES if name in model_kwargs}
        expanded, model_kwargs = super()._expand_inputs_for_generation(  # type: ignore[misc]
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **model_kwargs
        )
        return expanded, model_kwargs | images

"""NVLM: what D, X and H share, which is all of it (figure 3 of the paper)."""

import copy
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.utils.generic import can_return_tuple

from nvlm.modeling.cache import add_memory_layers, cached_keys
from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.connector import Connector
from nvlm.modeling.cross_attention import GatedCrossAttention
from nvlm.modeling.decoder import CrossAttentionDecoderLayer, add_cross_attention, decoder_layers
from nvlm.modeling.generation import ImageGenerationMixin
from nvlm.modeling.loss import predicting_rows, supervised_loss
from nvlm.modeling.masks import Memory, may_read
from nvlm.modeling.packed import Lengths, attention_inputs, check_labels, sample_lengths
from nvlm.modeling.placement import (
    check_indices,
    check_places,
    check_slots,
    fill_slots,
    gather_memory,
    keys_per_row,
    mean_tags,
)
from nvlm.modeling.tensor_parallel import tensor_parallel_plan
from nvlm.modeling.vision import encode, grid_size

__all__ = ["CARD_NAMES", "NVLMForConditionalGeneration"]

CARD_NAMES = {"mlp1": "connector"}
"""What the model card of NVLM-D-72B calls a module in a device map, where our name is another."""


class NVLMForConditionalGeneration(ImageGenerationMixin, PreTrainedModel):  # type: ignore[no-untyped-call]
    """A vision encoder, a connector and a causal language model, put together as NVLM-D, NVLM-X or NVLM-H.

    The language model is a whole transformers model under its own parameter names; X and H add
    `language_model.model.layers.N.cross_attention`.

    Args:
        config: see `NVLMConfig`.
        vision_model, language_model: backbones to use as they are, weights shared; None makes new ones. Most callers
            want `from_backbones`, which also takes over their configurations.
    """

    config_class = NVLMConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("image", "text")  # type: ignore[assignment]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _skip_keys_device_placement = ("past_key_values",)  # type: ignore[assignment]

    chat: ClassVar[Callable[..., Any]]
    """The model card's call; `import nvlm` puts `nvlm.inference.model_card.chat` here."""

    def __init__(
        self,
        config: NVLMConfig,
        vision_model: PreTrainedModel | None = None,
        language_model: PreTrainedModel | None = None,
    ) -> None:
        super().__init__(config)
        vocabulary = config.text_config.vocab_size
        if config.places.in_sequence and not 0 <= config.image_token_id < vocabulary:
            raise ValueError(f"image_token_id is {config.image_token_id} but the vocabulary has {vocabulary} tokens")
        self.vision_model = vision_model or AutoModel.from_config(config.vision_config)  # type: ignore[no-untyped-call]
        self.connector = Connector(config)
        self.language_model = language_model or AutoModelForCausalLM.from_config(config.text_config)  # type: ignore[no-untyped-call]
        self._add_cross_attention()
        self.post_init()  # type: ignore[no-untyped-call]
        self._tp_plan = tensor_parallel_plan(self)
        self._never_generate_slots()

    @classmethod
    def from_pretrained(cls, *args: Any, device_map: Any = None, use_flash_attn: bool = False, **kwargs: Any) -> Any:
        """As of any transformers model; `use_flash_attn` and names in a device map also as the model card has them."""
        if use_flash_attn:
            kwargs.setdefault("attn_implementation", "flash_attention_2")
        if isinstance(device_map, Mapping):
            device_map = {CARD_NAMES.get(name, name): device for name, device in device_map.items()}
        source = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        if source is not None and isinstance(config := kwargs.get("config"), NVLMConfig):
            kwargs["config"] = config.with_slots_of(str(source), **kwargs)
        return super().from_pretrained(*args, device_map=device_map, **kwargs)

    @classmethod
    def from_backbones(
        cls,
        config: NVLMConfig,
        vision_model: PreTrainedModel | None = None,
        language_model: PreTrainedModel | None = None,
    ) -> "NVLMForConditionalGeneration":
        """Put trained backbones together with a new connector and new cross-attention.

        The backbones are taken over, not copied: their weights are shared, and the language model's layers learn their
        third branch in place (without memory it computes what it did before). Their configurations replace those in
        `config`; the new parts get the language model's dtype and device.
        """
        config = copy.deepcopy(config)
        for name, backbone in (("vision_config", vision_model), ("text_config", language_model)):
            if backbone is not None:
                setattr(config, name, backbone.config)
                for module in backbone.modules():
                    module._is_hf_initialized = True  # type: ignore[assignment]
        model = cls(config, vision_model=vision_model, language_model=language_model)
        for new in (model.connector, *model.cross_attentions()):
            new.to(device=model.language_model.device, dtype=model.language_model.dtype)
        if language_model is not None:
            model.generation_config = copy.deepcopy(language_model.generation_config)
            model._never_generate_slots()
        return model

    def _add_cross_attention(self) -> None:
        config, text = self.config, self.config.text_config
        indices = config.cross_attention_layers
        if not indices:
            return
        layers = decoder_layers(self.language_model)
        for number, index in enumerate(indices):
            layer = layers[index]
            feed_forward = type(layer.mlp)(text) if config.cross_attention_feed_forward else None
            add_cross_attention(
                layer,
                GatedCrossAttention(
                    text,
                    cache_slot=text.num_hidden_layers + number,
                    gate_init=config.cross_attention_gate_init,
                    qk_norm=config.cross_attention_qk_norm,
                    feed_forward=feed_forward,
                ),
            )
        self._no_split_modules = [type(layers[indices[0]]).__name__]

    def _never_generate_slots(self) -> None:
        """A slot is a place for an image and no text; an answer with one could not be given back as a prompt."""
        if 0 <= self.config.image_token_id < self.config.text_config.vocab_size:
            suppressed = {*(self.generation_config.suppress_tokens or ()), self.config.image_token_id}
            self.generation_config.suppress_tokens = sorted(suppressed)

    def adjust_generation_fn(self, *args: Any, **kwargs: Any) -> None:
        """Take over generation_config.json; slots stay suppressed, also where the file does not know of them."""
        super().adjust_generation_fn(*args, **kwargs)  # type: ignore[misc]
        self._never_generate_slots()

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | os.PathLike[str], *, save_original_format: bool = False, **kwargs: Any
    ) -> None:
        """Write a folder in this family's own layout, also of a model that was loaded from NVIDIA's.

        Raises:
            ValueError: `save_original_format`, which would put NVIDIA's tensors beside our configuration.
        """
        if save_original_format:
            raise ValueError("save_pretrained writes this family's own layout; nvlm convert writes NVIDIA's from that")
        super().save_pretrained(save_directory, save_original_format=False, **kwargs)

    def cross_attentions(self) -> list[GatedCrossAttention]:
        """The cross-attention branches, from the first layer to the last."""
        return [module for module in self.modules() if isinstance(module, GatedCrossAttention)]

    def initialize_weights(self) -> None:
        """Start values of what is not loaded: the usual ones, then gates and warm start of new cross-attention."""
        layers = [module for module in self.modules() if isinstance(module, CrossAttentionDecoderLayer)]
        new = [layer for layer in layers if not getattr(layer.cross_attention, "_is_hf_initialized", False)]
        super().initialize_weights()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for layer in new:
                layer.cross_attention.reset_gates()
            if new and self.config.cross_attention_warm_start:
                rms = self._usual_rms()
                for layer in new:
                    layer.cross_attention.copy_self_attention(layer.self_attn, layer.input_layernorm, rms)

    def _usual_rms(self) -> Tensor:
        """Root mean square of the median token's embedding: tokens that the model never met can be far larger."""
        table: Tensor = self.get_input_embeddings().weight  # type: ignore[assignment]
        return table.square().mean(-1).median().sqrt()

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token table."""
        return cast(nn.Module, self.language_model.get_input_embeddings())

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's token table."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        return cast(nn.Module, self.language_model.get_output_embeddings())

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the language model's head."""
        self.language_model.set_output_embeddings(new_embeddings)

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        """The encoder's patches before pixel shuffle, (V, 3, T, T) → (V, grid², C): what may be stored and reused."""
        tile = self.config.tile_size
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[-2:]) != (tile, tile):
            raise ValueError(
                f"pixel_values has shape {tuple(pixel_values.shape)} "
                f"but the encoder reads views of (V, 3, {tile}, {tile})"
            )
        pixels = pixel_values.to(self.vision_model.dtype)
        return encode(self.vision_model, pixels, self.config.vision_feature_layer)

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_features: Tensor | None = None,
        sequence_views: Tensor | None = None,
        memory_views: Tensor | None = None,
        memory_tag_ids: Tensor | None = None,
        cross_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Read text and images; V views of the whole batch are named by index, so rows may share them.

        Args:
            input_ids: (B, S); `image_token_id` reserves one place per image token.
            attention_mask: (B, S). Packed rows come without it.
            position_ids: (B, S); where they begin anew inside a row, the next sample of a packed row begins. Samples do
                not see each other, and there is no cache.
            pixel_values: (V, 3, T, T) every view of the batch.
            image_features: (V, grid², C) instead of `pixel_values`: what `get_image_features` gave.
            sequence_views: (B, I) the views that stand in the sequence, in slot order; -1 pads (D, H).
            memory_views: (B, M) the views in memory; -1 pads (X, H).
            memory_tag_ids: (B, M, G) the tag that stands in memory before each view; -1 pads (H).
            cross_attention_mask: (B, S, M) bool, token s may read memory view m.
            labels: (B, S), -100 where not supervised. The language model's head then sees the supervised rows only, and
                `logits` is None unless `logits_to_keep` asks for it.
            logits_to_keep: the last so many positions (0: all), or their indices.
            num_items_in_batch: supervised tokens of the global batch, which then divide the loss.

        Returns:
            `loss` (with labels), `logits`, `past_key_values`, and what `output_hidden_states` and the like ask for.
        """
        has_images = pixel_values is not None or image_features is not None
        check_places(self.config.architecture, has_images, sequence_views, memory_views, memory_tag_ids)
        features = self._project(pixel_values, image_features, sequence_views, memory_views)
        inputs_embeds = self._embed(input_ids, inputs_embeds, features, sequence_views, past_key_values)
        cached = use_cache or past_key_values is not None
        lengths = sample_lengths(position_ids, attention_mask, cached, len(inputs_embeds))
        if use_cache is None:
            use_cache = labels is None and lengths is None and getattr(self.config.text_config, "use_cache", True)
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config.text_config)
        memory = self._memory(features, memory_views, memory_tag_ids, cross_attention_mask, past_key_values, lengths)
        if memory is not None:
            kwargs["memory"] = memory
        own_sample = {"attention_mask": attention_mask}
        if lengths is not None:
            own_sample |= attention_inputs(self.language_model.config, lengths, inputs_embeds.device)
            if labels is not None:
                check_labels(labels, lengths)

        keep: int | Tensor = 0
        if labels is None:
            keep = 0 if logits_to_keep is None else logits_to_keep
        elif logits_to_keep is None:
            keep = predicting_rows(labels)
        outputs: CausalLMOutputWithPast = self.language_model(
            inputs_embeds=inputs_embeds,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=keep,
            **own_sample,
            **kwargs,
        )
        if labels is not None:
            logits = cast(Tensor, outputs.logits)
            rows = logits if logits_to_keep is None else logits[predicting_rows(labels)]
            outputs.loss = supervised_loss(rows, labels, num_items_in_batch)
            outputs.logits = None if logits_to_keep is None else slice_logits_to_keep(logits, logits_to_keep)
        return outputs

    def _project(
        self,
        pixel_values: Tensor | None,
        image_features: Tensor | None,
        sequence_views: Tensor | None,
        memory_views: Tensor | None,
    ) -> Tensor | None:
        """Every view's tokens in the language model's width, (V, N, D); None without images."""
        if pixel_values is None and image_features is None:
            return None
        if pixel_values is not None and image_features is not None:
            raise ValueError("give pixel_values or image_features, and not both")
        if image_features is None:
            image_features = self.get_image_features(cast(Tensor, pixel_values))
        vision = self.config.vision_config
        expected = (grid_size(vision) ** 2, vision.hidden_size)
        if image_features.ndim != 3 or tuple(image_features.shape[1:]) != expected:
            raise ValueError(
                f"image_features has shape {tuple(image_features.shape)} but this encoder gives "
                f"(V, {expected[0]}, {expected[1]}); do the stored features belong to another encoder?"
            )
        check_indices("sequence_views", sequence_views, len(image_features))
        check_indices("memory_views", memory_views, len(image_features))
        dtype = self.language_model.dtype
        return cast(Tensor, self.connector(image_features.to(dtype)))

    def _embed(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        features: Tensor | None,
        sequence_views: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """The token sequence, (B, S, D), with the views in the sequence on their slots."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give input_ids or inputs_embeds, and not both")
        if input_ids is None:
            if sequence_views is not None:
                raise ValueError("views in the sequence stand at image_token_id: give input_ids, not inputs_embeds")
            return cast(Tensor, inputs_embeds)
        embeds: Tensor = self.get_input_embeddings()(input_ids)
        if features is None and cache is not None:  # decoding: what stands in the sequence is in the cache
            return embeds
        slots = input_ids == self.config.image_token_id
        read = None if features is None else sequence_views
        check_slots(slots, read, self.config.tokens_per_view)
        return embeds if read is None else fill_slots(embeds, slots, cast(Tensor, features), read)

    def _memory(
        self,
        features: Tensor | None,
        memory_views: Tensor | None,
        memory_tag_ids: Tensor | None,
        cross_attention_mask: Tensor | None,
        cache: Cache | None,
        lengths: Lengths | None,
    ) -> Memory | None:
        """What the cross-attention layers read and who reads it; None when no row has a view in memory."""
        if memory_views is None or memory_views.shape[1] == 0:
            return None
        if cross_attention_mask is None:
            raise ValueError("memory_views says what is in memory; cross_attention_mask must say which token reads it")
        if cross_attention_mask.shape[2] != memory_views.shape[1]:
            raise ValueError(
                f"cross_attention_mask is about {cross_attention_mask.shape[2]} views but memory_views holds "
                f"{memory_views.shape[1]}"
            )
        tokens = self.config.tokens_per_view
        if cache is not None:
            layers = self.config.text_config.num_hidden_layers
            add_memory_layers(cache, layers, len(self.config.cross_attention_layers))
        states = None
        if features is not None:
            tags = added = None
            if memory_tag_ids is not None:
                tags = self.get_input_embeddings()(memory_tag_ids.clamp(min=0))
                added = mean_tags(tags, memory_tag_ids) if self.config.cross_attention_tags_added else None
            states = gather_memory(features, memory_views, tags, added)
        elif (held := cached_keys(cache)) != (wanted := keys_per_row(memory_views, memory_tag_ids, tokens)):
            raise ValueError(
                f"memory_views names {wanted} keys per row but the cache holds {held}; "
                "were the prompt's pixel_values or image_features left out?"
            )
        mask, readers = may_read(cross_attention_mask, memory_tag_ids, tokens, lengths)
        return Memory(states, mask, readers)

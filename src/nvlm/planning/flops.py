"""FLOPs of one sample, forward and backward, by part.

A linear layer of W weights costs 2 · rows · W. Attention costs 4 · queries · keys · width, half of that where it is
causal. Going back costs the same again where the input's gradient is needed, and once more where the weights learn; for
attention twice. Norms, activations and everything else of a lower order are left out, and so is what is computed twice
to save memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.decoder import decoder_layers
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.modeling.vision import grid_size
from nvlm.planning.parameters import CONNECTOR, CROSS, HEAD, LAYERS, VISION
from nvlm.planning.workload import Workload, shape_of

__all__ = ["CAUSAL", "Flops", "sample_flops", "total"]

CAUSAL = 0.5
"""Share of the query-key pairs that a causal kernel computes."""


@dataclass(frozen=True)
class Flops:
    """Forward and backward."""

    forward: float = 0.0
    backward: float = 0.0

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(self.forward + other.forward, self.backward + other.backward)

    @property
    def both(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


def sample_flops(model: NVLMForConditionalGeneration, workload: Workload, causal: float = CAUSAL) -> dict[str, Flops]:
    """FLOPs of one sample by part; what learns is what `choose_learning` marked.

    Args:
        causal: share of the pairs of self-attention that are computed; 1 where the kernel computes all and masks.
    """
    walk = Walk(model, workload, causal)
    return {VISION: walk.vision(), CONNECTOR: walk.connector(), **walk.decoder(), HEAD: walk.head()}


def total(flops: dict[str, Flops]) -> Flops:
    """All parts together."""
    return sum(flops.values(), Flops())


class Walk:
    """Goes through the model in the order of its forward pass and remembers where a gradient has to flow back."""

    def __init__(self, model: NVLMForConditionalGeneration, workload: Workload, causal: float) -> None:
        self.model: Any = model
        self.config: NVLMConfig = model.config
        self.causal = causal
        self.workload, self.shape = workload, shape_of(model.config, workload)
        self.encoded = 0 if workload.stored_features else self.shape.views
        self.features_flow = learns(self.model.vision_model) and self.encoded > 0
        self.images_flow = self.features_flow or learns(self.model.connector)
        self.words_flow = learns(self.model.get_input_embeddings())

    def vision(self) -> Flops:
        """The encoder on every view: patches, and what stands before them (class token, registers)."""
        config = self.config.vision_config
        patches = grid_size(config) ** 2
        tokens = patches + prefix_tokens(self.model.vision_model)
        flops, flows = Flops(), False
        for module in self.model.vision_model.modules():
            flows = flows or own_weights_learn(module)
            if isinstance(module, nn.Conv2d):
                flops += weighted(module, patches, False)
            elif isinstance(module, nn.Linear):
                flops += weighted(module, tokens, flows)
        attention = config.num_hidden_layers * 4 * tokens**2 * config.hidden_size
        return times(flops + Flops(attention, 2 * attention * flows), self.encoded)

    def connector(self) -> Flops:
        """The projector on every image token."""
        rows = self.shape.views * self.config.tokens_per_view
        return in_order(self.model.connector.modules(), rows, self.features_flow)[0]

    def decoder(self) -> dict[str, Flops]:
        """Self-attention and feed-forward, and what cross-attention adds."""
        inline = self.shape.views > 0 and bool(self.config.places.in_sequence)
        flows = self.words_flow or (self.images_flow and inline)
        plain, cross = Flops(), Flops()
        layers: Iterable[Any] = decoder_layers(self.model.language_model)
        for layer in layers:
            flops, flows = self.self_attention(layer, flows)
            plain += flops
            if hasattr(layer, "cross_attention") and self.shape.memory:
                flops, flows = self.cross_attention(layer.cross_attention, flows)
                cross += flops
            rest = [layer.post_attention_layernorm, *layer.mlp.modules()]
            flops, flows = in_order(rest, self.shape.sequence, flows)
            plain += flops
        self.hidden_flow = flows
        return {LAYERS: plain, CROSS: cross}

    def self_attention(self, layer: Any, flows: bool) -> tuple[Flops, bool]:
        """One layer's self-attention."""
        modules = [layer.input_layernorm, *layer.self_attn.modules()]
        length = self.shape.sequence
        flops, flows = in_order(modules, length, flows)
        pairs = 4 * length**2 * self.attention_width() * self.causal
        return flops + Flops(pairs, 2 * pairs * flows), flows

    def cross_attention(self, cross: Any, flows: bool) -> tuple[Flops, bool]:
        """One layer's cross-attention: queries from the sequence, keys and values from memory."""
        memory_flows = self.images_flow or (self.words_flow and bool(self.config.places.tags_in_memory))
        readers = [cross.k_proj, cross.v_proj]
        keys, values = (weighted(module, self.shape.memory, memory_flows) for module in readers)
        others = [module for module in cross.modules() if module not in readers]
        own, flows = in_order(others, self.shape.sequence, flows)
        flows = flows or memory_flows or any(map(own_weights_learn, readers))
        pairs = 4 * self.shape.sequence * self.shape.memory * self.attention_width()
        return keys + values + own + Flops(pairs, 2 * pairs * flows), flows

    def head(self) -> Flops:
        """Logits of the supervised tokens."""
        return weighted(self.model.get_output_embeddings(), self.workload.supervised, self.hidden_flow)

    def attention_width(self) -> int:
        """Heads · head size of the language model."""
        text = self.config.text_config
        heads: int = text.num_attention_heads
        size: int = getattr(text, "head_dim", None) or text.hidden_size // heads
        return heads * size


def in_order(modules: Iterable[nn.Module], rows: int, flows: bool) -> tuple[Flops, bool]:
    """FLOPs of linear layers on `rows` rows, and whether a gradient flows back through what comes after them."""
    flops = Flops()
    for module in modules:
        if isinstance(module, nn.Linear):
            flops += weighted(module, rows, flows)
        flows = flows or own_weights_learn(module)
    return flops, flows


def weighted(module: nn.Module, rows: int, flows: bool) -> Flops:
    """FLOPs of one weight on `rows` rows; `flows`: the gradient of its input is needed."""
    weight: Any = module.weight
    forward = 2.0 * rows * weight.numel()
    return Flops(forward, forward * (flows + weight.requires_grad))


def times(flops: Flops, count: int) -> Flops:
    """As often as `count`."""
    return Flops(flops.forward * count, flops.backward * count)


def learns(module: nn.Module) -> bool:
    """Does anything in it?"""
    return any(parameter.requires_grad for parameter in module.parameters())


def own_weights_learn(module: nn.Module) -> bool:
    """Does a parameter of the module itself, not of its children?"""
    return any(parameter.requires_grad for parameter in module.parameters(recurse=False))


def prefix_tokens(vision_model: nn.Module) -> int:
    """Tokens before the patches: class token and registers, as the families of `modeling/vision.py` name them."""
    counts = {"cls_token": -2, "register_tokens": -2, "class_embedding": None}
    found = ((name.rpartition(".")[2], parameter) for name, parameter in vision_model.named_parameters())
    axes = ((counts[name], parameter) for name, parameter in found if name in counts)
    return sum(1 if axis is None else parameter.shape[axis] for axis, parameter in axes)

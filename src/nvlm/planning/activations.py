"""Memory of activations, found by running two layers of the real model with shapes and without values.

What autograd keeps depends on how a library writes a norm or repeats heads, so nothing is assumed: a forward and a
backward pass go through torch's fake tensors while every storage that comes and goes is counted.
"""

import copy
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.connector import Connector
from nvlm.modeling.decoder import decoder_layers
from nvlm.modeling.masks import Memory
from nvlm.modeling.vision import encode, grid_size
from nvlm.planning.layouts import skeleton
from nvlm.planning.parameters import choose_learning
from nvlm.planning.workload import Workload, shape_of

__all__ = ["Activations", "LiveBytes", "measure_activations"]

UNMASKED = "nvlm_unmasked"


@dataclass(frozen=True)
class Activations:
    """Bytes on one GPU for one forward and backward pass.

    Attributes:
        layer, cross_layer: what a decoder layer without and with cross-attention keeps for the backward pass.
        layer_input: what is kept of a layer that is computed again instead.
        quiet: layers before the first through which a gradient flows; they keep nothing.
        unreached: what they would keep, and the part of the next layer before its cross-attention.
        connector: what the connector keeps, image tokens and memory included.
        backward: what one layer's backward pass needs beside what was kept.
        logits: what the loss needs, logits included.
        vision: what one layer of the encoder needs, or, where it learns, what all of them keep.
        features: the encoder's output.
    """

    layer: int = 0
    cross_layer: int = 0
    layer_input: int = 0
    quiet: int = 0
    unreached: int = 0
    connector: int = 0
    backward: int = 0
    logits: int = 0
    vision: int = 0
    features: int = 0

    def kept(self, layers: int, cross_layers: int, recompute: bool) -> int:
        """Kept at the end of the forward pass by so many layers, `cross_layers` of them with cross-attention."""
        if recompute:
            return self.connector + (layers - self.quiet) * self.layer_input
        every_layer = (layers - cross_layers) * self.layer + cross_layers * self.cross_layer
        return self.connector + every_layer - self.unreached

    def working(self, recompute: bool) -> int:
        """Needed beside that while one layer goes backward; what it keeps is made again first if `recompute`."""
        return self.backward + (max(self.layer, self.cross_layer) if recompute else 0)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that are made while it is active: `now`, and the `peak`.

    Args:
        known: tensors that are there before and do not count.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}
        self._known = [tensor.untyped_storage() for tensor in known]
        self._ignored = {storage._cdata for storage in self._known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes or key in self._ignored:
            return
        self._sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def measure_activations(
    config: NVLMConfig, workload: Workload, dtype: torch.dtype = torch.bfloat16, tensor: int = 1
) -> Activations:
    """Activations of one forward and backward pass of `workload.rows` samples.

    Args:
        dtype: what the layers compute in.
        tensor: GPUs that share every layer's heads and feed-forward (tensor parallelism).
    """
    shape = shape_of(config, workload)
    views = workload.rows * shape.views
    small = two_layers(config, tensor)
    model = skeleton(small).train()
    choose_learning(model, applicable(model, workload.trainable))
    with FakeTensorMode():
        pretend(model, dtype)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(forget_gradient)
        tracer = Tracer(model, dtype, workload.rows)
        layer, cross_layer, before_cross, backward = tracer.decoder(shape.sequence, shape.memory)
        quiet = 0 if tracer.gradient_flows() else config.cross_attention_layers[0]
        encoded = 0 if workload.stored_features else views
        return Activations(
            layer=layer,
            cross_layer=cross_layer,
            quiet=quiet,
            unreached=0 if tracer.gradient_flows() else quiet * layer + before_cross,
            layer_input=workload.rows * shape.sequence * config.text_config.hidden_size * dtype.itemsize,
            connector=tracer.connector(views) + tracer.placed(shape.sequence, shape.memory),
            backward=backward,
            logits=tracer.logits(workload.rows * workload.supervised),
            vision=tracer.vision(encoded, config.vision_config.num_hidden_layers) if encoded else 0,
            features=tracer.features(views).nbytes,
        )


class Tracer:
    """Runs the parts of a model of two decoder layers, the second with cross-attention where there is any."""

    def __init__(self, model: Any, dtype: torch.dtype, rows: int) -> None:
        self.model = model
        self.config: NVLMConfig = self.model.config
        self.dtype, self.rows = dtype, rows
        self.width: int = self.config.text_config.hidden_size

    def decoder(self, sequence: int, memory: int) -> tuple[int, int, int, int]:
        """What a layer without and one with cross-attention keeps, the latter up to it, and what a backward pass needs
        beside that."""
        language, rows = self.model.language_model, self.rows
        layers: list[Any] = list(decoder_layers(language))
        embeds = self.empty(rows, sequence, self.width)
        kwargs: dict[str, Any] = {}
        if memory:
            states = self.empty(rows, memory, self.width)
            readable = torch.ones(rows, 1, sequence, memory, dtype=torch.bool)
            kwargs["memory"] = Memory(states, readable, torch.ones(rows, sequence, 1, dtype=torch.bool))
        if rows > 1:  # rows of several lengths are padded, which takes a mask
            kwargs["attention_mask"] = torch.ones(rows, 1, sequence, sequence, dtype=torch.bool)
        else:
            attend_unmasked(language)

        def run() -> Tensor:
            hidden: Tensor = language.model(inputs_embeds=embeds, use_cache=False, **kwargs).last_hidden_state
            return hidden

        first, second = layers
        begun = [first, second, second.cross_attention] if memory else [first, second]
        (plain, *parts), backward = self.trace(run, begun, second)
        return plain, sum(parts), parts[0], backward

    def gradient_flows(self) -> bool:
        """Through the first layer, too? Not where only cross-attention and a connector to memory alone learn."""
        learning = {name for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        inline = bool(self.config.places.in_sequence)
        return any(inline if name.startswith("connector.") else ".cross_attention." not in name for name in learning)

    def vision(self, views: int, layers: int) -> int:
        """The encoder on all views at once."""
        encoder = self.model.vision_model
        tile = self.config.tile_size
        pixels = torch.empty(views, 3, tile, tile, dtype=self.dtype)
        if any(parameter.requires_grad for parameter in encoder.parameters()):
            blocks = next(child for child in encoder.modules() if isinstance(child, nn.ModuleList))
            kept, backward = self.trace(lambda: encode(encoder, pixels), list(blocks), blocks[-1])
            return kept[-1] * layers + backward
        with torch.no_grad(), self.live() as live:
            encode(encoder, pixels)
        return int(live.peak)

    def connector(self, views: int) -> int:
        """The projector on the features of all views: all that it keeps."""
        connector: Connector = self.model.connector
        with self.live() as live:
            projected = connector(self.features(views))
            kept = live.now
        del projected
        return int(kept)

    def placed(self, sequence: int, memory: int) -> int:
        """Words and image tokens in the sequence, before and after these are put in; memory, gathered."""
        return int(self.rows * self.width * self.dtype.itemsize * (2 * sequence + memory))

    def logits(self, rows: int) -> int:
        """Logits, loss and their backward pass. The head's own gradient counts with the gradients."""
        head = self.model.get_output_embeddings().weight.detach()
        hidden = self.empty(rows, self.width)
        targets = torch.zeros(rows, dtype=torch.int64)
        with self.live() as live:
            logits = nn.functional.linear(hidden, head)
            loss = nn.functional.cross_entropy(logits.float(), targets, reduction="sum")  # as in `modeling/loss.py`
            torch.autograd.backward(loss)
        return int(live.peak)

    def features(self, views: int) -> Tensor:
        """What the encoder gives."""
        vision = self.config.vision_config
        return torch.empty(views, grid_size(vision) ** 2, vision.hidden_size, dtype=self.dtype)

    def empty(self, *size: int) -> Tensor:
        """An input whose gradient is needed."""
        return torch.empty(*size, dtype=self.dtype, requires_grad=True)

    def live(self) -> LiveBytes:
        """A counter that leaves out the weights."""
        return LiveBytes(self.model.parameters())

    def trace(self, run: Callable[[], Tensor], begun: Sequence[nn.Module], last: nn.Module) -> tuple[list[int], int]:
        """What is kept in `run` from the beginning of each module to that of the next, and in the end to the end of the
        last; and what the backward pass needs beside all that."""
        marks: list[int] = []
        with self.live() as live:
            hooks = [module.register_forward_pre_hook(lambda *_: marks.append(live.now)) for module in begun]
            hooks.append(last.register_forward_hook(lambda *_: marks.append(live.now)))
            out = run()
            for hook in hooks:
                hook.remove()
            kept = live.peak = live.now
            if out.requires_grad:
                torch.autograd.backward(out, torch.empty_like(out))
        return [after - before for before, after in pairwise(marks)], live.peak - kept


def two_layers(config: NVLMConfig, tensor: int) -> NVLMConfig:
    """A model of the same widths with two decoder layers, cross-attention in the second, as one of `tensor` GPUs has
    them."""
    small = copy.deepcopy(config)
    text = small.text_config
    text.head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    text.num_hidden_layers = small.cross_attention_every = 2
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:2]
    text.num_key_value_heads = (getattr(text, "num_key_value_heads", None) or text.num_attention_heads) // tensor
    text.num_attention_heads //= tensor
    small.projector_hidden_size = (small.projector_hidden_size or text.intermediate_size) // tensor
    text.intermediate_size //= tensor
    small.vision_config.num_hidden_layers = 2
    return small


def applicable(model: nn.Module, trainable: Sequence[str]) -> list[str]:
    """Patterns that match something in a model of fewer layers."""
    names = [name for name, _ in model.named_parameters()]
    return [pattern for pattern in trainable if any(fnmatchcase(name, pattern) for name in names)]


def pretend(model: nn.Module, dtype: torch.dtype) -> None:
    """Give a model on the `meta` device the current mode's tensors instead, its weights in `dtype`."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                fresh = nn.Parameter(torch.empty(weight.shape, dtype=dtype), requires_grad=weight.requires_grad)
                module._parameters[name] = made.setdefault(id(weight), fresh)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


def forget_gradient(parameter: Tensor) -> None:
    """Gradients count elsewhere."""
    parameter.grad = None


def attend_unmasked(language: Any) -> None:
    """Let self-attention be causal without a mask, as kernels for GPUs run one packed row."""
    AttentionInterface.register(UNMASKED, unmasked)
    AttentionMaskInterface.register(UNMASKED, lambda *args, **kwargs: None)
    language.set_attn_implementation(UNMASKED)


def unmasked(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Any, **kwargs: Any) -> Any:
    """Torch's scaled dot product without a mask."""
    return sdpa_attention_forward(module, query, key, value, None, **kwargs)

"""How a model is cut among the GPUs of a tensor-parallel group: the plan that transformers applies while it loads.

The language model brings its own plan. Added are the connector, and cross-attention by heads, as the language model
cuts self-attention. The vision encoder stands whole on every GPU: 25 heads (InternViT-6B) divide by none of 2, 4 and 8.
"""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.distributed.tensor import DTensor
from transformers.distributed.parallel_utils import ALL_PARALLEL_STYLES, replace_layer_number_by_wildcard
from transformers.distributed.tensor_parallel import TensorParallelLayer

__all__ = [
    "SHARED_BY_HEADS",
    "TWO_LINEARS",
    "SharedByHeads",
    "TwoLinearsParallel",
    "check_divides",
    "check_sharded",
    "is_named",
    "tensor_parallel_plan",
]

TWO_LINEARS, SHARED_BY_HEADS = "nvlm_two_linears", "nvlm_shared_by_heads"
LANGUAGE, VISION, CROSS_ATTENTION = "language_model.", "vision_model.", "language_model.model.layers.*.cross_attention"


class TwoLinearsParallel(TensorParallelLayer):
    """Two linear layers and what stands between them: the first by columns, the last by rows, one sum at the end.

    A plan cannot name them one by one: it writes `*` for every number, and `connector.projector.0`, `.1` and `.2` are
    one name to it.
    """

    def install_forward(self, module: nn.Module, mesh: Any) -> nn.Module:
        """Cut the two layers' weights and put the exchange between GPUs round their forward."""
        first, last = (child for child in module.children() if isinstance(child, nn.Linear))
        for linear, style in ((first, ALL_PARALLEL_STYLES["colwise"]), (last, ALL_PARALLEL_STYLES["rowwise"])):
            for name in [name for name, _ in linear.named_parameters()]:
                style.shard_param(linear, name, mesh)
            style.install_forward(linear, mesh)
        return module


class SharedByHeads(TensorParallelLayer):
    """Weights that every head uses, whole on every GPU: each has the gradient of its own heads, and all are summed.

    transformers' style for this, `replicated_with_grad_allreduce`, sums what `.grad` holds after every backward pass:
    with a second micro-batch it counts the first again.
    """

    @contextmanager
    def context_around_forward(self, module: nn.Module, mesh: Any) -> Iterator[None]:
        """Let the module see its weights through a function that sums their gradients on the way back."""
        own = dict(module._parameters)
        seen = {name: SummedGradient.apply(weight, mesh.get_group()) for name, weight in own.items()}  # type: ignore[no-untyped-call]
        module._parameters.update(seen)
        try:
            yield
        finally:
            module._parameters.update(own)


class SummedGradient(Function):
    """The weight itself; its gradient is the sum over the group."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


def tensor_parallel_plan(model: Any) -> dict[str, str]:
    """Names of modules, `*` for a layer's number → how transformers cuts them; empty where the language model has no
    plan."""
    inherited: dict[str, str] = model.tp_plan or {}
    language = {name: style for name, style in inherited.items() if name.startswith(LANGUAGE)}
    if not language:
        return {}
    language = {
        name: SHARED_BY_HEADS if style == "replicated_with_grad_allreduce" else style
        for name, style in language.items()
    }
    deep = model.config.projector_depth == 2
    plan = language | {"connector.projector": TWO_LINEARS if deep else "colwise_gather_output"}
    if branches := model.cross_attentions():
        plan |= {f"{CROSS_ATTENTION}.{name}_proj": "colwise" for name in "qkv"}
        plan |= {f"{CROSS_ATTENTION}.o_proj": "rowwise"}
        if model.config.cross_attention_qk_norm:
            plan |= {f"{CROSS_ATTENTION}.{name}_norm": SHARED_BY_HEADS for name in "qk"}
        if branches[0].feed_forward is not None:
            mlp, own = f"{LANGUAGE}model.layers.*.mlp.", f"{CROSS_ATTENTION}.feed_forward."
            plan |= {own + name.removeprefix(mlp): style for name, style in language.items() if name.startswith(mlp)}
    return plan


def check_divides(config: Any, size: int) -> None:
    """Refuse a group among whose GPUs the language model's heads cannot be shared evenly.

    Raises:
        ValueError: it is, or fewer than one GPU.
    """
    text = config.text_config
    heads = text.num_attention_heads
    groups = getattr(text, "num_key_value_heads", None) or heads
    if size < 1 or heads % size or groups % size:
        raise ValueError(
            f"the language model has {heads} heads in {groups} key/value groups, which cannot be shared evenly among "
            f"{size} GPUs; the number of GPUs must divide both"
        )


def check_sharded(model: Any) -> None:
    """Make sure that the plan did what it says: transformers only warns when a name matches nothing.

    Raises:
        ValueError: the language model has no plan, a name of the plan matches no module, or a matrix that it names is
            whole on every GPU.
    """
    plan: dict[str, str] = model.tp_plan or {}
    if not any(name.startswith(LANGUAGE) for name in plan):
        raise ValueError(
            f"{type(model.language_model).__name__} has no tensor-parallel plan, so its weights would be whole on "
            "every GPU; split it by layers instead (device_map)"
        )
    named = {path: tensor for path, tensor in model.named_parameters() if is_named(path, plan)}
    if unused := [name for name in plan if not any(is_named(path, {name: plan[name]}) for path in named)]:
        raise ValueError(
            f"the tensor-parallel plan names {', '.join(unused)}, which {type(model).__name__} does not have"
        )
    if whole := [path for path, tensor in named.items() if tensor.ndim > 1 and not _is_cut(tensor)]:
        raise ValueError(
            f"{len(whole)} weights that the tensor-parallel plan names are whole on every GPU, the first is {whole[0]}"
        )


def is_named(parameter: str, plan: Container[str]) -> bool:
    """Is a parameter, or a module that it is in, named by a plan?"""
    parts = replace_layer_number_by_wildcard(parameter).split(".")
    return any(".".join(parts[:end]) in plan for end in range(1, len(parts) + 1))


def _is_cut(tensor: Tensor) -> bool:
    return isinstance(tensor, DTensor) and any(placement.is_shard() for placement in tensor.placements)

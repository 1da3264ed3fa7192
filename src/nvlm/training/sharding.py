"""Spread a model over the processes of a run, in place: tensor parallelism by the model's own plan, FSDP2 by blocks.

A block is what transformers can checkpoint alone: a decoder layer with its cross-attention, a layer of the vision
encoder. Each block is sharded by itself, the vision encoder's rest with the encoder, everything else (embeddings,
connector, head) with the whole model, where it stays gathered from the forward pass to the end of the backward one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint
from transformers.distributed.configuration_utils import DistributedConfig
from transformers.distributed.parallel_utils import replace_layer_number_by_wildcard
from transformers.distributed.tensor_parallel import apply_tensor_parallelism
from transformers.modeling_layers import GradientCheckpointingLayer

from nvlm.modeling.config import NVLMConfig
from nvlm.modeling.tensor_parallel import check_divides, check_sharded
from nvlm.planning.layouts import skeleton
from nvlm.planning.sharding import Layout
from nvlm.training.ranks import FSDP, REPLICAS, TENSOR, Ranks

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What a forward pass computes in. What learns, optimisers and sums of gradients keep the model's own type."""


def spread(model: nn.Module, ranks: Ranks, precision: str = "float32") -> None:
    """Cut a model that every process has whole, as the layout says; plain replicas change nothing.

    A model that `from_pretrained` has sharded while loading is only checked.

    Raises:
        ValueError: tensor parallelism for a model without a plan, or whose heads the group cannot share evenly; or
            a parameter is left whole on every process.
    """
    layout = ranks.layout
    if not any(isinstance(each, DTensor) for each in model.parameters()):
        if layout.tensor > 1:
            _cut_matrices(model, ranks)
        if layout.fsdp > 1:
            _shard(model, ranks, precision)
    if layout.tensor > 1:
        check_sharded(model)
    if layout.fsdp > 1 or isinstance(model, FSDPModule):
        check_fsdp(model)


def shrink_frozen(model: nn.Module, precision: str) -> None:
    """Store what does not learn in the type that passes compute in, in place: no small steps are to be added to it."""
    kind = PRECISIONS[precision]
    for parameter in list(model.parameters()) if kind != torch.float32 else ():
        if not parameter.requires_grad and parameter.dtype == torch.float32:
            smaller = nn.Parameter(parameter.detach().to(kind), requires_grad=False)
            torch.utils.swap_tensors(parameter, smaller)  # type: ignore[no-untyped-call]


def loading(config: NVLMConfig, layout: Layout, precision: str = "float32") -> DistributedConfig | None:
    """What ``from_pretrained`` takes as ``distributed_config`` so that every process reads its own part only.

    For models that no process can hold whole. `spread` then only checks what was done, so the precision of the passes
    is decided here. None where every process has all of the model.
    """
    if layout.fsdp * layout.tensor == 1:
        return None
    model = skeleton(config)
    chosen = {id(module) for module in (*blocks(model), model.vision_model)}
    names = [name for name, module in model.named_modules() if id(module) in chosen]
    table = next(name for name, module in model.named_modules() if module is model.get_input_embeddings())
    plan = {replace_layer_number_by_wildcard(name): "free_full_weight" for name in names}
    return DistributedConfig(
        tp_size=layout.tensor,
        fsdp_size=layout.fsdp,
        dp_replicate_size=layout.replicas,
        fsdp_plan=plan | {table: "keep_full_weight"},  # tags in memory read it a second time
        fsdp_mixed_precision=precision == "bfloat16",
    )


def blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of the model's parts, as transformers marks them."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def _cut_matrices(model: Any, ranks: Ranks) -> None:
    plan: dict[str, str] = getattr(model, "tp_plan", None) or {}
    if not plan:
        raise ValueError(f"{type(model).__name__} has no tensor-parallel plan; spread it over shards instead")
    check_divides(model.config, ranks.layout.tensor)
    named = [name for name, _ in (*model.named_parameters(), *model.named_modules())]
    apply_tensor_parallelism(model, ranks.mesh[TENSOR], dict(_resolved(plan, named)))
    model.tie_weights()


def _resolved(plan: dict[str, str], names: list[str]) -> Iterator[tuple[str, str]]:
    """The plan with layer numbers for `*`: parameters to be cut, then the modules round which something happens.

    A module's own parameters are cut as the module is.
    """
    for name in names:
        pattern = replace_layer_number_by_wildcard(name)
        owner = pattern.rpartition(".")[0]
        style = plan.get(pattern) or (plan.get(owner) if pattern.endswith((".weight", ".bias")) else None)
        if style is not None:
            yield name, style


def _shard(model: nn.Module, ranks: Ranks, precision: str) -> None:
    mesh = ranks.mesh[REPLICAS, FSDP] if ranks.layout.replicas > 1 else ranks.mesh[FSDP]
    kind = PRECISIONS[precision]
    policy = MixedPrecisionPolicy()
    if kind != torch.float32:
        policy = MixedPrecisionPolicy(param_dtype=kind, reduce_dtype=torch.float32)
    encoder = getattr(model, "vision_model", nn.Module())
    encoding = blocks(encoder)
    shard = partial(fully_shard, mesh=mesh, mp_policy=policy)
    sharded = [(module, shard(module, reshard_after_forward=True)) for module in blocks(model)]
    if encoding:
        shard(encoder, reshard_after_forward=True)
    whole = shard(model)
    first = next((each for module, each in sharded if module not in encoding), None)
    if first is not None and not any(parameter.requires_grad for parameter in encoder.parameters()):
        first.set_modules_to_backward_prefetch([whole])  # and not what ran before it: the frozen encoder


def check_fsdp(model: nn.Module) -> None:
    """Make sure that nothing is whole on every process.

    Raises:
        ValueError: a parameter is no DTensor, or a block is not sharded by itself.
    """
    if whole := [name for name, tensor in model.named_parameters() if not isinstance(tensor, DTensor)]:
        raise ValueError(f"{len(whole)} parameters are whole on every process, the first is {whole[0]}")
    names = {id(module): name for name, module in model.named_modules()}
    if loose := [names[id(block)] for block in blocks(model) if not isinstance(block, FSDPModule)]:
        raise ValueError(f"{len(loose)} layers are not sharded by themselves, the first is {loose[0]}")


@contextmanager
def recomputing(model: nn.Module, wanted: bool) -> Iterator[None]:
    """Activation checkpointing: every block keeps its input only, and is computed again on the way back.

    transformers' own switch leaves out layers in eval mode. Frozen decoder layers are, and a gradient goes through
    them to the connector all the same.
    """
    chosen = blocks(model) if wanted else []
    before = [vars(block).get("forward") for block in chosen]
    for block in chosen:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block, forward in zip(chosen, before, strict=True):
            del block.forward
            if forward is not None:
                block.forward = forward


@contextmanager
def computing_in(precision: str, model: nn.Module) -> Iterator[None]:
    """Forward passes in a smaller type where FSDP does not see to it."""
    kind, device = PRECISIONS[precision], next(model.parameters()).device.type
    own = kind == torch.float32 or isinstance(model, FSDPModule)
    with torch.autocast(device, kind, enabled=not own):
        yield


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def is_cut(tensor: Tensor, dimension: str) -> bool:
    """Whether a dimension of the mesh shares the tensor out, each process holding a part."""
    if not isinstance(tensor, DTensor) or dimension not in (tensor.device_mesh.mesh_dim_names or ()):
        return False
    names = tensor.device_mesh.mesh_dim_names or ()
    return not tensor.placements[names.index(dimension)].is_replicate()

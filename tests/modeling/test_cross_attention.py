"""The gated branch on its own."""

import pytest
import torch
from torch import nn
from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP

from nvlm.modeling import GatedCrossAttention
from nvlm.modeling.masks import Memory, may_read
from tests.modeling.batches import FAMILIES, model, text_config


def memory(rows: int = 2, tokens: int = 5, views: int = 3, blind: tuple[int, ...] = ()) -> Memory:
    """Three views of four keys, read by every token except the `blind` ones."""
    reads = torch.ones(rows, tokens, views, dtype=torch.bool)
    reads[:, list(blind)] = False
    return Memory(torch.randn(rows, views * 4, 32), *may_read(reads, None, 4))


def block(gate: float = 0.5, **changes: object) -> GatedCrossAttention:
    torch.manual_seed(0)
    return GatedCrossAttention(text_config("qwen3"), cache_slot=4, gate_init=gate, **changes)


def test_new_cross_attention_is_the_identity():
    x = torch.randn(2, 5, 32)
    torch.testing.assert_close(block(gate=0.0)(x, memory()), x, rtol=0, atol=0)


def test_heads_and_groups_are_the_language_models():
    shapes = {name: tuple(p.shape) for name, p in block().named_parameters()}
    assert shapes == {
        "gate": (1,),
        "norm.weight": (32,),
        "q_proj.weight": (48, 32),
        "k_proj.weight": (24, 32),
        "v_proj.weight": (24, 32),
        "o_proj.weight": (32, 48),
        "q_norm.weight": (12,),
        "k_norm.weight": (12,),
    }


def test_query_and_key_norms_are_a_choice():
    names = {name for name, _ in block(qk_norm=False).named_parameters()}
    assert not names & {"q_norm.weight", "k_norm.weight"}


def test_formula():
    """x + tanh(g) · attention(norm(x), memory), head by head and without a mask."""
    branch, x, m = block(), torch.randn(2, 5, 32), memory()
    q = branch.q_norm(branch.q_proj(branch.norm(x)).unflatten(-1, (4, 12)))
    k = branch.k_norm(branch.k_proj(m.states).unflatten(-1, (2, 12))).repeat_interleave(2, 2)
    v = branch.v_proj(m.states).unflatten(-1, (2, 12)).repeat_interleave(2, 2)
    weights = torch.einsum("bshd,bkhd->bhsk", q, k).mul(12**-0.5).softmax(-1)
    expected = x + branch.gate.tanh() * branch.o_proj(torch.einsum("bhsk,bkhd->bshd", weights, v).flatten(2))
    torch.testing.assert_close(branch(x, m), expected)


@pytest.mark.parametrize("feed_forward", [False, True])
def test_a_token_with_nothing_to_read_passes_unchanged_and_gradients_are_finite(feed_forward: bool):
    own = Qwen3MLP(text_config("qwen3")) if feed_forward else None
    branch, x = block(feed_forward=own), torch.randn(2, 5, 32, requires_grad=True)
    out = branch(x, memory(blind=(0, 3)))
    torch.testing.assert_close(out[:, [0, 3]], x[:, [0, 3]], rtol=0, atol=0)
    assert not torch.allclose(out[:, [1, 2, 4]], x[:, [1, 2, 4]])
    out.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (x, *branch.parameters()))


def test_memory_that_nobody_reads_gets_no_gradient_and_no_nan():
    branch, m = block(), memory(blind=(0, 1, 2, 3, 4))
    states = m.states.requires_grad_()
    branch(torch.randn(2, 5, 32), Memory(states, m.mask, m.readers)).sum().backward()
    assert torch.equal(states.grad, torch.zeros_like(states))


def test_the_order_of_views_does_not_matter():
    """No position encoding on memory: permuting the keys, mask and all, changes nothing."""
    branch, x, m = block(), torch.randn(2, 5, 32), memory()
    order = torch.randperm(12)
    swapped = Memory(m.states[:, order], m.mask[..., order], m.readers)
    torch.testing.assert_close(branch(x, m), branch(x, swapped))


def test_own_feed_forward_is_gated_too():
    """Flamingo's form: with its gate shut the second branch is the identity."""
    branch, plain = block(feed_forward=Qwen3MLP(text_config("qwen3"))), block()
    plain.load_state_dict({k: v for k, v in branch.state_dict().items() if not k.startswith("feed_forward")})
    x, m = torch.randn(2, 5, 32), memory()
    assert not torch.allclose(branch(x, m), plain(x, m))
    nn.init.zeros_(branch.feed_forward_gate)
    torch.testing.assert_close(branch(x, m), plain(x, m), rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_warm_start_copies_the_same_layers_self_attention(family: str):
    nvlm = model("X", family, cross_attention_warm_start=True, cross_attention_gate_init=0.5)
    for index in nvlm.config.cross_attention_layers:
        layer = nvlm.language_model.model.layers[index]
        for name in ("q_proj", "o_proj"):
            assert torch.equal(getattr(layer.cross_attention, name).weight, getattr(layer.self_attn, name).weight)
        assert torch.equal(layer.cross_attention.norm.weight, layer.input_layernorm.weight)
        assert layer.cross_attention.gate.item() == 0.5


def test_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert block()(torch.randn(2, 5, 32), memory()).isfinite().all()

"""The tensor-parallel plan: what it names, what it leaves whole, and that a plan that does nothing is noticed.

That its parts compute what the whole model computes is tested with two processes, in `tests/inference`.
"""

import re

import pytest
from torch import nn

from nvlm.modeling.tensor_parallel import check_divides, check_sharded, is_named, tensor_parallel_plan
from tests.modeling.batches import EVERY_ARCHITECTURE, FAMILIES, config, model
from tests.modeling.test_full_size import build


@pytest.mark.parametrize("architecture", EVERY_ARCHITECTURE)
@pytest.mark.parametrize("size", ["72B", "34B"])
def test_only_the_encoder_stays_whole(size: str, architecture: str) -> None:
    full = build(size, architecture)
    whole = [name for name, tensor in full.named_parameters() if tensor.ndim > 1 and not is_named(name, full.tp_plan)]
    assert whole == [name for name, tensor in full.vision_model.named_parameters("vision_model") if tensor.ndim > 1]
    names = {re.sub(r"\.\d+(?=\.|$)", ".*", name) for name, _ in full.named_modules()}
    assert set(full.tp_plan) <= names


@pytest.mark.parametrize("family", FAMILIES)
def test_cross_attention_is_cut_as_self_attention_is(family: str) -> None:
    plan = model("H", family, cross_attention_feed_forward=True).tp_plan
    layer = "language_model.model.layers.*."
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        assert plan[f"{layer}cross_attention.{name}"] == plan[f"{layer}self_attn.{name}"]
    own = {name.removeprefix(f"{layer}mlp.") for name in plan if name.startswith(f"{layer}mlp.")}
    assert own == {"gate_proj", "up_proj", "down_proj"}
    for name in own:
        assert plan[f"{layer}cross_attention.feed_forward.{name}"] == plan[f"{layer}mlp.{name}"]


def test_no_plan_where_there_is_nothing_to_cut() -> None:
    plan = model("X", cross_attention_qk_norm=False).tp_plan
    assert not any("_norm" in name or "feed_forward" in name for name in plan)
    assert not any("cross_attention" in name for name in model("D").tp_plan)
    bare = model("D")
    bare._tp_plan = {}
    assert tensor_parallel_plan(bare) == {}
    with pytest.raises(ValueError, match="Qwen2ForCausalLM has no tensor-parallel plan"):
        check_sharded(bare)


def test_a_plan_that_did_nothing_is_noticed() -> None:
    whole = model("H")
    with pytest.raises(ValueError, match=r"\d+ weights .* are whole on every GPU, the first is connector.projector.0"):
        check_sharded(whole)
    whole.language_model.model.layers[1].cross_attention.q_proj = nn.Identity()
    whole.language_model.model.layers[3].cross_attention.q_proj = nn.Identity()
    with pytest.raises(ValueError, match=r"plan names \S+cross_attention.q_proj, which NVLM\w+ does not have"):
        check_sharded(whole)


def test_heads_are_shared_evenly() -> None:
    check_divides(config("H"), 2)
    for size in (0, 3, 4):
        with pytest.raises(ValueError, match=f"4 heads in 2 key/value groups, .* among {size} GPUs"):
            check_divides(config("H"), size)

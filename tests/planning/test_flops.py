"""FLOPs by formula, against torch's own count of a real forward and backward pass, and against published sums."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nvlm.modeling import ARCHITECTURES
from nvlm.planning.flops import Flops, sample_flops, total
from nvlm.planning.parameters import choose_learning
from nvlm.planning.workload import Workload, shape_of
from tests.modeling.batches import Picture, batch, model, text, with_labels
from tests.modeling.test_full_size import build

CONNECTOR, CROSS, LANGUAGE = "connector.*", "language_model.*.cross_attention.*", "language_model.*"
SUPERVISED = 12


def patterns(architecture: str, stage: str) -> tuple[str, ...]:
    if stage == "sft":
        return (CONNECTOR, LANGUAGE)
    return (CONNECTOR, CROSS) if ARCHITECTURES[architecture].in_memory else (CONNECTOR,)


def counted(nvlm: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> float:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        nvlm(**inputs, use_cache=False).loss.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("stage", ["pretrain", "sft"])
@pytest.mark.parametrize("tiles", [1, 3])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forward_and_backward_as_torch_counts_them(architecture: str, tiles: int, stage: str):
    nvlm = model(architecture, vocab_size=96)
    trainable = patterns(architecture, stage)
    inputs = with_labels(batch(architecture, [text(10), Picture(tiles), text(40)]), SUPERVISED)

    def workload(words: int) -> Workload:
        return Workload(
            "test", trainable, 1, 1, text=words, tiles=tiles, tag_tokens=2, supervised=min(words, SUPERVISED)
        )

    room = inputs["input_ids"].shape[1] - shape_of(nvlm.config, workload(1)).sequence + 1
    choose_learning(nvlm, trainable)
    # the mathematical form of attention computes every pair and masks half of them
    formula = total(sample_flops(nvlm, workload(room), causal=1.0)).both
    assert formula == pytest.approx(counted(nvlm, inputs), rel=0.02)


def test_stored_features_take_the_encoder_out():
    nvlm = model("D")
    choose_learning(nvlm, (CONNECTOR,))
    seen = Workload("test", (CONNECTOR,), 1, 1, text=20, tiles=3, tag_tokens=0, supervised=5)
    stored = Workload("test", (CONNECTOR,), 1, 1, text=20, tiles=3, tag_tokens=0, supervised=5, stored_features=True)
    with_encoder, without = sample_flops(nvlm, seen), sample_flops(nvlm, stored)
    assert without.pop("vision encoder") == Flops()
    assert with_encoder.pop("vision encoder").forward > 0
    assert with_encoder == without


def test_a_frozen_encoder_only_goes_forward_and_a_learning_one_costs_three_times():
    nvlm = model("D")
    work = Workload("test", (CONNECTOR,), 1, 1, text=20, tiles=1, tag_tokens=0, supervised=5)
    choose_learning(nvlm, (CONNECTOR,))
    frozen = sample_flops(nvlm, work)["vision encoder"]
    choose_learning(nvlm, ("*",))
    learning = sample_flops(nvlm, work)["vision encoder"]
    assert frozen.backward == 0
    assert learning.forward == frozen.forward
    assert learning.both == pytest.approx(3 * frozen.forward, rel=0.05)  # but for the gradient of the pixels


@pytest.mark.parametrize(("architecture", "tera"), [("D", 84 + 1232), ("X", 84 + 506 - 45), ("H", 84 + 630 - 56)])
def test_72b_with_six_tiles_and_a_thousand_tokens_of_text(architecture: str, tera: float):
    """Sums worked out by hand for 1,024 tokens of text; those for X and H less a feed-forward in cross-attention."""
    nvlm = build("72B", architecture)
    trainable = (CONNECTOR, LANGUAGE)
    choose_learning(nvlm, trainable)
    work = Workload("test", trainable, 1, 1, text=1024, tiles=6, tag_tokens=0, supervised=1024)
    assert total(sample_flops(nvlm, work)).both / 1e12 == pytest.approx(tera, rel=0.01)

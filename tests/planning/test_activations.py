"""Memory of activations, against every storage that a real forward and backward pass makes."""

import gc

import pytest
import torch
from torch import nn

from nvlm.modeling import ARCHITECTURES
from nvlm.planning.activations import LiveBytes, measure_activations
from nvlm.planning.parameters import choose_learning
from nvlm.planning.workload import Workload, shape_of
from tests.modeling.batches import Picture, batch, config, model, text, text_config, with_labels
from tests.planning.test_flops import patterns

TILES, TAG, SUPERVISED = 3, 2, 30


def workload(config, trainable: tuple[str, ...], length: int, rows: int = 1) -> Workload:
    """Samples of `length` tokens in the sequence."""

    def of(words: int) -> Workload:
        return Workload("test", trainable, 1, 1, words, TILES, TAG, supervised=min(words, SUPERVISED), rows=rows)

    return of(length - shape_of(config, of(1)).sequence + 1)


def lived(nvlm: nn.Module, inputs: dict[str, torch.Tensor]) -> int:
    """The most bytes beside weights and inputs, in a step whose gradients are forgotten as they come."""
    gc.collect()
    for parameter in nvlm.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(lambda weight: setattr(weight, "grad", None))
    with LiveBytes([*nvlm.parameters(), *nvlm.buffers(), *inputs.values()]) as live:
        nvlm(**inputs, use_cache=False).loss.backward()
    return live.peak


@pytest.mark.parametrize("lengths", [(150,), (150, 90, 120)], ids=["one row", "padded rows"])
@pytest.mark.parametrize("stage", ["pretrain", "sft"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_peak_of_a_real_step(architecture: str, stage: str, lengths: tuple[int, ...]):
    nvlm = model(architecture, text_config=text_config(num_hidden_layers=8)).train()
    trainable = patterns(architecture, stage)
    choose_learning(nvlm, trainable)
    rows = [[text(10), Picture(TILES), text(length)] for length in lengths]
    inputs = with_labels(batch(architecture, *rows), SUPERVISED)
    work = workload(nvlm.config, trainable, inputs["input_ids"].shape[1], len(lengths))
    found = measure_activations(nvlm.config, work, torch.float32)
    layers, crosses = nvlm.config.text_config.num_hidden_layers, len(nvlm.config.cross_attention_layers)
    peak = found.features + found.kept(layers, crosses, recompute=False) + max(found.backward, found.logits)
    # measured: 1.01 to 1.02; what is made once, such as positions and masks, counts in one of them only
    assert peak == pytest.approx(lived(nvlm, inputs), rel=0.03)


def test_bf16_keeps_less_than_float32():
    settings = config("H")
    work = workload(settings, ("connector.*", "language_model.*"), 100)
    half, single = (measure_activations(settings, work, dtype) for dtype in (torch.bfloat16, torch.float32))
    assert single.layer_input == 2 * half.layer_input
    assert 1.3 < single.layer / half.layer < 2  # norms and softmax stay in float32


def test_tensor_parallelism_shares_heads_and_feed_forward_and_not_the_residuals():
    settings = config("D")
    work = workload(settings, ("connector.*", "language_model.*"), 100)
    whole, shared = (measure_activations(settings, work, torch.bfloat16, tensor) for tensor in (1, 2))
    assert whole.layer / 2 < shared.layer < whole.layer
    assert shared.layer_input == whole.layer_input
    assert shared.logits == whole.logits


def test_recomputing_keeps_the_inputs_of_layers_and_works_on_one_layer():
    settings = config("X")
    found = measure_activations(settings, workload(settings, ("language_model.*",), 100))
    assert found.kept(4, 2, recompute=True) == found.connector + 4 * found.layer_input
    assert found.kept(4, 2, recompute=False) == found.connector + 2 * found.layer + 2 * found.cross_layer
    assert found.working(recompute=True) == found.backward + found.cross_layer


def test_layers_that_no_gradient_reaches_keep_nothing():
    settings = config("X")
    learning = ("connector.*", "language_model.*.cross_attention.*")
    found = measure_activations(settings, workload(settings, learning, 100))
    assert found.quiet == 1
    assert found.layer < found.unreached < 2 * found.layer
    sequence_learns = measure_activations(config("H"), workload(config("H"), learning, 100))
    assert (sequence_learns.quiet, sequence_learns.unreached) == (0, 0)


def test_an_encoder_that_learns_keeps_all_its_layers():
    settings = config("D")
    frozen = measure_activations(settings, workload(settings, ("connector.*",), 100))
    learning = measure_activations(settings, workload(settings, ("connector.*", "vision_model.*"), 100))
    deeper = config("D")
    deeper.vision_config.num_hidden_layers *= 4
    deep = measure_activations(deeper, workload(deeper, ("connector.*", "vision_model.*"), 100))
    assert learning.vision > frozen.vision
    assert deep.vision > 2 * learning.vision


def test_the_count_follows_what_is_freed():
    with LiveBytes() as live:
        first = torch.zeros(1000)
        first = torch.zeros(500)
        second = first.view(5, 100)
    assert live.now == second.untyped_storage().nbytes() == 2000
    assert live.peak == 6000

import torch

from nvlm.planning.activations import Activations
from nvlm.planning.memory import MIXED, SINGLE, Memory, gpu_memory
from nvlm.planning.parameters import Count
from nvlm.planning.sharding import Layout
from tests.modeling.batches import config

PARTS = {
    "vision encoder": Count(800, 0),
    "connector": Count(80, 80),
    "embeddings": Count(160, 160),
    "decoder layers": Count(4000, 4000),
    "cross-attention": Count(200, 200),
    "head": Count(160, 160),
}
NOTHING = Activations()


def test_shares_of_sharded_weights():
    found = gpu_memory(config("H"), PARTS, NOTHING, Layout(fsdp=4, tensor=2, replicas=3))
    tensor_parallel, whole = 80 + 4000 + 200 + 160, 160
    share = tensor_parallel / 8 + whole / 4
    assert found.gradients == share * 4
    assert found.optimiser == share * 8
    assert found.weights == share * 4 + 800 / 4 * 2


def test_buffers_are_two_whole_units_and_one_gradient():
    found = gpu_memory(config("H"), PARTS, NOTHING, Layout(fsdp=8))
    layer = 4000 / 4 + 200 / 2  # four layers, two with cross-attention
    assert found.buffers == 2 * layer * 2 + layer * (2 + 4)
    frozen = {part: Count(count.total, 0) for part, count in PARTS.items()}
    assert gpu_memory(config("H"), frozen, NOTHING, Layout(fsdp=8)).buffers == 2 * layer * 2


def test_one_process_in_float32_has_no_copies():
    found = gpu_memory(config("H"), PARTS, NOTHING, Layout(), moments=1, precision=SINGLE)
    assert (found.buffers, found.weights) == (0, 5400 * 4)
    assert found.optimiser == found.gradients == 4600 * 4
    assert SINGLE.compute == torch.float32 != MIXED.compute


def test_the_peak_holds_what_is_there_at_once():
    state = Memory(1, 2, 3, 4, activations=50, backward=10, logits=20, vision=60, features=5)
    assert state.peak == 1 + 2 + 3 + 4 + 5 + 50 + 20
    larger = Memory(1, 2, 3, 4, activations=50, backward=10, logits=20, vision=600, features=5)
    assert larger.peak == 1 + 2 + 3 + 4 + 5 + 600

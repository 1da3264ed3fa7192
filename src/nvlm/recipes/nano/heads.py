"""Attention heads that begin near what looking up needs, so that a small language model learns it in minutes.

To answer "stone?" after "apple 34, stone 12", a decoder must carry a label to the value that follows it, carry the
asked word to where the answer begins, match the two, and copy (an induction circuit, Olsson et al. 2022). None of the
parts helps alone, so gradient descent waits long before it finds them together. Here the parts stand at the start, and
training does the rest; the idea that attention should begin as attention ends is Trockman and Kolter's (2023).
"""

import torch
from torch import Tensor, nn
from transformers import Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

from nvlm.modeling.model import NVLMForConditionalGeneration

SHARPNESS = 6.0
"""Size of the biases that make a head look a fixed distance back: most of its attention falls there."""

TURNING_PAIRS = 4
"""Only the fastest rotary pairs tell neighbouring places apart."""

DISTANCES = {0: 1, 1: 6, 2: 2, 3: 1}
"""How far back heads of the first layer look: to the token before, and from an answer's start to the asked word."""


@torch.no_grad()
def start_heads(model: Qwen2ForCausalLM) -> None:
    """Set the first two layers' heads, in place: distances in the first, match and copy in the second."""
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    size, frequencies = first.head_dim, model.model.rotary_emb.inv_freq
    per_group = first.num_key_value_groups
    for head, distance in DISTANCES.items():
        _look_back(first, head, head // per_group, distance, frequencies)
    _block(first.o_proj, 1, size).copy_(_block(first.o_proj, 0, size))
    for group in range(second.k_proj.out_features // size):
        rows = slice(group * size, (group + 1) * size)
        second.k_proj.weight[rows] *= 3
        head = group * per_group
        second.q_proj.weight[head * size : (head + 1) * size] = second.k_proj.weight[rows]
        _block(second.o_proj, head, size).copy_(2 * second.v_proj.weight[rows].T)


@torch.no_grad()
def start_reading(model: NVLMForConditionalGeneration) -> None:
    """Let the last cross-attention begin as a copier, in place: what it attends to goes on to the head as it is.

    Memory begins as embeddings of words, and so does what the head compares with. A warm start alone does not copy:
    self-attention of a late layer has learned to read and to write states, which look unlike embeddings. Values are
    orthogonal directions and outputs their transpose, at the sizes that the warm start gave them.
    """
    if not (branches := model.cross_attentions()):
        return
    branch = branches[-1]
    values, outputs = branch.v_proj.weight, branch.o_proj.weight
    sizes = [weight.norm() / len(values) ** 0.5 for weight in (values, outputs)]
    values.copy_(nn.init.orthogonal_(torch.empty_like(values)))
    groups = values.T.reshape(outputs.shape[0], -1, branch.head_dim)
    copied = groups.repeat_interleave(branch.num_key_value_groups, dim=1).flatten(1)
    outputs.copy_(copied * sizes[1] / branch.num_key_value_groups**0.5)
    values.mul_(sizes[0])


def _look_back(attention: Qwen2Attention, head: int, group: int, distance: int, frequencies: Tensor) -> None:
    """Biases whose rotary product is largest ``distance`` tokens back: sum of cos((distance - d) · frequency)."""
    size = 2 * len(frequencies)
    turning = torch.arange(len(frequencies)) < TURNING_PAIRS
    key, query = attention.k_proj.bias, attention.q_proj.bias
    key[group * size : group * size + size // 2] = SHARPNESS * turning
    angle = distance * frequencies
    query[head * size : head * size + size // 2] = SHARPNESS * turning * torch.cos(angle)
    query[head * size + size // 2 : (head + 1) * size] = -SHARPNESS * turning * torch.sin(angle)


def _block(projection: nn.Linear, head: int, size: int) -> Tensor:
    """The columns of an output projection that belong to one head."""
    return projection.weight[:, head * size : (head + 1) * size]

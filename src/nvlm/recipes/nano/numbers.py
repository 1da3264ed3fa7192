"""Numbers that begin in their order, so that a small language model soon compares them.

Language models come to hold numbers as waves of several periods (Zhou et al. 2024, "Pre-trained Large Language Models
Use Fourier Features to Compute Addition"). Here every token of digits begins with such waves beside its random part:
the longest period tells large from small, the shortest is that of the last digit.
"""

import math

import torch
from torch import nn

from nvlm.data.synthetic.tokenizer import SPACE

PERIODS = (200, 100, 50, 20, 10)
AMPLITUDE = 0.1
"""Of each wave. Together they are somewhat smaller than an embedding's random part (norm 0.28)."""


@torch.no_grad()
def start_numbers(embeddings: nn.Embedding, vocabulary: dict[str, int]) -> None:
    """Add the waves of its number to the embedding of every token of digits, in place.

    Args:
        embeddings: (vocabulary, D) of the language model.
        vocabulary: ids of tokens.
    """
    directions = torch.empty(2 * len(PERIODS), embeddings.embedding_dim)
    nn.init.orthogonal_(directions, generator=torch.Generator().manual_seed(0))
    for token, row in vocabulary.items():
        digits = token.removeprefix(SPACE)
        if digits.isascii() and digits.isdigit():
            angles = 2 * math.pi * int(digits) / torch.tensor(PERIODS)
            embeddings.weight[row] += AMPLITUDE * torch.cat([angles.cos(), angles.sin()]) @ directions

"""Alignment, an extra loss of nano pretraining: an image token begins as the words, digits and colours that it shows.

The paper pretrains the connector on captions and documents alone (section 4.5), with millions of samples. With
thousands, a direct target helps: the mean of the language model's own embeddings of what the token covers.
"""

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from nvlm.data.synthetic.canvas import COLOURS, Mark
from nvlm.data.synthetic.dense import HEADS, IGNORED, dense_labels, word_classes
from nvlm.data.synthetic.tokenizer import SPACE
from nvlm.recipes.nano.sizes import DOWNSAMPLE, PATCH_SIZE, TILE_SIZE

NOTHING, UNREADABLE = -1, -2
SHARPNESS = 20.0
"""Of the distances by which an image token is named, in units of a usual embedding's square."""
EMPTY_WEIGHT = 0.25
"""Weight of image tokens that show nothing."""


def shown_tokens(marks: list[Mark], columns: int, rows: int, tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Ids of the text tokens that every image token shows, one place per patch and kind.

    Returns:
        int64 (V, N, K), K = 2 · patches per token; ``NOTHING`` where a patch shows nothing, ``UNREADABLE`` where
        what it shows is too small to read.
    """
    labels = dense_labels(marks, columns, rows, TILE_SIZE, PATCH_SIZE)
    words, characters, colours = _ids(tokenizer)
    is_word = (labels["word"] > 1) & (labels["colour"] == 0)
    first = (labels["place"] == 1).astype(np.int64)
    drawn = labels["colour"] > 0
    shown = np.where(labels["character"] > 0, characters[first, np.maximum(labels["character"], 0)], NOTHING)
    shown = np.where(is_word | drawn, words[np.maximum(labels["word"], 0)], shown)
    coloured = np.where(drawn, colours[np.maximum(labels["colour"], 0)], NOTHING)
    patches = np.stack([shown, coloured], axis=-1)
    patches[labels["character"] == IGNORED] = UNREADABLE
    return torch.from_numpy(_by_token(patches))


def alignment_loss(projected: Tensor, shown: Tensor, embeddings: Tensor, blank: int, place: float = 0.0) -> Tensor:
    """How far image tokens are from the embeddings of what they show, and how hard to tell from other embeddings.

    The first term is the squared distance to the mean embedding of what a token shows, in units of an embedding's own.
    The second is the cross-entropy of naming what it shows by its distance to every embedding of the vocabulary:
    without it, tokens settle at the mean of all words.

    Args:
        projected: (V, N, D) image tokens.
        shown: (V, N, K), see `shown_tokens`.
        embeddings: (vocabulary, D) of the language model.
        blank: the token whose embedding stands for nothing. Zero would not do: the decoder's first norm blows small
            vectors up to the size of words.
        place: of where a token stands in its view, beside what it shows: the size of `place_codes` in an embedding's.
    """
    present = shown >= 0
    shows = present.any(-1)
    weight = torch.where(shows, 1.0, EMPTY_WEIGHT) * ~((shown == UNREADABLE).any(-1) & ~shows)
    named = torch.where(shows.unsqueeze(-1), shown, torch.full_like(shown, blank)).clamp(min=0)
    share = torch.where(shows.unsqueeze(-1), present, torch.ones_like(present)).float()
    share = share / share.sum(-1, keepdim=True)
    target = (embeddings[named] * share.unsqueeze(-1)).sum(2)
    sizes = embeddings.square().sum(-1)
    usual = sizes.median()  # tokens that the language model never met can be far larger
    if place:
        projected = projected - place * usual.sqrt() * place_codes(*projected.shape[1:]).to(projected)
    distance = (projected - target).square().sum(-1) / usual
    logits = SHARPNESS * (projected @ embeddings.T - sizes / 2) / usual
    surprise = -(logits.log_softmax(-1).gather(-1, named) * share).sum(-1)
    return ((distance + surprise) * weight).sum() / weight.sum()


@cache
def place_codes(tokens: int, width: int) -> Tensor:
    """What tells image tokens of one view from each other by where they stand: (N, D), unit columns plus unit rows.

    Directions are orthogonal and arbitrary, so that "in the same row" is one product of two tokens.
    """
    side = math.isqrt(tokens)
    random = torch.randn(width, 2 * side, generator=torch.Generator().manual_seed(0))
    columns, rows = torch.linalg.qr(random)[0].T.split(side)
    codes: Tensor = rows[:, None] + columns[None]
    return codes.flatten(0, 1)


def nearest_named(projected: Tensor, shown: Tensor, embeddings: Tensor) -> tuple[int, int]:
    """How many image tokens that show one thing lie nearest to its embedding, and how many show one thing.

    Args:
        projected, shown, embeddings: as for `alignment_loss`.
    """
    thing = shown.amax(-1)
    one = (thing >= 0) & ((shown == thing.unsqueeze(-1)) | (shown == NOTHING)).all(-1)
    closeness = projected[one] @ embeddings.T - embeddings.square().sum(-1) / 2
    return int((closeness.argmax(-1) == thing[one]).sum()), int(one.sum())


def _by_token(patches: NDArray[np.int64]) -> NDArray[np.int64]:
    """(V, G, G, 2) → (V, N, 2 · patches per token), image tokens row by row as pixel shuffle orders them."""
    views, grid = patches.shape[0], patches.shape[1] // DOWNSAMPLE
    blocks = patches.reshape(views, grid, DOWNSAMPLE, grid, DOWNSAMPLE, 2).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(blocks.reshape(views, grid * grid, -1))


@cache
def _ids(tokenizer: PreTrainedTokenizerBase) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Token ids by word class, by (first in its word, character), and by colour class."""
    known = tokenizer.get_vocab()
    words = np.full(HEADS["word"], NOTHING, np.int64)
    for token, number in word_classes().items():
        words[number] = known[token]
    characters = np.full((2, HEADS["character"]), NOTHING, np.int64)
    for code in range(33, 127):
        characters[:, code] = known[chr(code)]
        characters[1, code] = known.get(SPACE + chr(code), known[chr(code)])
    colours = np.array([NOTHING, *(known[SPACE + colour] for colour in COLOURS)], np.int64)
    return words, characters, colours

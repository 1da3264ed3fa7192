"""Backbone stage 3: the encoder learns to say what it sees in the language model's own embeddings.

Naming words is not enough for a connector: the directions in which an encoder keeps 900 words apart need not have any
linear map onto a language model's table. So the encoder is trained on, through a connector that is thrown away, until
they do; InternViT-6B, too, was trained with a language model (paper section 4.1) before it was frozen.
"""

import torch
from torch import Tensor, nn

from nvlm.data.synthetic.splits import Split
from nvlm.modeling.connector import Connector
from nvlm.recipes.nano.alignment import alignment_loss, nearest_named, shown_tokens
from nvlm.recipes.nano.language import build_processor
from nvlm.recipes.nano.vision import DenseReader, VisionBatch, drawings, to_batch

NamingBatch = tuple[VisionBatch, Tensor]


class NamingReader(nn.Module):
    """The encoder with its dense heads, and a connector from its patches to the language model's embeddings.

    Args:
        reader: after its own stage.
        connector: as the family has it, fresh.
        embeddings: (vocabulary, D) of the language model; they stay as they are.
        blank: the token that stands for nothing.
    """

    embeddings: Tensor

    def __init__(self, reader: DenseReader, connector: Connector, embeddings: Tensor, blank: int) -> None:
        super().__init__()
        self.reader, self.connector, self.blank = reader, connector, blank
        self.register_buffer("embeddings", embeddings.detach().clone())

    def loss(self, batch: NamingBatch) -> Tensor:
        """What the encoder's own stage has, and the alignment loss of its image tokens."""
        (pixels, labels), shown = batch
        features = self.reader.features(pixels)
        aligned = alignment_loss(self.connector(features), shown, self.embeddings, self.blank)
        return self.reader.dense_loss(features, labels) + aligned


def naming_batch(split: Split, stream: str, first: int, count: int) -> NamingBatch:
    """Views and dense labels as `vision_batch` in `vision` gives them, and what every image token shows."""
    tokenizer, pictures = build_processor("D").tokenizer, list(drawings(split, stream, first, count))
    shown = [shown_tokens(drawing.marks, *grid, tokenizer) for drawing, grid in pictures]
    return to_batch(pictures), torch.cat(shown)


def naming_scores(reader: NamingReader, split: Split = "validation", pictures: int = 96) -> dict[str, float]:
    """Share of image tokens that show one thing and lie nearest to its embedding, on a held-out split."""
    (pixels, _), shown = naming_batch(split, "vision", 0, pictures)
    projected = reader.connector(reader.reader.features(pixels))
    right, seen = nearest_named(projected, shown, reader.embeddings)
    return {"named": right / seen} if seen else {}

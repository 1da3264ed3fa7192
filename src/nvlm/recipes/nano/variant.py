"""In what two models of the nano family may differ, beside the recipe that they share."""

from dataclasses import dataclass

from nvlm.modeling.architectures import find_architecture
from nvlm.processing.tags import Tags
from nvlm.recipes.nano.sizes import CROSS_ATTENTION


@dataclass(frozen=True)
class Variant:
    """One way of making a model; the defaults are how NVLM is made.

    Attributes:
        architecture: "D", "X" or "H".
        seed: of new parts, of the order of pictures and of the text-only rows; the backbones are shared.
        tags: format of the tile tags (paper, tables 1 and 2).
        thumbnail_only: low resolution: every picture is one view (paper, tables 1 and 2).
        cross_attention_every: k, of X and H.
        feed_forward: cross-attention has a feed-forward of its own.
        pretraining: False leaves out every stage before SFT.
        train_language: False keeps the language model frozen in SFT, too (paper, table 9).
        text: False leaves the text-only rows out of SFT; the pictures stay the same ones.

    Raises:
        ValueError: no such architecture or tag format.
    """

    architecture: str
    seed: int = 0
    tags: str = "1d"
    thumbnail_only: bool = False
    cross_attention_every: int = CROSS_ATTENTION["cross_attention_every"]
    feed_forward: bool = False
    pretraining: bool = True
    train_language: bool = True
    text: bool = True

    def __post_init__(self) -> None:
        find_architecture(self.architecture)
        Tags(self.tags)

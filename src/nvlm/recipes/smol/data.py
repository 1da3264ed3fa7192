"""What smol trains on: drawn pictures with answers in sentences, and in SFT the text that the user names."""

from pathlib import Path

from nvlm.data.blend import Blend, Folder
from nvlm.data.prompts import Stage
from nvlm.recipes.smol.pictures import draw_pictures

DRAWN = "drawn"
PICTURES = {"pretrain": 3000, "sft": 3000}
TEXT_SHARE = 0.25
"""Of the samples of SFT; the paper mixes text in there, and only there (section 5.3), but does not say how much."""


def smol_blend(folder: Path, stage: Stage, given: Blend | None) -> Blend:
    """The blend of a stage; its pictures are drawn first if they are not there.

    Args:
        folder: of the run.
        given: text for SFT; not used in pretraining.

    Raises:
        ValueError: SFT without text.
    """
    if stage == "sft" and given is None:
        raise ValueError(
            "smol mixes text into SFT, and none is named; prepare some and name it, as in: nvlm data prepare gsm8k "
            "--format jsonl --from gsm8k_train.jsonl, then --data sft=shards/sft/gsm8k"
        )
    pictures = folder / DRAWN / stage / DRAWN
    draw_pictures(pictures, stage, PICTURES[stage])
    if stage == "pretrain" or given is None:
        return Blend((Folder(str(pictures)),))
    return Blend((Folder(str(pictures), 1 - TEXT_SHARE), Blend(given.parts, TEXT_SHARE, given.weights)))

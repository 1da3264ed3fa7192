"""NVLM 1.0 34B on Nous-Hermes-2-Yi-34B: the paper's size for ablations and for table 3 (tables 10 and 11).

What it takes: ``nvlm plan paper_34b --gpus 128 --gpu h100-80g``. What it reached: tables 12 and 13 of the paper.
"""

from dataclasses import replace

from nvlm.planning.measured import MeasuredStep
from nvlm.recipes.paper_released import as_released
from nvlm.recipes.paper_stages import PRETRAIN, SFT, named
from nvlm.recipes.paper_vision import INTERNVIT_6B
from nvlm.recipes.recipe import Backbone, Model, Recipe

YI_34B = Backbone(
    weights="NousResearch/Nous-Hermes-2-Yi-34B",
    model_type="llama",
    values={
        "vocab_size": 64000,
        "hidden_size": 7168,
        "intermediate_size": 20480,
        "num_hidden_layers": 60,
        "num_attention_heads": 56,
        "num_key_value_heads": 8,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6},
        "tie_word_embeddings": False,
    },
)
THUMBNAIL = "<tile_global>"
"""As long as the tiles' tags under Yi's tokenizer."""
TABLE_3_MILLISECONDS = {"D": 8885, "X": 5063, "H": 7071}
SFT_34B = {**SFT, "X": replace(SFT["X"], batch=512, final_lr=1e-6)}


def paper_34b(architecture: str) -> Recipe:
    """Ten cross-attention layers in X and H: one in every six of sixty (section 4.5)."""
    return Recipe(
        name="paper_34b",
        model=Model(
            architecture=architecture,
            vision=INTERNVIT_6B,
            language=YI_34B,
            image_token_id=63999,
            tag_tokens=5,
            cross_attention_every=6,
        ),
        pretrain=named(PRETRAIN[architecture], THUMBNAIL),
        sft=named(SFT_34B[architecture], THUMBNAIL),
        measured=MeasuredStep(
            source="the paper's table 3",
            seconds=TABLE_3_MILLISECONDS[architecture] / 1000,
            stage="sft",
            gpu="h100-80g",
            gpus=128,
            batch=256,
            text=1024,
            tiles=6,
        ),
    )


def paper_34b_released(architecture: str) -> Recipe:
    """D as the released Megatron scripts train it.

    They differ from the paper in:

    * the second beta of SFT: 0.95, not 0.98;
    * the warm-up: 83,200 samples (41 steps of pretraining, 650 of SFT), not 500 and 1,000 steps;
    * the cosine: over 25.6 M samples (12,500 steps of pretraining, 200,000 of SFT) and not over the run, so that
      pretraining stays at the final rate for its last 7,500 steps, and SFT ends a tenth of the way down to it;
    * the standard deviation of new weights: 0.014; the paper is silent.

    The batch of SFT is the paper's at this size. Run length (30 M samples of SFT), dropout and pipeline parallelism: as
    for ``paper_72b_released``.

    Raises:
        ValueError: X or H, which nobody released.
    """
    return as_released(paper_34b(architecture))

"""NVLM 1.0 72B on Qwen2-72B-Instruct, as the paper trains D, X and H (sections 3.1 and 4.5, tables 10 and 11).

What it takes: ``nvlm plan paper_72b --gpus 128 --gpu h100-80g``. What it reached: tables 7 and 8 of the paper.
"""

from nvlm.recipes.paper_released import as_released
from nvlm.recipes.paper_stages import PRETRAIN, SFT, named
from nvlm.recipes.paper_vision import INTERNVIT_6B
from nvlm.recipes.recipe import Backbone, Model, Recipe

QWEN2_72B = Backbone(
    weights="Qwen/Qwen2-72B-Instruct",
    model_type="qwen2",
    values={
        "vocab_size": 152064,
        "hidden_size": 8192,
        "intermediate_size": 29568,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        "tie_word_embeddings": False,
    },
)
THUMBNAIL = "<tile_global_thumbnail>"


def paper_72b(architecture: str) -> Recipe:
    """Ten cross-attention layers in X and H: one in every eight of eighty (section 4.5)."""
    return Recipe(
        name="paper_72b",
        model=Model(
            architecture=architecture,
            vision=INTERNVIT_6B,
            language=QWEN2_72B,
            image_token_id=151654,
            tag_tokens=5,
            cross_attention_every=8,
        ),
        pretrain=named(PRETRAIN[architecture], THUMBNAIL),
        sft=named(SFT[architecture], THUMBNAIL),
    )


def paper_72b_released(architecture: str) -> Recipe:
    """D as the released Megatron scripts train it.

    They differ from the paper in:

    * the batch of SFT: 256, not 128;
    * the second beta of SFT: 0.95, not 0.98;
    * the warm-up: 83,200 samples (41 steps of pretraining, 325 of SFT), not 500 and 1,000 steps;
    * the cosine: over 25.6 M samples (12,500 steps of pretraining, 100,000 of SFT) and not over the run, so that
      pretraining stays at the final rate for its last 7,500 steps, and SFT ends a third of the way down to it;
    * the standard deviation of new weights: 0.014; the paper is silent.

    Three of their numbers have no place here. Their run length, 122.88 M samples, is a limit and not a plan: the stages
    stop where the paper's do. Dropout of 0.1 in pretraining acts inside a frozen language model, and what is frozen is
    in eval mode here. Pipeline parallelism needs a checkpoint cut by layers; FSDP does not.

    Raises:
        ValueError: X or H, which nobody released.
    """
    return as_released(paper_72b(architecture), sft_batch=256)

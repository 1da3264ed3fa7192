"""The nano family's stages: three for the backbones, one for the connector, then the paper's two (section 4.5)."""

from dataclasses import dataclass, replace

from nvlm.data.synthetic.text import TEXT_TASKS
from nvlm.data.synthetic.told import TOLD_TASKS
from nvlm.training.stages import Stage

VISION = Stage(
    name="vision",
    trainable=("*",),
    steps=4700,
    batch=24,
    peak_lr=3e-3,
    final_lr=1e-4,
    warmup=50,
    matrix_lr=0.02,
    steady=0.5,
)
LANGUAGE = replace(
    VISION,
    name="language",
    steps=3200,
    batch=64,
    peak_lr=1.5e-3,
    matrix_lr=0.01,
    steady=0.2,
    weight_decay=0.05,
)
RECALL_STEPS = 320
"""Steps at the start of the language stage that see little but recall: many answers that only content can find."""

NAMING = replace(
    VISION,
    name="naming",
    steps=1600,
    warmup=30,
    peak_lr=2e-3,
    matrix_lr=0.016,
    steady=0.3,
)

NEW_PARTS = ("connector.*", "language_model.*.cross_attention.*")
"""What pretraining trains in X and H; D has no cross-attention, and a pattern that matches nothing is an error."""
LANGUAGE_MODEL = "language_model.*"
"""What SFT trains besides."""

ALIGN = Stage(
    name="align",
    trainable=("connector.*",),
    steps=600,
    batch=32,
    peak_lr=4e-3,
    final_lr=2e-4,
    warmup=20,
    steady=0.3,
)
PRETRAIN = Stage(
    name="pretrain",
    trainable=NEW_PARTS,
    steps=150,
    batch=24,
    peak_lr=1e-3,
    final_lr=5e-4,
    warmup=20,
    matrix_lr=0.01,
    steady=0.5,
)
SFT = replace(
    PRETRAIN,
    name="sft",
    trainable=(*NEW_PARTS, LANGUAGE_MODEL),
    steps=2400,
    warmup=50,
    final_lr=3e-5,
    matrix_lr=0.005,
    steady=0.2,
)
EXPLAIN = replace(SFT, name="explain", steps=1800, seed=1)
"""SFT goes on, with answers that say first what they rest on."""
CONCLUDE = replace(SFT, name="conclude", steps=1600, seed=2)
"""And on, with text-only rows about scenes that are told in words."""
STAGES = ("align", "pretrain", "sft", "explain", "conclude")
"""On the backbones, in order."""
FINE_TUNING = {"sft": TEXT_TASKS, "explain": TEXT_TASKS, "conclude": TEXT_TASKS | TOLD_TASKS}
"""The parts of SFT, with the tasks of the text-only rows in their batches."""
EXPLAINED = ("explain", "conclude")
"""Those in which answers about pictures say first what they rest on."""
ALIGNMENT_WEIGHTS = {"align": None, "pretrain": 30.0, "sft": 0.5, "explain": 0.5, "conclude": 0.5}
"""Of the alignment loss against the next-token loss (``None``: alone). A frozen language model that has never seen a
picture is surely wrong about it, and its gradients would pull image tokens away from words: decisions 0034 and 0043."""
PLACE = 0.5
"""Size of the codes for an image token's column and for its row, in a usual embedding's, in the alignment loss."""

TEXT_ROWS = 8
"""Text-only rows of a batch in SFT; the others are pictures. Pretraining sees pictures only (paper section 5.3)."""


def for_architecture(stage: Stage, architecture: str, has_memory: bool) -> Stage:
    """A shared stage as one architecture goes through it: under its name, without cross-attention where it has none."""
    kept = tuple(pattern for pattern in stage.trainable if has_memory or "cross_attention" not in pattern)
    return replace(stage, name=f"nano-{architecture.lower()} {stage.name}", trainable=kept)


@dataclass(frozen=True)
class NanoRecipe:
    """Everything that decides what comes out.

    Attributes:
        vision, language: the backbones' own stages.
        naming: the encoder's second stage, with the language model's embeddings.
        align: the connector alone, before the paper's stages.
        pretrain, sft: the paper's two stages, the same for D, X and H.
        explain, conclude: the second part of SFT and the third.
        pictures: training pictures, encoded once by the frozen encoder and gone through as often as the steps ask.
        text_rows: text-only rows among the rows of an SFT batch.
        questions: held-out questions per task for the model card.
    """

    vision: Stage = VISION
    language: Stage = LANGUAGE
    naming: Stage = NAMING
    align: Stage = ALIGN
    pretrain: Stage = PRETRAIN
    sft: Stage = SFT
    explain: Stage = EXPLAIN
    conclude: Stage = CONCLUDE
    pictures: int = 30_000
    text_rows: int = TEXT_ROWS
    questions: int = 500

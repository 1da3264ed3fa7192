"""Backbone stage 2: a small Qwen2 that copies, looks up and adds, trained on text alone."""

import random
from collections.abc import Sequence
from functools import lru_cache

from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.sample import Message
from nvlm.data.synthetic.splits import Split
from nvlm.data.synthetic.tasks import draw_problem, to_sample
from nvlm.data.synthetic.text import TEXT_TASKS, TextTask
from nvlm.data.synthetic.tokenizer import SLOT, TURN_END, build_tokenizer
from nvlm.modeling.loss import predicting_rows, supervised_loss
from nvlm.processing import NVLMImageProcessor, NVLMProcessor
from nvlm.recipes.nano.heads import start_heads
from nvlm.recipes.nano.sizes import LANGUAGE, MAX_TILES, TILE_SIZE, TOKENS_PER_VIEW
from nvlm.recipes.nano.stages import RECALL_STEPS

SORTED_TOGETHER = 16
"""Batches whose rows are sorted by length together, so that little is padded."""

RECALL = {"recall": (TEXT_TASKS["recall"][0], 3.0), "copy": (TEXT_TASKS["copy"][0], 1.0)}
"""The tasks of the language stage's first ``RECALL_STEPS`` steps."""


def build_processor(architecture: str, tags: str = "1d", max_tiles: int = MAX_TILES) -> NVLMProcessor:
    """The nano family's processor for one architecture."""
    tokenizer = build_tokenizer()
    tokenizer.model_max_length = LANGUAGE["max_position_embeddings"]
    images = NVLMImageProcessor(tile_size=TILE_SIZE, max_tiles=max_tiles)
    return NVLMProcessor(
        images,
        tokenizer,
        architecture=architecture,
        tokens_per_view=TOKENS_PER_VIEW,
        tag_format=tags,
        image_token=SLOT,
    )


def build_language_model() -> Qwen2ForCausalLM:
    """A fresh language model with the nano tokenizer's vocabulary."""
    tokenizer = build_tokenizer()
    end = tokenizer.convert_tokens_to_ids(TURN_END)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=tokenizer.pad_token_id,
            **LANGUAGE,
        )
    )
    start_heads(model)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def text_rows(
    split: Split, stream: str, first: int, count: int, tasks: dict[str, tuple[TextTask, float]] = TEXT_TASKS
) -> list[list[Message]]:
    """``count`` text-only conversations of a weighted stream of tasks, from the ``first``-th on."""
    return [
        to_sample(draw_problem(tasks, split, stream, index), str(index)).messages
        for index in range(first, first + count)
    ]


class TextBatches:
    """Batches of text-only conversations by step, rows of like length together."""

    def __init__(self, processor: NVLMProcessor, batch: int) -> None:
        self._processor, self._batch = processor, batch
        self._group = lru_cache(maxsize=1)(self._draw_group)

    def __call__(self, step: int) -> Sequence[BatchFeature]:
        """The batch of ``step``, in one part."""
        return [self._processor.encode(self._group(step // SORTED_TOGETHER)[step % SORTED_TOGETHER])]

    def _draw_group(self, number: int) -> list[list[list[Message]]]:
        size = self._batch * SORTED_TOGETHER
        tasks = RECALL if number * SORTED_TOGETHER < RECALL_STEPS else TEXT_TASKS
        rows = text_rows("train", "language", number * size, size, tasks)
        rows.sort(key=lambda row: sum(len(message["content"]) for message in row))
        batches = [rows[at : at + self._batch] for at in range(0, size, self._batch)]
        random.Random(number).shuffle(batches)
        return batches


def language_loss(model: Qwen2ForCausalLM, batch: BatchFeature) -> Tensor:
    """Mean cross-entropy over supervised tokens, the head on their rows only."""
    hidden = model.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    logits = model.lm_head(hidden[predicting_rows(batch["labels"])])
    return supervised_loss(logits, batch["labels"])

"""What a model in NVIDIA's layout reads: the prompt strings of the published chat code, tokenised as one string."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from nvlm.processing import NVLMProcessor

SLOTS = "<|vision_pad|>" * 16
TILES = "".join(f"<tile_{number}>{SLOTS}" for number in range(1, 7))
WIDE = f"<Image>{TILES}<tile_global_thumbnail>{SLOTS}</Image>"
SMALL = f"<Image><tile_global_thumbnail>{SLOTS}</Image>"


@pytest.fixture(scope="module")
def processor(published: Path) -> NVLMProcessor:
    made: NVLMProcessor = NVLMProcessor.from_pretrained(published)
    return made


@pytest.fixture(scope="module")
def tokenizer(published: Path) -> PreTrainedTokenizerBase:
    made: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(published)
    return made


def image(width: int, height: int) -> dict[str, object]:
    return {"type": "image", "image": Image.fromarray(np.zeros((height, width, 3), np.uint8))}


def text(content: str) -> dict[str, object]:
    return {"type": "text", "text": content}


@pytest.mark.parametrize(
    ("messages", "golden"),
    [
        (
            [{"role": "user", "content": "Hello, who are you?"}],
            "<|im_start|>user\nHello, who are you?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [{"role": "user", "content": [image(100, 100), text("Describe it.")]}],
            f"<|im_start|>user\n{SMALL}\nDescribe it.<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [{"role": "user", "content": [image(336, 224), text("Describe it.")]}],
            f"<|im_start|>user\n{WIDE}\nDescribe it.<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [{"role": "user", "content": [image(336, 224), image(100, 100), text("Which is larger?")]}],
            f"<|im_start|>user\n{WIDE}\n{SMALL}\nWhich is larger?<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            [
                {"role": "system", "content": "Answer the questions."},
                {"role": "user", "content": [image(100, 100), text("What is it?")]},
                {"role": "assistant", "content": "A square."},
                {"role": "user", "content": "Of which colour?"},
            ],
            f"<|im_start|>system\nAnswer the questions.<|im_end|>\n<|im_start|>user\n{SMALL}\nWhat is it?<|im_end|>\n"
            "<|im_start|>assistant\nA square.<|im_end|>\n<|im_start|>user\nOf which colour?<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
    ],
    ids=["text", "one tile", "six tiles", "two images", "two turns"],
)
def test_prompts(
    messages: list[dict[str, object]], golden: str, processor: NVLMProcessor, tokenizer: PreTrainedTokenizerBase
) -> None:
    inputs = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)
    expected = tokenizer(golden, add_special_tokens=False).input_ids
    assert inputs["input_ids"][0].tolist() == expected
    assert tokenizer.decode(expected) == golden


def test_tags_are_tokenised_with_what_stands_before_them(
    processor: NVLMProcessor, tokenizer: PreTrainedTokenizerBase
) -> None:
    """`<Image><tile_1>` is one stretch of text there: `><` is one token."""
    messages = [{"role": "user", "content": [image(336, 224), text("?")]}]
    inline = processor.apply_chat_template(messages, tokenize=True)[0].tolist()
    alone = [tokenizer(part, add_special_tokens=False).input_ids for part in ("<Image>", "<tile_1>")]
    assert tokenizer("<Image><tile_1>", add_special_tokens=False).input_ids != alone[0] + alone[1]
    together = tokenizer("<|im_start|>user\n<Image><tile_1>", add_special_tokens=False).input_ids
    assert inline[: len(together)] == together


def test_settings_come_from_config_json(processor: NVLMProcessor) -> None:
    images = processor.image_processor
    assert (images.tile_size, images.max_tiles, images.thumbnail) == (112, 6, True)
    assert (images.mean, images.std) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert (processor.architecture, processor.tags_tokenized, processor.tokens_per_view) == ("D", "inline", 16)
    assert processor.max_length == 2048  # the language model's, though the tokenizer claims four times as much
    assert processor.tokenizer.model_max_length == 8192

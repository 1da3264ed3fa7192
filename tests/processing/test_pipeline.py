"""transformers' own pipeline with a tiny model of random weights: what goes in and comes out, not what is said."""

from typing import Any

import pytest
import torch
from transformers import InternVLVisionConfig, Qwen2Config, pipeline

from nvlm.modeling import NVLMConfig, NVLMForConditionalGeneration
from tests.processing.builders import TILE, picture, processor, user


def answering(architecture: str) -> Any:
    made_by = processor(architecture, tokens_per_view=4)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = NVLMConfig(
        vision_config=InternVLVisionConfig(**size, num_hidden_layers=1, image_size=[TILE, TILE], patch_size=[4, 4]),
        text_config=Qwen2Config(
            **size,
            num_hidden_layers=2,
            num_key_value_heads=1,
            vocab_size=len(made_by.tokenizer),
            pad_token_id=made_by.pad_token_id,
        ),
        architecture=architecture,
        image_token_id=made_by.image_token_id,
        cross_attention_every=1,
    )
    model = NVLMForConditionalGeneration(config).eval()
    return pipeline("image-text-to-text", model=model, processor=made_by)


@pytest.mark.parametrize("architecture", ["D", "X", "H"])
def test_chats_and_strings_with_and_without_pictures(architecture: str) -> None:
    ask = answering(architecture)
    options = {"max_new_tokens": 3, "do_sample": False}
    chat = [user(picture(2, 1), "What?")]
    answer = ask(text=chat, generate_kwargs=options)[0]
    assert answer["input_text"] == chat
    assert answer["generated_text"][-1]["role"] == "assistant"
    text = "<|im_start|>user\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
    same = ask(images=picture(2, 1), text=text, generate_kwargs=options, return_full_text=False)[0]
    assert same["generated_text"] == answer["generated_text"][-1]["content"]
    begun = [*chat, {"role": "assistant", "content": [{"type": "text", "text": "A red"}]}]
    assert ask(text=begun, generate_kwargs=options)[0]["generated_text"][-1]["content"][0]["text"].startswith("A red")
    assert len(ask(text=[chat, [user("Hi")]], generate_kwargs=options, batch_size=1)) == 2
    assert ask(text="Hi", generate_kwargs=options)[0]["generated_text"].startswith("Hi")

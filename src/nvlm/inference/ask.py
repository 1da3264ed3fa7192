"""Questions in, answers out: one, or a batch."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature

from nvlm.data.sample import Message
from nvlm.inference.placement import input_device
from nvlm.modeling import NVLMForConditionalGeneration
from nvlm.processing import NVLMProcessor
from nvlm.processing.images import ImageSource

MAX_NEW_TOKENS = 64

Images = ImageSource | Iterable[ImageSource]
"""One picture or several: paths, bytes, arrays or Pillow images."""


def ask(
    model: NVLMForConditionalGeneration,
    processor: NVLMProcessor,
    question: str,
    images: Images = (),
    max_new_tokens: int = MAX_NEW_TOKENS,
    **options: Any,
) -> str:
    """The answer to one question about any number of pictures.

    Args:
        options: of `generate`, such as `num_beams` or `temperature`; greedy where none asks for sampling.

    Raises:
        ImageError: a picture that cannot be used.
        ValueError: an empty question, a prompt that leaves no room for the answer, or an option that is not understood.
    """
    return ask_batch(model, processor, [(question, images)], max_new_tokens, **options)[0]


def ask_batch(
    model: NVLMForConditionalGeneration,
    processor: NVLMProcessor,
    questions: Sequence[tuple[str, Images]],
    max_new_tokens: int = MAX_NEW_TOKENS,
    **options: Any,
) -> list[str]:
    """The answers to several (question, pictures), in one batch padded on the left.

    Raises:
        ImageError, ValueError: as `ask`.
    """
    if not questions:
        return []
    conversations = [[user_message(question, images)] for question, images in questions]
    inputs = prepare(model, processor, conversations, max_new_tokens)
    return complete(model, processor, inputs, max_new_tokens, **options)


def user_message(question: str, images: Images = ()) -> Message:
    """A user's turn: its pictures, then its question.

    Raises:
        ValueError: the question is empty.
    """
    if not question.strip():
        raise ValueError("the question is empty; a model needs words to answer, also about a picture")
    parts: list[dict[str, Any]] = [{"type": "image", "image": image} for image in as_list(images)]
    if not parts:
        return {"role": "user", "content": question}
    return {"role": "user", "content": [*parts, {"type": "text", "text": question}]}


def as_list(images: Images) -> list[ImageSource]:
    """Pictures as a list, also when only one was given."""
    if isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | Image.Image | np.ndarray):
        return [images]
    return list(images)


def prepare(
    model: NVLMForConditionalGeneration,
    processor: NVLMProcessor,
    conversations: Sequence[Sequence[Message]],
    max_new_tokens: int = MAX_NEW_TOKENS,
    max_tiles: int | None = None,
) -> BatchFeature:
    """Conversations as inputs of `generate`, on the model's device, with room for the answers.

    Args:
        max_tiles: of each picture, in place of the processor's setting.

    Raises:
        ImageError: a picture that cannot be used.
        ValueError: a conversation that cannot be used, or that leaves no room for `max_new_tokens`.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens is {max_new_tokens}, but an answer takes at least 1 token")
    context = context_length(model, processor)
    if max_new_tokens >= context:
        raise ValueError(
            f"max_new_tokens is {max_new_tokens:,}, but question and answer together have {context:,} tokens"
        )
    inputs: Any = processor.apply_chat_template(
        list(conversations),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        max_length=context - max_new_tokens,
        max_tiles=max_tiles,
    )
    batch: BatchFeature = inputs.to(input_device(model))
    return batch


def context_length(model: NVLMForConditionalGeneration, processor: NVLMProcessor) -> int:
    """How many tokens a prompt and its answer may have together."""
    limits = [processor.max_length, processor.tokenizer.model_max_length]
    limits.append(getattr(model.config.get_text_config(), "max_position_embeddings", None))
    return int(min(limit for limit in limits if limit))


def complete(
    model: NVLMForConditionalGeneration,
    processor: NVLMProcessor,
    inputs: BatchFeature,
    max_new_tokens: int = MAX_NEW_TOKENS,
    **options: Any,
) -> list[str]:
    """What the model writes after each row of prepared inputs.

    Raises:
        ValueError: options that ask for more than one answer per question.
    """
    written = write(model, processor, inputs, max_new_tokens, **options)
    return [text.strip() for text in processor.post_process_image_text_to_text(written)]


def write(
    model: NVLMForConditionalGeneration,
    processor: NVLMProcessor,
    inputs: BatchFeature,
    max_new_tokens: int = MAX_NEW_TOKENS,
    **options: Any,
) -> torch.Tensor:
    """The tokens int64 (B, N) that the model writes after each row of prepared inputs, padded on the right.

    Raises:
        ValueError: options that ask for more than one answer per question.
    """
    settings = generation_settings(model, processor, max_new_tokens, **options)
    if settings.get("num_return_sequences", 1) != 1:
        raise ValueError(
            f"num_return_sequences is {settings['num_return_sequences']}, but each question gets one answer; call "
            "model.generate for several"
        )
    with torch.inference_mode():
        output: Any = model.generate(**inputs, **settings)  # type: ignore[misc]
    written: torch.Tensor = output[:, inputs["input_ids"].shape[1] :]
    return written


def generation_settings(
    model: NVLMForConditionalGeneration, processor: NVLMProcessor, max_new_tokens: int = MAX_NEW_TOKENS, **options: Any
) -> dict[str, Any]:
    """Arguments of `generate`: greedy, unless a temperature above 0, `top_p`, `top_k` or `do_sample` asks for sampling.

    Raises:
        ValueError: a temperature below 0 or a `top_p` outside (0, 1].
    """
    temperature, top_p = options.get("temperature"), options.get("top_p")
    if temperature is not None and temperature < 0:
        raise ValueError(f"the temperature is {temperature}, but it must be 0 (always the likeliest token) or more")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, but it is a share of probability: above 0, up to 1")
    sampling = temperature != 0 and any(options.get(name) is not None for name in ("temperature", "top_p", "top_k"))
    settings = {name: value for name, value in options.items() if value is not None}
    if not settings.setdefault("do_sample", sampling):
        settings |= {"temperature": None, "top_p": None, "top_k": None}
    if model.generation_config.eos_token_id is None:
        settings.setdefault("eos_token_id", processor.tokenizer.eos_token_id)
    settings.setdefault("pad_token_id", processor.pad_token_id)
    return settings | {"max_new_tokens": max_new_tokens}

"""The calls of NVLM-D-72B's model card, for every model of the family: `load_image` and `model.chat`."""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerBase

from nvlm.data.sample import Message
from nvlm.inference.ask import MAX_NEW_TOKENS, complete, context_length
from nvlm.inference.placement import input_device
from nvlm.modeling.model import NVLMForConditionalGeneration
from nvlm.processing.chat import CHATML, PLACEHOLDER
from nvlm.processing.image_processor import NVLMImageProcessor
from nvlm.processing.images import ImageSource
from nvlm.processing.processor import NVLMProcessor

__all__ = ["chat", "load_image"]

TURN_END = "<|im_end|>"
SETTINGS = (
    "architecture", "tokens_per_view", "tag_format", "thumbnail_tag", "tags_tokenized", "image_token", "max_length",
    "chat_template",
)  # fmt: skip
"""Of a processor, beside its parts."""

NUMBERED = ("none", "1d")
"""Tag formats for which the number of an image's views is enough: they do not tell rows from columns."""

_PROCESSORS: WeakKeyDictionary[NVLMForConditionalGeneration, NVLMProcessor] = WeakKeyDictionary()
"""The processor that each model's `chat` has made, so that a folder is read once."""


def load_image(file: ImageSource, input_size: int = 448, max_num: int = 12) -> Tensor:
    """A picture as `model.chat` takes it: float32 (views, 3, input_size, input_size), ImageNet-normalised.

    Tiles come row by row; the thumbnail comes last, and only when there is more than one tile.

    Args:
        file: a path, bytes, an array or a Pillow image.
        input_size: side of a view in pixels.
        max_num: most tiles. NVLM was trained and evaluated with 6; 12 is the model card's default.

    Raises:
        ImageError: it cannot be used.
    """
    views: Tensor = NVLMImageProcessor(tile_size=input_size, max_tiles=max_num).preprocess(file)["pixel_values"]
    return views


def chat(
    model: NVLMForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase | NVLMProcessor,
    pixel_values: Tensor | None,
    question: str,
    generation_config: Mapping[str, Any] | GenerationConfig,
    history: Sequence[tuple[str, str]] | None = None,
    return_history: bool = False,
    num_patches_list: Sequence[int] | None = None,
    IMG_START_TOKEN: str = "<|vision_start|>",
    IMG_END_TOKEN: str = "<|vision_end|>",
    IMG_CONTEXT_TOKEN: str = "<|vision_pad|>",
    verbose: bool = False,
) -> str | tuple[str, list[tuple[str, str]]]:
    """One turn of a conversation, `model.chat(tokenizer, …)`: with the prompt that the model's processor writes.

    Args:
        tokenizer: the model's; how its prompts are written is read from the folder that the model was loaded from. Or
            the model's processor.
        pixel_values: (views, 3, T, T), the pictures of the whole conversation in reading order; None for text only.
        question: with `<image>` where a picture stands; one is put before it when no turn of the conversation has any.
        generation_config: of `generate`, such as `dict(max_new_tokens=1024, do_sample=False)`.
        history: (question, answer) of the turns before, as this function returns it; it is not changed.
        return_history: also give the history with this turn.
        num_patches_list: how many views belong to each picture; None where there is one.
        IMG_START_TOKEN, IMG_END_TOKEN: what stands round a picture in what `verbose` prints, and nowhere else.
        IMG_CONTEXT_TOKEN: the token that the model's slots are made of.
        verbose: print the prompt and the answer.

    Returns:
        The answer, or (answer, history).

    Raises:
        ValueError: pictures and `<image>` do not go together, the tokenizer or its slot token is not the model's, or
            the prompt leaves no room for the answer.
    """
    processor = _processor(model, tokenizer, IMG_CONTEXT_TOKEN)
    patches = _patches(pixel_values, num_patches_list)
    turns = list(history or ())
    if pixel_values is not None and not any(PLACEHOLDER in text for text in (question, *(asked for asked, _ in turns))):
        question = f"{PLACEHOLDER}\n{question}"
    messages = _messages(turns, question)
    named = sum(part["type"] == "image" for message in messages for part in message["content"])
    if named != len(patches):
        raise ValueError(
            f"the conversation names {named} pictures ({PLACEHOLDER}), but pixel_values and num_patches_list hold "
            f"{len(patches)}; each call takes the pictures of the whole conversation"
        )
    options = _options(generation_config)
    max_new_tokens = options.pop("max_new_tokens", MAX_NEW_TOKENS)
    inputs = processor.apply_chat_template(
        messages,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        grids=[[_grid(views, processor) for views in patches]],
        max_length=context_length(model, processor) - max_new_tokens,
    )
    if pixel_values is not None:
        inputs["pixel_values"] = pixel_values
    if processor.chat_template == CHATML:
        options.setdefault("eos_token_id", _ends(model, processor))
    answer = complete(model, processor, inputs.to(input_device(model)), max_new_tokens, **options)[0]
    if verbose:
        prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
        for views in patches:
            prompt = prompt.replace(PLACEHOLDER, f"{IMG_START_TOKEN}{views} views{IMG_END_TOKEN}", 1)
        print(prompt, answer)
    return (answer, [*turns, (question, answer)]) if return_history else answer


def _processor(
    model: NVLMForConditionalGeneration, tokenizer: PreTrainedTokenizerBase | NVLMProcessor, image_token: str
) -> NVLMProcessor:
    """The processor that the model was saved with, round the tokenizer given."""
    if isinstance(tokenizer, NVLMProcessor):
        processor = tokenizer
    elif model in _PROCESSORS and _PROCESSORS[model].tokenizer is tokenizer:
        processor = _PROCESSORS[model]
    else:
        processor = _PROCESSORS[model] = _saved_processor(model, tokenizer)
    wanted = int(processor.tokenizer.convert_tokens_to_ids(image_token))
    if model.config.places.in_sequence and wanted != model.config.image_token_id:
        raise ValueError(
            f"IMG_CONTEXT_TOKEN {image_token!r} has the id {wanted}, but the model's slots have "
            f"{model.config.image_token_id} ({processor.image_token!r} in its processor); is it the model's tokenizer?"
        )
    return processor


def _saved_processor(model: NVLMForConditionalGeneration, tokenizer: PreTrainedTokenizerBase) -> NVLMProcessor:
    if not model.name_or_path:
        raise ValueError(
            "this model was not loaded from a folder, so how its prompts are written is not known; give chat the "
            "model's processor in place of its tokenizer"
        )
    saved = NVLMProcessor.from_pretrained(model.name_or_path)
    return NVLMProcessor(saved.image_processor, tokenizer, **{name: getattr(saved, name) for name in SETTINGS})


def _patches(pixel_values: Tensor | None, num_patches_list: Sequence[int] | None) -> list[int]:
    views = 0 if pixel_values is None else len(pixel_values)
    patches = list(num_patches_list) if num_patches_list is not None else [views] * (views > 0)
    if sum(patches) != views or min(patches, default=1) < 1:
        raise ValueError(
            f"num_patches_list is {patches}, {sum(patches)} views together, but pixel_values holds {views}"
        )
    return patches


def _messages(turns: Sequence[tuple[str, str]], question: str) -> list[Message]:
    messages: list[Message] = []
    for asked, answered in turns:
        messages += [{"role": "user", "content": _parts(asked)}, {"role": "assistant", "content": [_text(answered)]}]
    return [*messages, {"role": "user", "content": _parts(question)}]


def _parts(question: str) -> list[dict[str, Any]]:
    """The question in parts; a picture brings the newline after it."""
    first, *others = question.split(PLACEHOLDER)
    parts = [_text(first)] * bool(first)
    for text in others:
        parts += [{"type": "image"}, *[_text(text.removeprefix("\n"))] * bool(text.removeprefix("\n"))]
    return parts


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _grid(views: int, processor: NVLMProcessor) -> tuple[int, int]:
    """A grid of so many views; which way its tiles lie makes no difference to numbered tags."""
    if views > 1 and processor.tag_format not in NUMBERED:
        raise ValueError(
            f"the model's tags ({processor.tag_format}) name a tile's row and column, which pixel_values does not "
            "tell; use nvlm.ask"
        )
    return (views - 1 if views > 1 and processor.image_processor.thumbnail else views, 1)


def _options(config: Mapping[str, Any] | GenerationConfig) -> dict[str, Any]:
    options = config.to_diff_dict() if isinstance(config, GenerationConfig) else dict(config)
    options.pop("transformers_version", None)
    if "max_length" in options:
        raise ValueError(
            f"generation_config has max_length {options['max_length']}, which counts the prompt; give max_new_tokens"
        )
    return options


def _ends(model: NVLMForConditionalGeneration, processor: NVLMProcessor) -> list[int]:
    """What ends an answer: a turn's end, and whatever ends the model's texts otherwise."""
    given: Any = model.generation_config.eos_token_id
    others = given if isinstance(given, list) else [given] * (given is not None)
    return sorted({int(processor.tokenizer.convert_tokens_to_ids(TURN_END)), *others})

"""A processor's settings and its tokenizer: do they go together, which chat template, which tokens are control."""

from transformers import PreTrainedTokenizerBase

from nvlm.modeling.architectures import find_architecture
from nvlm.processing.chat import CHATML
from nvlm.processing.tags import Tags


def check_settings(
    tokenizer: PreTrainedTokenizerBase,
    architecture: str,
    tokens_per_view: int,
    tag_format: str,
    tags_tokenized: str,
    image_token: str,
    max_length: int | None,
) -> None:
    """Refuse settings, named as `NVLMProcessor` names them, that are unknown or do not go with the tokenizer.

    Raises:
        ValueError: such a setting.
    """
    find_architecture(architecture)
    Tags(tag_format)
    if tokens_per_view < 1:
        raise ValueError(f"tokens_per_view is {tokens_per_view}, but a view takes at least 1 slot")
    if max_length is not None and max_length < 1:
        raise ValueError(f"max_length is {max_length}, but a row has at least 1 token")
    if tags_tokenized not in ("alone", "inline"):
        raise ValueError(f"tags_tokenized is {tags_tokenized!r}; it must be 'alone' or 'inline'")
    if not tokenizer.is_fast:
        raise ValueError(f"{type(tokenizer).__name__} cannot tell where tokens stand in the text; use a fast tokenizer")
    if image_token not in tokenizer.added_tokens_encoder:
        raise ValueError(
            f"the tokenizer has no token {image_token!r} for image slots; add it with "
            f"tokenizer.add_special_tokens({{'additional_special_tokens': [{image_token!r}]}}), "
            "or name another as image_token"
        )


def find_template(tokenizer: PreTrainedTokenizerBase, given: str | None = None) -> str:
    """The chat template: the one given, else ChatML if the tokenizer has its tokens, else the tokenizer's own.

    Raises:
        ValueError: there is none, or several.
    """
    if isinstance(given, dict):
        raise ValueError(f"chat_template holds several templates ({', '.join(given)}); give the text of one")
    if given is not None:
        return given
    if {"<|im_start|>", "<|im_end|>"} <= tokenizer.added_tokens_encoder.keys():
        return CHATML
    if isinstance(tokenizer.chat_template, str):
        return tokenizer.chat_template
    raise ValueError("the tokenizer has neither ChatML's tokens nor a chat template of its own; give a chat_template")


def control_tokens(tokenizer: PreTrainedTokenizerBase, template: str) -> set[str]:
    """Tokens that a message must not be able to write: the special ones, and added ones that the template uses."""
    added = tokenizer.added_tokens_decoder.values()
    return set(tokenizer.all_special_tokens) | {
        token.content for token in added if token.special or token.content in template
    }

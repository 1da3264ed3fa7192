"""Messages → text, with the places of the images, the text that is supervised, and user text that stays text.

One path for every template: ChatML, as NVLM was trained with, and any tokenizer's own. Images, and special tokens that
somebody wrote into a message, are marked by Unicode noncharacters before the template is rendered, and found again
afterwards.
"""

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

Message: TypeAlias = Mapping[str, Any]
"""`{"role": "system" | "user" | "assistant", "content": str | [{"type": "text" | "image", …}, …]}`"""

ROLES = ("system", "user", "assistant")
IMAGE_KEYS = ("image", "path", "url")
PLACEHOLDER = "<image>"
IMAGE_MARK, SPLIT_MARK = "\ufdd0", "\ufdd1"

CHATML = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' }}
    {%- if message['role'] == 'assistant' %}
        {%- generation %}
        {{- message['content'] + '<|im_end|>\\n' }}
        {%- endgeneration %}
    {%- else %}
        {{- message['content'] + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
"""Without a default system turn. Supervised: what the assistant says, `<|im_end|>`, the newline (paper, figure 12)."""

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_TRACKER = threading.Lock()  # one compiled template tracks one rendering at a time


class Prompt(NamedTuple):
    """Rendered text, still with its marks, and the spans of it that are supervised."""

    text: str
    supervised: tuple[tuple[int, int], ...] = ()

    def chunks(self) -> Iterable[tuple[str, bool]]:
        """The text cut at marks and at the edges of spans: (chunk, is it supervised?). A mark is a chunk of its own."""
        marks = [match.start() for match in re.finditer(f"[{IMAGE_MARK}{SPLIT_MARK}]", self.text)]
        edges = {0, len(self.text), *marks, *(mark + 1 for mark in marks)}
        for span in self.supervised:
            edges.update(span)
        for start, end in pairwise(sorted(edges)):
            yield self.text[start:end], any(first <= start < last for first, last in self.supervised)

    @property
    def images(self) -> int:
        return self.text.count(IMAGE_MARK)


def special_pattern(tokens: Iterable[str]) -> re.Pattern[str]:
    """Finds any of these tokens in a text."""
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or r"(?!)")


def marked(messages: Sequence[Message], special: re.Pattern[str]) -> tuple[list[dict[str, str]], list[Any]]:
    """Messages with plain string contents – a mark and a newline for an image, a mark inside every special token that
    somebody wrote – and the images in reading order (None for an image part without a picture).

    Raises:
        ValueError: a role, a key or a part that is not understood, or a text with the noncharacters that serve as
        marks.
    """
    if not messages:
        raise ValueError("a conversation needs at least one message")
    images: list[Any] = []
    return [
        {"role": _role(message), "content": split_special(_content(message, images), special)} for message in messages
    ], images


def _role(message: Message) -> str:
    if extra := set(message) - {"role", "content"}:
        raise ValueError(f"a message has the keys {sorted(extra)}; only 'role' and 'content' are understood")
    role = message.get("role")
    if role not in ROLES:
        raise ValueError(f"a message has the role {role!r}; it must be one of {', '.join(ROLES)}")
    return str(role)


def _content(message: Message, images: list[Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return clean(content)
    if not isinstance(content, Sequence):
        raise ValueError(f"a message's content must be a string or a list of parts, not {type(content).__name__}")
    return "".join(_part(part, images) for part in content)


def _part(part: Mapping[str, Any], images: list[Any]) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    if kind == "text" and isinstance(part.get("text"), str):
        return clean(part["text"])
    if kind == "image":
        images.append(next((part[key] for key in IMAGE_KEYS if part.get(key) is not None), None))
        return IMAGE_MARK + "\n"
    raise ValueError(
        f"a part of the type {kind!r} is not understood; there are {{'type': 'text', 'text': str}} and "
        "{'type': 'image', 'image': Pillow image, path, bytes or array}"
    )


def clean(text: str) -> str:
    """The text itself, which must not hold the marks.

    Raises:
        ValueError: it does.
    """
    if IMAGE_MARK in text or SPLIT_MARK in text:
        raise ValueError(
            "the text holds U+FDD0 or U+FDD1, Unicode noncharacters that are not for interchange; remove them"
        )
    return text


def split_special(text: str, special: re.Pattern[str]) -> str:
    """Put a mark after the first character of every special token in a text, so that it is tokenised as text."""
    return special.sub(lambda match: match[0][0] + SPLIT_MARK + match[0][1:], text)


def render(
    messages: Sequence[dict[str, str]],
    template: str,
    variables: Mapping[str, Any],
    *,
    add_generation_prompt: bool = False,
    continue_final_message: bool = False,
) -> Prompt:
    """Marked messages as a prompt, without supervision."""
    options = {"add_generation_prompt": add_generation_prompt, "continue_final_message": continue_final_message}
    return Prompt(_render(messages, template, {**variables, **options})[0])


def render_supervised(messages: Sequence[dict[str, str]], template: str, variables: Mapping[str, Any]) -> Prompt:
    """Marked messages as a training text, with what is supervised: what the assistant says and what ends its turn.

    A template says so itself by `{% generation %}` blocks. Of one that does not, it is what each assistant message adds
    to the prompt for it: the text with the message less the text before it with the generation prompt.

    Raises:
        ValueError: the template has no such blocks and an assistant message changes the text before it, or it refuses.
    """
    if _GENERATION.search(template):
        with _TRACKER:
            text, spans = _render(messages, template, {**variables, "return_assistant_tokens_mask": True})
        return Prompt(text, tuple(spans))
    whole = render(messages, template, variables).text
    answers = (index for index, message in enumerate(messages) if message["role"] == "assistant")
    return Prompt(whole, tuple(_added(messages, index, whole, template, variables) for index in answers))


def _render(
    messages: Sequence[dict[str, str]], template: str, options: Mapping[str, Any]
) -> tuple[str, list[tuple[int, int]]]:
    """Text and spans of one conversation; typed here, since transformers' function is not."""
    try:
        result: Any = render_jinja_template([list(messages)], chat_template=template, **options)
    except TemplateError as error:
        raise ValueError(f"the chat template cannot write this conversation: {error}") from error
    texts, spans = result
    return texts[0], spans[0] if spans else []


def _added(
    messages: Sequence[dict[str, str]], index: int, whole: str, template: str, variables: Mapping[str, Any]
) -> tuple[int, int]:
    before = render(messages[:index], template, variables, add_generation_prompt=True).text
    after = render(messages[: index + 1], template, variables).text
    if not (after.startswith(before) and whole.startswith(after)):
        raise ValueError(
            f"message {index} changes how the chat template writes the messages around it, so that what it adds cannot "
            "be told; put {% generation %} … {% endgeneration %} round the assistant's text in the template"
        )
    return len(before), len(after)

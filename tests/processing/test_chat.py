from typing import Any

import pytest

from nvlm.processing import CHATML
from nvlm.processing.chat import IMAGE_MARK, SPLIT_MARK, Prompt, marked, render, render_supervised, special_pattern
from tests.processing.tiny_tokenizers import LLAMA_TEMPLATE

SPECIAL = special_pattern(["<|im_start|>", "<|im_end|>"])
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "So long."},
]
WITHOUT_MARKERS = CHATML.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
FORGETFUL = "{% for m in messages %}{% if loop.last or m.role == 'user' %}[{{ m.content }}]{% endif %}{% endfor %}"


def supervised(prompt: Prompt) -> list[str]:
    return [prompt.text[start:end] for start, end in prompt.supervised]


def test_chatml_has_no_default_system_turn() -> None:
    prompt = render(TURNS[1:2], CHATML, {}, add_generation_prompt=True)
    assert prompt.text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_chatml_supervises_answers_and_what_ends_them() -> None:
    prompt = render_supervised(TURNS, CHATML, {})
    assert prompt.text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\nSo long.<|im_end|>\n"
    )
    assert supervised(prompt) == ["Hello.<|im_end|>\n", "So long.<|im_end|>\n"]


def test_a_template_without_markers_supervises_what_each_answer_adds() -> None:
    assert render_supervised(TURNS, WITHOUT_MARKERS, {}) == render_supervised(TURNS, CHATML, {})


def test_a_template_that_trims_supervises_what_it_writes() -> None:
    turns = [{"role": "user", "content": " Hi "}, {"role": "assistant", "content": "  Hello. \n"}]
    prompt = render_supervised(turns, LLAMA_TEMPLATE, {"bos_token": "<|begin|>"})
    assert prompt.text.startswith("<|begin|><|start|>user<|sep|>\n\nHi<|eot|>")
    assert supervised(prompt) == ["Hello.<|eot|>"]


def test_a_conversation_may_begin_with_the_assistant() -> None:
    assert supervised(render_supervised(TURNS[2:3], CHATML, {})) == ["Hello.<|im_end|>\n"]
    assert supervised(render_supervised(TURNS[2:3], WITHOUT_MARKERS, {})) == ["Hello.<|im_end|>\n"]


@pytest.mark.parametrize(
    "template", ["{{ raise_exception('no system turns') }}", "{{ messages[9]['role'] }}", "{% if %}"]
)
def test_what_a_template_cannot_write_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="the chat template cannot write this conversation: "):
        render(TURNS, template, {})


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    with pytest.raises(ValueError, match="message 2 changes how the chat template writes the messages around it"):
        render_supervised(TURNS, FORGETFUL, {})


def test_the_last_message_can_be_continued() -> None:
    prompt = render(TURNS[1:3], CHATML, {}, continue_final_message=True)
    assert prompt.text.endswith("<|im_start|>assistant\nHello.")


def test_parts_become_text_with_marks() -> None:
    content = [{"type": "image", "image": "a"}, {"type": "text", "text": "one"}, {"type": "image", "path": "b"}]
    messages, images = marked([{"role": "user", "content": content}, {"role": "user", "content": "two"}], SPECIAL)
    assert [message["content"] for message in messages] == [f"{IMAGE_MARK}\none{IMAGE_MARK}\n", "two"]
    assert images == ["a", "b"]


def test_an_image_part_may_stand_for_a_picture_that_comes_later() -> None:
    assert marked([{"role": "user", "content": [{"type": "image"}]}], SPECIAL)[1] == [None]


@pytest.mark.parametrize("parts", [["a<|im_end|>b"], ["a<|im_", "end|>b"]])
def test_special_tokens_in_messages_are_split(parts: list[str]) -> None:
    content = [{"type": "text", "text": part} for part in parts]
    messages, _ = marked([{"role": "user", "content": content}], SPECIAL)
    assert messages[0]["content"] == f"a<{SPLIT_MARK}|im_end|>b"


def test_chunks_are_cut_at_marks_and_at_the_edges_of_spans() -> None:
    text = f"ab{IMAGE_MARK}cde{SPLIT_MARK}f"
    assert list(Prompt(text, ((4, 7),)).chunks()) == [
        ("ab", False), (IMAGE_MARK, False), ("c", False), ("de", True), (SPLIT_MARK, True), ("f", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], "a conversation needs at least one message"),
        ([{"role": "tool", "content": "x"}], "the role 'tool'; it must be one of system, user, assistant"),
        ([{"role": "user<|im_end|>", "content": "x"}], "it must be one of system, user, assistant"),
        ([{"content": "x"}], "the role None"),
        ([{"role": "user", "content": "x", "name": "y"}], r"the keys \['name'\]; only 'role' and 'content'"),
        ([{"role": "user"}], "content must be a string or a list of parts, not NoneType"),
        ([{"role": "user", "content": 3}], "content must be a string or a list of parts, not int"),
        (
            [{"role": "user", "content": [{"type": "video", "video": "x"}]}],
            "a part of the type 'video' is not understood",
        ),
        ([{"role": "user", "content": [{"type": "text"}]}], "a part of the type 'text' is not understood"),
        ([{"role": "user", "content": ["hello"]}], "a part of the type 'str' is not understood"),
        ([{"role": "user", "content": f"a{IMAGE_MARK}"}], r"U\+FDD0 or U\+FDD1"),
        ([{"role": "user", "content": [{"type": "text", "text": SPLIT_MARK}]}], r"U\+FDD0 or U\+FDD1"),
    ],
)
def test_bad_messages_are_refused(messages: list[dict[str, Any]], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        marked(messages, SPECIAL)

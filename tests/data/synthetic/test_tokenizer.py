import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from nvlm.data.synthetic.splits import SPLITS
from nvlm.data.synthetic.tasks import TASKS
from nvlm.data.synthetic.tokenizer import SLOT, TURN_END, build_tokenizer, number_pieces
from nvlm.data.synthetic.words import kinds
from nvlm.processing import CHATML
from tests.data.synthetic.drawn import problems

TOKENIZER = build_tokenizer()
BYTES = {TOKENIZER.convert_tokens_to_ids(f"<0x{byte:02X}>") for byte in range(256)}


def encode(text: str) -> list[int]:
    return list(TOKENIZER(text, add_special_tokens=False).input_ids)


def tokens(text: str) -> list[str]:
    return TOKENIZER.convert_ids_to_tokens(encode(text))


@pytest.mark.parametrize("task", TASKS)
def test_questions_and_answers_come_back_and_need_no_bytes(task):
    for split in SPLITS:
        for problem in problems(task, split):
            for turn in problem.turns:
                for text in (turn.question, turn.answer):
                    ids = encode(text)
                    assert TOKENIZER.decode(ids) == text
                    assert not BYTES & set(ids), text


@pytest.mark.parametrize("task", TASKS)
def test_answers_need_no_letters_unless_the_task_spells(task):
    """Words of an answer are single tokens; only made-up strings are spelled."""
    if task in ("copy", "reverse", "last_letter"):
        pytest.skip("spells made-up strings")
    for split in SPLITS:
        for problem in problems(task, split):
            for turn in problem.turns:
                words = re.findall(r"[A-Za-z]+", turn.answer)
                assert sum(any(map(str.isalpha, token)) for token in tokens(turn.answer)) == len(words), turn.answer


free_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581")).filter(
    lambda text: not any(line.startswith(" ") for line in text.split("\n"))
)


@settings(max_examples=300, deadline=None)
@given(free_text)
def test_any_text_comes_back(text):
    assert TOKENIZER.decode(encode(text)) == text


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_is_unknown(text):
    assert TOKENIZER.pad_token_id not in encode(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a", "a"),
        ("a\n b", "a\nb"),
        ("<tile_1> a", "<tile_1>a"),
        ("a\u2581b", "a b"),
    ],
)
def test_what_does_not_come_back(text, expected):
    assert TOKENIZER.decode(encode(text)) == expected


def test_every_vocabulary_word_is_one_token_wherever_it_stands():
    for word in {word for words in kinds().values() for word in words}:
        (alone,) = encode(word)
        assert encode(f"The {word}\n{word}")[1:] == [alone, *encode("\n"), alone]


@pytest.mark.parametrize(
    "text", ["<Image>", "</Image>", "\n", "<tile_1>", "<tile_12>", "<tile_global_thumbnail>", "<tile_global>"]
)
def test_tags_and_the_newline_are_single_ordinary_tokens(text):
    assert len(encode(text)) == 1
    assert TOKENIZER.decode(encode(text), skip_special_tokens=True) == text


def test_numbers_are_cut_into_pairs_of_digits():
    assert tokens("12 3.45 678") == ["\u258112", "\u25813", ".", "45", "\u258167", "8"]
    for number in ("7", "42", "12345", "007"):
        pieces = number_pieces(number)
        assert list(dict.fromkeys(pieces)) == tokens(number)
        assert len(pieces) == len(number)
    assert number_pieces("x12.5") == [None, "12", "12", None, "5"]


def test_turns_and_slots_are_special():
    assert {TURN_END, SLOT, "<|im_start|>", "<|endoftext|>"} == {
        token.content for token in TOKENIZER.added_tokens_decoder.values() if token.special
    }
    assert (TOKENIZER.eos_token, TOKENIZER.pad_token) == (TURN_END, "<|endoftext|>")


def test_a_conversation_comes_back():
    messages = [{"role": "user", "content": "What is the sum of cat and dog?"}, {"role": "assistant", "content": "7"}]
    text = TOKENIZER.apply_chat_template(messages, chat_template=CHATML, tokenize=False)
    assert TOKENIZER.decode(encode(text)) == text


def test_the_vocabulary_never_changes():
    """Models were trained on these ids."""
    assert len(TOKENIZER) == 1634
    assert encode("What is the value of cat?\n42") == [1588, 1382, 1491, 1518, 1428, 603, 288, 1619, 436]
    assert [TOKENIZER.eos_token_id, TOKENIZER.convert_tokens_to_ids(SLOT)] == [1615, 1616]


def test_it_is_saved_and_loaded(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert loaded("cat 42\n<tile_1>é").input_ids == TOKENIZER("cat 42\n<tile_1>é").input_ids

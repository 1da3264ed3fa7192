"""One question, a batch of them, and the options."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from nvlm.inference import ask, ask_batch
from nvlm.inference.ask import context_length, generation_settings
from nvlm.processing import ImageError
from tests.inference.tiny import CONTEXT, Tiny

PICTURE = Image.linear_gradient("L").resize((384, 256))
SMALL = Image.new("RGB", (64, 64), "red")


def test_an_answer_is_what_generate_writes(tiny: Tiny) -> None:
    model, processor = tiny
    parts = [{"type": "image", "image": PICTURE}, {"type": "text", "text": "Read the text."}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": parts}], add_generation_prompt=True, tokenize=True, return_dict=True
    )
    written = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    answer = ask(model, processor, "Read the text.", [PICTURE], max_new_tokens=8)
    assert answer == processor.decode(written, skip_special_tokens=True).strip()
    assert answer


def test_a_batch_answers_as_each_alone(tiny: Tiny) -> None:
    model, processor = tiny
    questions = [("Read the text.", [PICTURE]), ("Copy: lemon", ()), ("What is the sum?", [SMALL, PICTURE])]
    together = ask_batch(model, processor, questions, max_new_tokens=6)
    assert together == [ask(model, processor, *question, max_new_tokens=6) for question in questions]
    assert ask_batch(model, processor, []) == []


def test_one_picture_needs_no_list(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    SMALL.save(path)
    data = io.BytesIO()
    SMALL.save(data, "PNG")
    wanted = ask(*tiny, "Read the text.", [SMALL], max_new_tokens=4)
    for image in (SMALL, path, str(path), data.getvalue()):
        assert ask(*tiny, "Read the text.", image, max_new_tokens=4) == wanted


def test_what_cannot_be_asked(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="the question is empty"):
        ask(*tiny, "  ", SMALL)
    with pytest.raises(ImageError, match="does not exist"):
        ask(*tiny, "Read the text.", "nothing.png")
    with pytest.raises(ValueError, match="max_new_tokens is 0"):
        ask(*tiny, "Hello", max_new_tokens=0)
    with pytest.raises(
        ValueError, match=f"max_new_tokens is {CONTEXT}, but question and answer together have {CONTEXT}"
    ):
        ask(*tiny, "Hello", max_new_tokens=CONTEXT)
    with pytest.raises(ValueError, match=rf"has 6\d\d tokens.* only {CONTEXT - 10} fit"):
        ask(*tiny, "lemon " * 600, max_new_tokens=10)
    with pytest.raises(ValueError, match="num_return_sequences is 2"):
        ask(*tiny, "Hello", num_return_sequences=2, num_beams=2)


def test_the_context_is_the_smallest_of_the_limits(tiny_models: dict[str, Tiny]) -> None:
    model, processor = tiny_models["D"]
    assert context_length(model, processor) == CONTEXT


def test_greedy_unless_sampling_is_asked_for(tiny_models: dict[str, Tiny]) -> None:
    pair = tiny_models["H"]
    assert generation_settings(*pair)["do_sample"] is False
    assert generation_settings(*pair, temperature=0)["do_sample"] is False
    assert generation_settings(*pair, temperature=0.7)["do_sample"] is True
    assert generation_settings(*pair, top_p=0.9)["do_sample"] is True
    torch.manual_seed(1)
    first = ask(*pair, "Hello", temperature=5.0, max_new_tokens=12)
    torch.manual_seed(1)
    assert ask(*pair, "Hello", temperature=5.0, max_new_tokens=12) == first
    assert ask(*pair, "Hello", max_new_tokens=12) == ask(*pair, "Hello", temperature=0, max_new_tokens=12)
    with pytest.raises(ValueError, match="temperature is -1"):
        generation_settings(*pair, temperature=-1)
    with pytest.raises(ValueError, match="top_p is 0"):
        generation_settings(*pair, top_p=0)


def test_beams(tiny: Tiny) -> None:
    assert isinstance(ask(*tiny, "Read the text.", PICTURE, max_new_tokens=4, num_beams=2), str)

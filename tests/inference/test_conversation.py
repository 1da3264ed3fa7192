"""Turns, streaming, and what stays when a reply is stopped or fails."""

import threading
from contextlib import closing

import pytest
from PIL import Image

from nvlm.inference import Conversation, ask
from tests.inference.tiny import Tiny

SMALL = Image.new("RGB", (64, 64), "red")
WIDE = Image.linear_gradient("L").resize((256, 128))


def test_the_pieces_are_the_answer(tiny: Tiny) -> None:
    conversation = Conversation(*tiny, max_new_tokens=8)
    pieces = list(conversation.say("Read the text.", [WIDE]))
    assert len(pieces) > 1
    assert "".join(pieces).strip() == ask(*tiny, "Read the text.", [WIDE], max_new_tokens=8)


def test_turns_follow_each_other(tiny: Tiny) -> None:
    conversation = Conversation(*tiny, max_new_tokens=8)
    first = "".join(conversation.say("Read the text.", [SMALL])).strip()
    second = "".join(conversation.say("And these?", [WIDE, SMALL])).strip()
    assert [message["role"] for message in conversation.messages] == ["user", "assistant"] * 2
    assert [message["content"] for message in conversation.messages[1::2]] == [first, second]
    assert second != ask(*tiny, "And these?", [WIDE, SMALL], max_new_tokens=8)
    conversation.reset()
    assert "".join(conversation.say("And these?", [WIDE, SMALL])).strip() == ask(
        *tiny, "And these?", [WIDE, SMALL], max_new_tokens=8
    )


def test_a_stopped_reply_stays(tiny_models: dict[str, Tiny]) -> None:
    conversation = Conversation(*tiny_models["X"], max_new_tokens=300)
    said = ""
    with closing(conversation.say("Read the text.", [WIDE])) as pieces:
        for piece in pieces:
            said += piece
            if said.strip():
                break
    assert conversation.messages[-1] == {"role": "assistant", "content": said.strip()}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nvlm-reply")]


def test_a_turn_without_a_word_leaves_no_trace(tiny_models: dict[str, Tiny]) -> None:
    conversation = Conversation(*tiny_models["D"], max_new_tokens=8)
    reply = conversation.say("Read the text.", [WIDE])
    reply.close()
    for question, images in (("", []), ("Read.", ["nothing.png"]), ("lemon " * 600, [])):
        with pytest.raises(ValueError, match=r"empty|not exist|fit"):
            list(conversation.say(question, images))
    assert conversation.messages == []


def test_errors_of_the_model_reach_the_reader(tiny_models: dict[str, Tiny], monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = tiny_models["D"]

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "generate", fail)
    conversation = Conversation(model, processor)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(conversation.say("Hello"))
    assert conversation.messages == []


def test_options_are_checked_at_once(tiny_models: dict[str, Tiny]) -> None:
    with pytest.raises(ValueError, match="top_p is 2"):
        Conversation(*tiny_models["D"], top_p=2)

"""`nvlm chat`, from its arguments to what it prints."""

import argparse
import io
from pathlib import Path

import pytest
from PIL import Image

from nvlm.cli import chat
from nvlm.inference import ask, load
from nvlm.inference.terminal import visible


@pytest.fixture
def model(tiny_folders: dict[str, Path]) -> str:
    return str(tiny_folders["H"])


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((256, 128)).save(path)
    return str(path)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    chat.add_arguments(parser)
    return chat.run(parser.parse_args(arguments))


def test_one_question_prints_the_answer_only(model: str, picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model, picture, "-q", "Read the text.", "--max-new-tokens", "6") == 0
    printed = capsys.readouterr()
    assert printed.out == visible(ask(*load(model), "Read the text.", picture, max_new_tokens=6)) + "\n"
    assert printed.err == ""


def test_a_seed_gives_the_same_sample_again(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(2):
        run(model, "-q", "Hello", "--temperature", "3", "--top-p", "0.9", "--seed", "5", "--max-new-tokens", "9")
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_a_conversation_over_a_pipe(
    model: str, picture: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Read the text.\n/flip\nAnd again?\n"))
    assert run(model, picture, "--max-new-tokens", "6") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(visible(ask(*load(model), "Read the text.", picture, max_new_tokens=6))[:4])
    assert "no command /flip" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.png", "-q", "Hello"], "'nothing.png' does not exist"),
        (["nothing.png"], "'nothing.png' does not exist"),
        (["-q", ""], "question is empty"),
        (["-q", "Hello", "--temperature", "-1"], "temperature is -1"),
        (["-q", "Hello", "--seed", "1"], "--seed does nothing"),
        (["-q", "Hello", "--max-new-tokens", "0"], "max_new_tokens is 0"),
        (["-q", "Hello", "--device", "toaster"], "'toaster' is no device"),
    ],
)
def test_what_cannot_be_used_is_one_error(model: str, arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(model, *arguments)

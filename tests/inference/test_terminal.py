"""The conversation as a user meets it: commands, errors, interruptions, pipes."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from nvlm.inference import Conversation, ask
from nvlm.inference.terminal import Terminal, visible
from tests.inference.tiny import Tiny


class Screen(io.StringIO):
    """A terminal at both ends."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def pair(tiny_models: dict[str, Tiny]) -> Tiny:
    return tiny_models["H"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "red one.png"
    Image.new("RGB", (64, 64), "red").save(path)
    return path


def typed(pair: Tiny, monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> tuple[Terminal, str]:
    """A session in which a person types these lines, or raises what Ctrl-C and Ctrl-D raise."""
    left = iter(lines)

    def enter(prompt: str) -> str:
        line = next(left, EOFError)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", enter)
    screen = Screen()
    terminal = Terminal(Conversation(*pair, max_new_tokens=6), "tiny-h", Screen(), screen)
    terminal.run()
    return terminal, screen.getvalue()


def piped(pair: Tiny, text: str) -> tuple[Terminal, str, str]:
    output, notes = io.StringIO(), io.StringIO()
    terminal = Terminal(Conversation(*pair, max_new_tokens=6), "tiny-h", io.StringIO(text), output, notes)
    terminal.run()
    return terminal, output.getvalue(), notes.getvalue()


def test_a_pipe_gets_the_replies_only(pair: Tiny, picture: Path) -> None:
    _, output, notes = piped(pair, f"Copy: lemon\n\n/image {picture}\nRead the text.\n/quit\nnever asked\n")
    first = ask(*pair, "Copy: lemon", max_new_tokens=6)
    assert output.startswith(f"{first}\n") or output.strip().startswith(first)
    assert "64 x 64" in notes
    assert "64 x 64" not in output


def test_errors_do_not_end_the_conversation(pair: Tiny, picture: Path) -> None:
    lines = ["/image", "/image nothing.png", "/flip", f"/image {picture}", "lemon " * 600, "Read the text."]
    terminal, output, notes = piped(pair, "\n".join(lines))
    assert "/image needs the path" in notes
    assert "'nothing.png' does not exist" in notes
    assert "no command /flip; there are /image, /reset, /help, /quit" in notes
    assert "tokens" in notes
    assert "fit" in notes
    assert output.strip() == visible(ask(*pair, "Read the text.", picture, max_new_tokens=6)).strip()
    assert terminal.waiting == []


def test_pictures_wait_for_a_question_that_works(pair: Tiny, picture: Path) -> None:
    terminal, _, notes = piped(pair, f"/image '{picture}'\n/image {picture}\n{'lemon ' * 600}\n")
    assert len(terminal.waiting) == 2
    assert "2 pictures wait" in notes


def test_reset_and_help(pair: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, screen = typed(pair, monkeypatch, "Hello", "/reset", "/help", " /not a command", "/quit")
    assert "Forgotten" in screen
    assert "/image PATH" in screen
    assert terminal.conversation.messages[0]["content"] == "/not a command"


def test_control_c_at_the_prompt_does_not_leave(pair: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, screen = typed(pair, monkeypatch, KeyboardInterrupt, "Hello")
    assert "Ctrl-D or /quit" in screen
    assert len(terminal.conversation.messages) == 2


def interrupted_after(pieces: int, original: Callable[..., None]) -> Callable[[Terminal, str], None]:
    """A way of writing that is interrupted at a reply's `pieces`-th piece."""
    written: list[str] = []

    def write(self: Terminal, text: str) -> None:
        original(self, text)
        written.append(text)
        if len(written) == pieces:
            raise KeyboardInterrupt

    return write


def test_control_c_stops_the_reply_and_keeps_it(pair: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "_write", interrupted_after(2, Terminal._write))
    terminal, screen = typed(pair, monkeypatch, "Hello", "And now?")
    assert "(stopped)" in screen
    said = terminal.conversation.messages[1]["content"]
    assert said
    assert said in screen
    assert len(terminal.conversation.messages) == 4


def test_control_c_ends_a_pipe(pair: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "_write", interrupted_after(1, Terminal._write))
    with pytest.raises(KeyboardInterrupt):
        piped(pair, "Hello\n")


def test_a_reply_cannot_steer_the_terminal() -> None:
    assert visible("a\x1b[2Jb\r\n\tc\u200d\u00e9") == "a[2Jb\n\tc\u200d\u00e9"

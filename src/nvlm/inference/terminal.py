"""A conversation at a terminal, or over a pipe: reads lines, writes replies as they come."""

import sys
import unicodedata
from contextlib import closing
from pathlib import Path
from typing import TextIO

from PIL import Image

from nvlm.inference.conversation import Conversation

HELP = """\
/image PATH   show a picture with the next question; again for several
/reset        forget what was said and shown
/help         this list
/quit         leave (so does Ctrl-D)
Ctrl-C stops a reply. To ask something that begins with a slash, put a space before it."""


class Terminal:
    """Reads what a user types and acts on it, until they leave. What goes wrong with a line does not end it.

    Replies go to `output`. Notes and errors go there too when a person sits at both ends; else they go to `notes`, so
    that `output` holds the replies only.

    Args:
        conversation: what is talked in.
        name: of the model, for the greeting.
        lines, output, notes: standard input, output and error where None.
    """

    def __init__(
        self,
        conversation: Conversation,
        name: str,
        lines: TextIO | None = None,
        output: TextIO | None = None,
        notes: TextIO | None = None,
    ) -> None:
        self.conversation = conversation
        self.waiting: list[Image.Image] = []
        self._name = name
        self._lines, self._output, notes = lines or sys.stdin, output or sys.stdout, notes or sys.stderr
        self._person = self._lines.isatty()
        self._notes = self._output if self._person and self._output.isatty() else notes
        self._commands = {"/image": self._image, "/reset": self._reset, "/help": self._help}

    def run(self) -> None:
        """Talk until `/quit` or the end of the input."""
        if self._person:
            self._note(
                f"Talking with {self._name}. /image PATH shows a picture, /help lists the commands, Ctrl-D ends."
            )
            if self.waiting:
                self._note(f"{self._number_waiting()}.")
        while (line := self._read()) is not None:
            if not line.strip():
                continue
            if line.startswith("/"):
                if line.split()[0] == "/quit":
                    return
                self._command(line)
            else:
                self.ask(line.strip())

    def show(self, path: str) -> None:
        """Keep a picture for the next question.

        Raises:
            ImageError: it cannot be used.
        """
        self.waiting.append(self.conversation.processor.image_processor.load(Path(path).expanduser()))

    def ask(self, question: str) -> None:
        """Write the reply as it comes; Ctrl-C stops it, an error is told. Its pictures wait on if it left no trace."""
        before = len(self.conversation.messages)
        try:
            with closing(self.conversation.say(question, self.waiting)) as pieces:
                for piece in pieces:
                    self._write(visible(piece))
            self._write("\n")
        except KeyboardInterrupt:
            if not self._person:
                raise
            self._write("\n")
            self._note("(stopped)")
        except (ValueError, RuntimeError, MemoryError) as error:
            self._complain(error)
            if before:
                self._note("What was said before stays; /reset forgets it.")
        if len(self.conversation.messages) > before:
            self.waiting = []

    def _command(self, line: str) -> None:
        name, _, rest = line.strip().partition(" ")
        if name not in self._commands:
            self._note(f"There is no command {name}; there are {', '.join([*self._commands, '/quit'])}.")
            return
        try:
            self._commands[name](rest.strip())
        except (ValueError, OSError) as error:
            self._complain(error)

    def _image(self, path: str) -> None:
        if not path:
            raise ValueError(f"/image needs the path of a picture; {self._number_waiting()}")
        self.show(path.strip("\"'"))
        width, height = self.waiting[-1].size
        self._note(f"A picture of {width} x {height} pixels; {self._number_waiting()}.")

    def _reset(self, _: str) -> None:
        self.conversation.reset()
        self.waiting = []
        self._note("Forgotten: everything said and shown.")

    def _help(self, _: str) -> None:
        self._note(HELP)

    def _number_waiting(self) -> str:
        count = len(self.waiting)
        return f"{count} {'picture waits' if count == 1 else 'pictures wait'} for the next question"

    def _read(self) -> str | None:
        """The next line; None at the end. Ctrl-C at the prompt leaves the line, not the conversation."""
        if not self._person:
            return self._lines.readline() or None
        while True:
            try:
                return input("> ")
            except KeyboardInterrupt:
                self._write("\n")
                self._note("(Ctrl-D or /quit ends the conversation)")
            except EOFError:
                self._write("\n")
                return None

    def _complain(self, error: BaseException) -> None:
        text = str(error) or type(error).__name__
        self._note(f"Error: {text}")

    def _write(self, text: str) -> None:
        self._output.write(text)
        self._output.flush()

    def _note(self, text: str) -> None:
        self._notes.write(f"{text}\n")
        self._notes.flush()


def visible(text: str) -> str:
    """Text without control characters other than newline and tab: a reply cannot steer the terminal."""
    return "".join(sign for sign in text if sign in "\n\t" or unicodedata.category(sign) != "Cc")

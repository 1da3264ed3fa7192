"""The table of commands, and what they share: help, `--version`, `--debug`, readable errors, exit codes.

A command is a module with `add_arguments(parser)` and `run(args) -> int`. Only the module of the command that was
called is imported, and it imports PyTorch only when it runs: `nvlm --help` answers at once.
"""

import argparse
import difflib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module

from nvlm import __version__

__all__ = ["COMMANDS", "main"]

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("nvlm.cli.demo", "D, X and H answer the same questions about pictures, side by side"),
    "chat": ("nvlm.cli.chat", "ask a model one question, or talk with it, about any number of pictures"),
    "train": ("nvlm.cli.train", "train a recipe, here or on all processes of torchrun; can be stopped and resumed"),
    "plan": ("nvlm.cli.plan", "what a recipe needs: memory, layout, hours, disk; before it runs, without a GPU"),
    "eval": ("nvlm.cli.eval", "score a model on benchmarks, with intervals, and against its bare language model"),
    "compare": ("nvlm.cli.compare", "train D, X and H on the same backbones and samples, and write one report"),
    "data": ("nvlm.cli.data", "list and prepare training data, look at it, check it against evaluation sets"),
    "convert": ("nvlm.cli.convert", "rewrite a checkpoint in NVIDIA's layout or in this package's"),
    "make-checkpoint": ("nvlm.cli.make_checkpoint", "write a small checkpoint of random weights in a published layout"),
}
"""Each command's module and the line that `nvlm --help` prints."""

EXAMPLE = """\
examples:
  nvlm demo                                     the three shipped models, twelve pictures and more
  nvlm chat nano-h receipt.png -q "What is the total?"
  nvlm chat --help                              what a command takes, with examples
"""
USER_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141


def main(arguments: Sequence[str] | None = None, commands: Mapping[str, tuple[str, str]] = COMMANDS) -> int:
    """Run one command.

    Args:
        arguments: what follows `nvlm` on the command line; by default what this process was started with.
        commands: name → (module, help).

    Returns:
        The command's own exit code; 2 where the user can do something about it (a `ValueError` or `OSError`, told in
        one line), 130 after Ctrl-C, 141 when the reader of the output went away.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = False
    try:
        try:
            parser = build_parser(words, commands)
            args = parser.parse_args(words)
            debug = args.debug
            if args.command is None:
                parser.print_help()
                return 0
            code: int = import_module(commands[args.command][0]).run(args)
            return code
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # what is left in the buffer must not raise again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        if debug:
            traceback.print_exc()
        print("\nnvlm: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"nvlm: {one_line(error)}", file=sys.stderr)
        return USER_ERROR


def build_parser(words: Sequence[str], commands: Mapping[str, tuple[str, str]] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of a command line: all commands by name, the arguments only of the one that is called."""
    called = next((word for word in words if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="nvlm",
        description="Three ways to let a language model read pictures: NVLM-D, NVLM-X and NVLM-H.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nvlm {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, help_line) in commands.items():
        subparser = subparsers.add_parser(name, help=help_line, description=f"{help_line[0].upper()}{help_line[1:]}.")
        subparser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if name == called:
            import_module(module).add_arguments(subparser)
    if called is not None and called not in commands:
        near = difflib.get_close_matches(called, commands, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        parser.error(f"there is no command {called!r}{hint} (commands: {', '.join(commands)})")
    return parser


def one_line(error: ValueError | OSError) -> str:
    """What went wrong, in one line: the system's own errors name the file first."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())

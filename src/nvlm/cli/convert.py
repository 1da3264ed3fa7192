"""`nvlm convert`: a checkpoint in NVIDIA's layout, for vLLM, or in this package's, for everything else."""

import argparse
import re
import sys
import time
from pathlib import Path

from nvlm.data.status_line import StatusLine, clock

EXAMPLE = """\
examples:
  nvlm convert NVLM-D-72B mine/ --to nvlm          a folder that was downloaded, for training and everything here
  nvlm convert runs/mine exported/ --to nvidia     a model D, to be served by vLLM
  nvlm convert nano-d exported/ --to nvidia --shard-size 2MB

An interrupted conversion goes on when the same command is run again. At the end every tensor is read back and compared
with the source, which is never written to.
"""
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", metavar="SRC", help="a local folder in the other layout, or nano-d")
    parser.add_argument(
        "target",
        type=Path,
        metavar="DST",
        help="where to: a folder that is empty or not there yet, or an interrupted one",
    )
    parser.add_argument(
        "--to", choices=["nvlm", "nvidia"], required=True, help="this package's layout, or NVIDIA's of NVLM-D-72B"
    )
    parser.add_argument(
        "--shard-size",
        type=_size,
        default="5GB",
        metavar="SIZE",
        help="largest size of a file of weights, as 500MB or 5GB (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Convert; 130 if it was interrupted.

    Raises:
        ValueError, OSError: a source that cannot be converted, or a target that cannot be written to.
    """
    from nvlm.checkpoints.convert import convert
    from nvlm.inference.load import SHIPPED, find_source

    source = Path(find_source(args.source)) if args.source.lower() in SHIPPED else Path(args.source).expanduser()
    line = Line()
    try:
        done = convert(source, args.target, args.to, args.shard_size, line.show)
    except KeyboardInterrupt:
        line.close()
        print("nvlm: interrupted; what is finished is kept, and the same command goes on from there", file=sys.stderr)
        return 130
    finally:
        line.close()
    kept = f", {done.kept} of them from before" if done.kept else ""
    files = "1 file" if done.shards == 1 else f"{done.shards} files"
    print(f"{args.target}: {done.tensors} tensors, {in_bytes(done.nbytes)} in {files}{kept}; read back and found equal")
    if done.left_out:
        print(f"not taken over: {', '.join(done.left_out)}")
    for note in done.notes:
        print(f"note: {note}")
    return 0


class Line(StatusLine):
    """What is being done to how many bytes, how fast, and how long it takes."""

    def __init__(self) -> None:
        super().__init__()
        self._what, self._first = "", 0

    def show(self, what: str, done: int, total: int) -> None:
        """Say that so many bytes are done."""
        now = time.monotonic()
        if what != self._what:
            self.close()
            self._what, self._began, self._first, self._shown = what, now, done, 0.0 if self._terminal else now
        if self.due(now) or done == total:
            self.say(self._text(done, total, now), keep=done == total)

    def _text(self, done: int, total: int, now: float) -> str:
        text = f"{self._what}  {in_bytes(done)} of {in_bytes(total)}"
        spent, moved = now - self._began, done - self._first
        if done == total or not moved or spent <= 0:
            return text
        return f"{text}  {moved / spent / 1e6:,.0f} MB/s  {clock(spent / moved * (total - done))} left"


def in_bytes(number: int) -> str:
    """A size for people."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def _size(text: str) -> int:
    """Bytes from the command line.

    Raises:
        argparse.ArgumentTypeError: it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), flags=re.IGNORECASE)
    size = int(float(match[1]) * UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 500MB or 5GB")
    return size

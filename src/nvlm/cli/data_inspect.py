"""`nvlm data inspect`: look at samples as the model sees them, on one HTML page."""

import argparse
from pathlib import Path

from nvlm.data.synthetic.splits import SPLITS
from nvlm.data.synthetic.tasks import TASKS

ARCHITECTURES = ("d", "x", "h")
EXAMPLE = """\
examples:
  nvlm data inspect                                   one sample of every task, for D, X and H side by side
  nvlm data inspect --task table receipt --count 5    five samples of each of two tasks
  nvlm data inspect --arch h --split train --out h.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--task",
        nargs="+",
        choices=list(TASKS),
        default=list(TASKS),
        metavar="NAME",
        help=f"of {', '.join(TASKS)} (default: all)",
    )
    parser.add_argument("--split", choices=SPLITS, default="validation", help="which split (default: %(default)s)")
    parser.add_argument(
        "--arch", choices=[*ARCHITECTURES, "all"], default="all", help="architecture (default: %(default)s)"
    )
    parser.add_argument(
        "--count", type=_positive, default=1, metavar="N", help="samples of each task (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("samples.html"), metavar="FILE", help="page to write (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from nvlm.data.inspect import render_page
    from nvlm.data.synthetic.splits import generator
    from nvlm.data.synthetic.tasks import to_sample
    from nvlm.recipes.nano.language import build_processor

    names = ARCHITECTURES if args.arch == "all" else (args.arch,)
    samples = [
        to_sample(
            TASKS[task][0](generator(args.split, f"inspect/{task}", index), args.split),
            f"{args.split}/{task}/{index}",
            explain=True,
        )
        for task in args.task
        for index in range(args.count)
    ]
    processors = {name.upper(): build_processor(name.upper()) for name in names}
    page = render_page(samples, processors, f"Synthetic samples, {args.split} split")
    args.out.write_text(page, encoding="utf-8")
    print(f"{len(samples)} samples written to {args.out}")
    return 0


def _positive(text: str) -> int:
    """A count from the command line.

    Raises:
        argparse.ArgumentTypeError: it is no whole number above 0.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)

"""`nvlm demo`: D, X and H answer the same questions side by side, in the terminal and on an HTML page."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvlm.data.showcase import Exhibit
    from nvlm.inference.demo import Contestant, Round

PAGE = "nvlm-demo.html"
MODELS = ("nano-d", "nano-x", "nano-h")
EXAMPLE = """\
examples:
  nvlm demo                              the three shipped models; writes nvlm-demo.html
  nvlm demo --out report/                the page goes into a folder
  nvlm demo --models nano-h runs/mine    other models, or fewer
  nvlm demo --no-page                    the terminal only
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    page = parser.add_mutually_exclusive_group()
    page.add_argument(
        "--out",
        type=Path,
        default=Path(PAGE),
        metavar="DIR/FILE",
        help="page to write, or its folder (default: %(default)s)",
    )
    page.add_argument("--no-page", action="store_true", help="write no page")
    parser.add_argument(
        "--models",
        nargs="+",
        default=list(MODELS),
        metavar="MODEL",
        help=f"names or folders (default: {' '.join(MODELS)})",
    )


def run(args: argparse.Namespace) -> int:
    """Ask, print the table, write the page.

    Raises:
        FileNotFoundError, ValueError: a model that cannot be loaded, or a page that cannot be written.
    """
    from rich.console import Console

    from nvlm.data.showcase import exhibits
    from nvlm.inference.demo import Contestant, setting, standings
    from nvlm.inference.demo_page import render_page
    from nvlm.inference.demo_table import PLAIN_WIDTH, print_rounds, print_standings
    from nvlm.inference.load import load

    page = None if args.no_page else page_path(args.out)
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    names = short_names(args.models)
    contestants = [Contestant(short, *load(name)) for short, name in zip(names, args.models, strict=True)]
    rounds = _play(contestants, exhibits())
    print_rounds(console, names, rounds)
    print_standings(console, standings(contestants, rounds))
    console.print(f"Measured on {setting(contestants)}.", soft_wrap=True)
    if page is not None:
        _write(page, render_page(contestants, rounds))
        console.print(f"The page with the pictures: {page.resolve()}", soft_wrap=True, markup=False)
    return 0


def short_names(models: list[str]) -> list[str]:
    """What the models are called in tables: their last folder, where those differ."""
    short = [Path(name).name for name in models]
    return short if len(set(short)) == len(models) else models


def page_path(out: Path) -> Path:
    """The file to write; its folder is made.

    Raises:
        ValueError: the folder cannot be made.
    """
    page = out if out.suffix.lower() in (".html", ".htm") and not out.is_dir() else out / PAGE
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"the folder {page.parent} cannot be made: {error.strerror}") from error
    return page


def _play(contestants: "list[Contestant]", exhibits: "list[Exhibit]") -> "list[Round]":
    """Ask, with a progress bar where someone watches."""
    from rich.console import Console
    from rich.progress import Progress

    from nvlm.inference.demo import play

    watched = Console(stderr=True)
    with Progress(console=watched, transient=True, disable=not watched.is_terminal) as progress:
        task = progress.add_task("asking", total=len(contestants) * len(exhibits))
        return play(contestants, exhibits, lambda: progress.advance(task))


def _write(page: Path, text: str) -> None:
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"the page {page} cannot be written: {error.strerror}") from error

"""`nvlm train`: make the nano family on one CPU, in pieces that can be stopped and resumed."""

import argparse
import sys
from pathlib import Path

EXAMPLE = """\
examples:
  nvlm train nano --arch d                         backbones, features, then NVLM-D; hours on two cores
  nvlm train nano --arch h --resume                go on after Ctrl-C, with the same next batch
  nvlm train nano --arch x --set sft.steps=200     change one value of the recipe
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("recipe", choices=["nano"], help="what to train")
    parser.add_argument("--arch", choices=["d", "x", "h"], help="architecture; without it only the backbones are made")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/nano"), metavar="DIR", help="folder of the run (default: %(default)s)"
    )
    parser.add_argument("--resume", action="store_true", help="continue an architecture that was begun in the folder")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="change a value of the recipe"
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: torch's own choice)")


def run(args: argparse.Namespace) -> int:
    """Train; 130 if it was interrupted (and saved)."""
    import torch

    from nvlm.recipes.nano.family import NanoRecipe, NanoRun
    from nvlm.recipes.overrides import override
    from nvlm.training.loop import Interrupted

    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = NanoRecipe()
    for change in args.changes:
        recipe = override(recipe, change)
    nano = NanoRun(recipe, args.out)
    try:
        if args.arch is None:
            nano.vision()
            nano.language()
        else:
            nano.make(args.arch.upper(), resume=args.resume)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 130
    return 0

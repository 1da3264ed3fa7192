"""`nvlm compare`: train variants of a recipe on the same backbones and samples, and write one report about them."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvlm.recipes.compare.study import Study

EXAMPLE = """\
examples:
  nvlm compare nano --dry-run                      D, X and H: what is to be done, and how long it takes
  nvlm compare nano --seeds 3 --limit 200          stop it with Ctrl-C, go on with the same command
  nvlm compare nano --variants all                 with every ablation: tags, resolution, frozen, no text …
  nvlm compare nano --variants d,d-no-tags,x-every-2,h-low-res+no-text --set sft.steps=300
  nvlm compare nano --backbones runs/nano          on backbones that nvlm train nano made there
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("recipe", choices=["nano"], help="what is trained")
    parser.add_argument(
        "--variants",
        default="main",
        metavar="LIST",
        help="main (d, x, h), ablations, all, or names such as d-no-tags (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="trainings of each of d, x and h (default: %(default)s)"
    )
    parser.add_argument(
        "--ablation-seeds", type=int, default=2, metavar="N", help="and of each other variant (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="held-out questions of each task (default: %(default)s)"
    )
    parser.add_argument(
        "--backbones",
        type=Path,
        metavar="DIR",
        help="folder of nano-vision and nano-lm (default: those that come with the package)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/compare"),
        metavar="DIR",
        help="folder of models, answers and report (default: %(default)s)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="change a value of the recipe"
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: torch's own choice)")
    parser.add_argument("--dry-run", action="store_true", help="only say what is to be done and how long it takes")


def run(args: argparse.Namespace) -> int:
    """Compare; 130 if it was interrupted (and saved).

    Raises:
        ValueError, FileNotFoundError: wrong variants or numbers, no backbones, or a folder with another comparison.
    """
    import torch

    from nvlm.recipes.compare.conduct import conduct
    from nvlm.training.loop import Interrupted

    if args.threads < 0:
        raise ValueError(f"--threads is {args.threads}; it must be at least 1 (0 leaves the choice to torch)")
    study = study_of(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        page = conduct(study, command_of(args), dry_run=args.dry_run)
    except Interrupted as stopped:
        print(f"{stopped.args[0].partition(';')[0]}; the same command goes on", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        if not args.dry_run:
            print(f"\nwhat is done so far is in {study.folder}; the same command goes on", file=sys.stderr)
        raise
    if page is not None:
        print(f"the report: {page.resolve()}, and as Markdown and JSON beside it")
    return 0


def study_of(args: argparse.Namespace) -> "Study":
    """The comparison that a command line asks for.

    Raises:
        ValueError: wrong variants or numbers.
    """
    from nvlm.inference.load import MODELS
    from nvlm.recipes.compare.study import Study
    from nvlm.recipes.compare.variants import choose
    from nvlm.recipes.nano.stages import NanoRecipe
    from nvlm.recipes.overrides import changed

    for name in ("seeds", "ablation_seeds", "limit"):
        if (value := getattr(args, name)) < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {value}; it must be at least 1")
    names = choose(args.variants)
    recipe = changed(NanoRecipe(), None, args.changes)
    return Study(recipe, names, args.seeds, args.ablation_seeds, args.limit, args.backbones or MODELS, args.out)


def command_of(args: argparse.Namespace) -> str:
    """The command as the report names it: what decides the numbers, and no folders."""
    words = ["nvlm", "compare", args.recipe, "--variants", args.variants, "--seeds", str(args.seeds)]
    words += ["--ablation-seeds", str(args.ablation_seeds), "--limit", str(args.limit)]
    return shlex.join(words + [word for change in args.changes for word in ("--set", change)])

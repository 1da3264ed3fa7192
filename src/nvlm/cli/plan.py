"""`nvlm plan`: what a recipe needs, before it runs and without a GPU."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvlm.planning.gpus import Gpu
    from nvlm.planning.memory import Precision
    from nvlm.planning.plan import Plan
    from nvlm.planning.stage import Rate
    from nvlm.recipes.recipe import Recipe

ARCHITECTURES = ("d", "x", "h")
MFU = 0.35
EXAMPLE = """\
examples:
  nvlm plan paper_72b --gpus 128 --gpu h100-80g            D, X and H side by side
  nvlm plan paper_34b --arch h --gpus 64 --gpu a100-80g --mfu 0.3 --samples 2000000
  nvlm plan paper_72b --gpus 64 --gpu h200-141g --set sft.batch=512 --json plan.json
  nvlm plan nano --calibrate                               on this machine, at its measured speed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("recipe", metavar="RECIPE", help="paper_72b, paper_34b, either with _released, smol or nano")
    parser.add_argument(
        "--arch", choices=[*ARCHITECTURES, "all"], default="all", help="architecture (default: %(default)s)"
    )
    parser.add_argument(
        "--stage", choices=["pretrain", "sft", "all"], default="all", help="stage of the recipe (default: %(default)s)"
    )
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="how many GPUs (default: %(default)s)")
    machine = parser.add_mutually_exclusive_group(required=True)
    machine.add_argument("--gpu", metavar="KIND", help="of which kind: h100-80g, a100-80g, h200-141g …")
    machine.add_argument(
        "--calibrate", action="store_true", help="of this machine's kind, at the speed that is measured now"
    )
    parser.add_argument("--mfu", type=float, metavar="SHARE", help=f"assumed share of the GPU's peak (default: {MFU})")
    parser.add_argument("--samples", type=int, metavar="N", help="samples of each stage (default: as in the recipe)")
    parser.add_argument(
        "--text", type=int, metavar="N", help="text tokens of a sample (default: all there is room for)"
    )
    parser.add_argument("--tiles", type=int, metavar="N", help="tiles of a picture (default: as many as allowed)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file that changes values of the recipe")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="change a value of the recipe"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")


def run(args: argparse.Namespace) -> int:
    """Plan and print; 1 if a stage does not fit on the GPUs.

    Raises:
        ValueError: an unknown recipe, GPU or value, or numbers that contradict each other.
    """
    import os

    from rich.console import Console

    from nvlm.planning.export import write_json
    from nvlm.planning.report import PLAIN_WIDTH, print_plan

    if args.calibrate and args.mfu is not None:
        raise ValueError("--mfu assumes a speed and --calibrate measures it; give one of them")
    plan = _plan(args)
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    print_plan(console, plan)
    if args.json is not None:
        write_json(args.json, plan)
    return 0 if plan.fits else 1


def _plan(args: argparse.Namespace) -> "Plan":
    """Everything that is to be printed."""
    from nvlm.planning.layouts import skeleton
    from nvlm.planning.measured import compare
    from nvlm.planning.plan import Plan
    from nvlm.planning.stage import plan_stage
    from nvlm.recipes.known import BESIDES
    from nvlm.recipes.workloads import workload_of

    architectures = ARCHITECTURES if args.arch == "all" else (args.arch,)
    recipes = {name.upper(): _recipe(args, name.upper()) for name in architectures}
    gpu, rate, precision = _machine(args, next(iter(recipes.values())))
    stages, comparisons = {}, {}
    for name, recipe in recipes.items():
        model = skeleton(recipe.model.config())
        asked = recipe.stages if args.stage == "all" else (getattr(recipe, args.stage),)
        workloads = [
            workload_of(recipe, stage, text=args.text, tiles=args.tiles, samples=args.samples) for stage in asked
        ]
        stages[name] = [plan_stage(model, workload, gpu, args.gpus, rate, precision) for workload in workloads]
        if recipe.measured is not None and args.stage in (recipe.measured.stage, "all"):
            comparisons[name] = compare(model, recipe.measured, getattr(recipe, recipe.measured.stage).trainable)
    besides = BESIDES.get(args.recipe, "")
    return Plan(args.recipe, gpu, args.gpus, rate, precision, recipes, stages, comparisons, besides)


def _recipe(args: argparse.Namespace, architecture: str) -> "Recipe":
    """The recipe with everything that the command line changes."""
    from nvlm.recipes.known import find_recipe
    from nvlm.recipes.overrides import override, override_from_file

    recipe = find_recipe(args.recipe, architecture)
    if args.config is not None:
        recipe = override_from_file(recipe, args.config)
    for change in args.changes:
        recipe = override(recipe, change)
    return recipe


def _machine(args: argparse.Namespace, recipe: "Recipe") -> "tuple[Gpu, Rate, Precision]":
    """What the run is planned for, and how fast that is."""
    import torch

    from nvlm.planning.calibrate import calibrate
    from nvlm.planning.gpus import find_gpu
    from nvlm.planning.memory import MIXED, SINGLE
    from nvlm.planning.stage import assumed_rate
    from nvlm.recipes.workloads import workload_of

    if not args.calibrate:
        gpu = find_gpu(args.gpu)
        return gpu, assumed_rate(gpu, MFU if args.mfu is None else args.mfu), MIXED
    workload = workload_of(recipe, recipe.stages[-1], text=args.text, tiles=args.tiles)
    found = calibrate(recipe.model.config(), workload)
    return found.machine, found.rate, MIXED if torch.cuda.is_available() else SINGLE

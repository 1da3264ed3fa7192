"""`nvlm train`: run a recipe, on one CPU or on all processes that torchrun started; can be stopped and resumed.

``--watch`` looks at a run instead.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvlm.recipes.running.conduct import Inputs, Machine

STAGES = ("pretrain", "sft")
NANO = "nano"
EXAMPLE = """\
examples:
  nvlm train nano --arch d                         backbones, features, then NVLM-D; hours on two cores
  nvlm train nano --arch h --resume                go on after Ctrl-C, with the same next batch
  nvlm train nano --arch x --set sft.steps=200     change one value of the recipe
  nvlm train smol --arch d --data sft=shards/sft/gsm8k
  nvlm train paper_34b --arch h --data pretrain=pretrain.yaml sft=sft.yaml --language Yi --vision InternViT
  torchrun --nproc-per-node 8 -m nvlm train paper_34b … --layout "FSDP 8" --precision bfloat16
  nvlm train --watch runs/nano                     the curves of a run, in this terminal, while it goes on

Ctrl-C and SIGTERM finish the step, save, and end with exit code 130 and 0; the same command with --resume goes on.
"""
OTHERS_ONLY = (
    *("stage", "data", "language", "vision", "features"),
    *("layout", "recompute", "precision", "workers", "save_every", "keep", "save_behind", "max_bad_share"),
    *("gpu", "tensorboard"),
)
"""Options that mean nothing to nano, which makes its own backbones and pictures and sees to the rest itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "recipe", nargs="?", metavar="RECIPE", help="nano, smol, paper_34b, paper_72b, or the last two with _released"
    )
    parser.add_argument(
        "--arch", choices=["d", "x", "h"], help="architecture; nano without it makes the backbones only"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the run (default: runs/nano, runs/RECIPE-ARCH)"
    )
    parser.add_argument("--stage", choices=[*STAGES, "all"], default="all", help="what to train (default: %(default)s)")
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="[STAGE=]PATH",
        help="folders of shards, or YAML files with blends; for one stage, or for all",
    )
    parser.add_argument(
        "--language", metavar="PATH", help="language model: folder, hub id, GGUF (default: the recipe's)"
    )
    parser.add_argument(
        "--vision", metavar="PATH", help="vision encoder, or a model that has one (default: the recipe's)"
    )
    parser.add_argument(
        "--features", type=Path, metavar="DIR", help="stored features of the encoder, in place of pixels"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file that changes values of the recipe")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="change a value of the recipe"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what was begun in the folder")
    parser.add_argument(
        "--watch", type=Path, metavar="RUN", help="train nothing, draw the curves of the run in this folder"
    )
    _add_machine(parser.add_argument_group("how it uses the machine"))


def _add_machine(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--layout",
        metavar="WAYS",
        help='how processes share the model, as in a plan: "FSDP 16 x HSDP 8" (default: not)',
    )
    parser.add_argument("--recompute", action="store_true", help="activations are computed again, not kept")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="default: bfloat16 on GPUs, else float32")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: torch's own choice)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="threads that read ahead (default: 2)")
    parser.add_argument(
        "--save-every", type=float, default=300, metavar="S", help="seconds between checkpoints (default: 300)"
    )
    parser.add_argument("--stopped-code", type=int, default=0, metavar="N", help="exit code after SIGTERM (default: 0)")
    parser.add_argument("--keep", type=int, default=2, metavar="K", help="checkpoints that stay (default: 2)")
    parser.add_argument(
        "--save-behind", action="store_true", help="go on while a checkpoint is written, from a copy in main memory"
    )
    parser.add_argument(
        "--max-bad-share",
        type=float,
        default=0.01,
        metavar="S",
        help="of a source's samples may be broken before training stops (default: 0.01)",
    )
    parser.add_argument("--gpu", metavar="KIND", help="h100-80g …: the log then names the share of its peak")
    parser.add_argument("--tensorboard", action="store_true", help="also write what TensorBoard reads")


def run(args: argparse.Namespace) -> int:
    """Train, or watch; 130 if Ctrl-C interrupted training, and ``--stopped-code`` if SIGTERM did (it has saved). After
    Ctrl-C under torchrun 0, since it takes any other code for a failure.

    Raises:
        ValueError, FileNotFoundError, FileExistsError: recipe, data, backbones, folder and processes do not go
            together.
    """
    if args.watch is not None:
        return _watch(args)
    if args.recipe is None:
        raise ValueError("name a recipe, as in `nvlm train nano --arch d`, or a run to look at: --watch RUN")
    return _train(args)


def _watch(args: argparse.Namespace) -> int:
    """Draw until Ctrl-C; once where nobody sees a terminal."""
    from rich.console import Console

    from nvlm.training.watch import watch

    if args.recipe is not None:
        raise ValueError(f"--watch looks at a run and trains nothing; leave out the recipe {args.recipe!r}")
    console = Console(highlight=False)
    try:
        watch(args.watch, console, once=not console.is_terminal)
    except KeyboardInterrupt:  # how one stops looking
        return 0
    return 0


def _train(args: argparse.Namespace) -> int:
    import torch

    from nvlm.training.loop import Interrupted

    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        return _nano(args) if args.recipe == NANO else _other(args)
    except Interrupted as stopped:
        if _first():
            print(stopped, file=sys.stderr)
        if stopped.signal == signal.SIGTERM:
            return int(args.stopped_code)
        return 0 if _several() else 130


def _nano(args: argparse.Namespace) -> int:
    from nvlm.recipes.nano.family import NanoRun
    from nvlm.recipes.nano.stages import NanoRecipe
    from nvlm.recipes.nano.together import DAY, make_together
    from nvlm.recipes.overrides import changed
    from nvlm.training.ranks import processes

    usual = argparse.ArgumentParser()
    add_arguments(usual)
    if given := [name for name in OTHERS_ONLY if getattr(args, name) != usual.get_default(name)]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"nano makes its own backbones and pictures; {options} is for the other recipes")
    recipe, folder = changed(NanoRecipe(), args.config, args.changes), args.out or Path("runs/nano")
    architecture = None if args.arch is None else args.arch.upper()
    if _several():
        with processes(timeout=DAY):
            make_together(recipe, folder, architecture, resume=args.resume)
    elif architecture is None:
        NanoRun(recipe, folder).make_backbones()
    else:
        NanoRun(recipe, folder).make(architecture, resume=args.resume)
    return 0


def _other(args: argparse.Namespace) -> int:
    from nvlm.recipes.known import find_recipe
    from nvlm.recipes.overrides import changed
    from nvlm.recipes.running.conduct import conduct

    if args.arch is None:
        raise ValueError(f"{args.recipe} is a recipe for each architecture; choose one with --arch d, x or h")
    recipe = changed(find_recipe(args.recipe, args.arch.upper()), args.config, args.changes)
    folder = args.out or Path("runs") / f"{args.recipe}-{args.arch}"
    stages = STAGES if args.stage == "all" else (args.stage,)
    model = conduct(recipe, _inputs(args), folder, stages, _machine(args), resume=args.resume)
    if _first():
        print(f"the model: {model}" if model else f"done; the next stage: --stage {STAGES[1]}")
    return 0


def _inputs(args: argparse.Namespace) -> "Inputs":
    from nvlm.recipes.running.blends import share_out
    from nvlm.recipes.running.build import Sources
    from nvlm.recipes.running.conduct import Inputs

    return Inputs(Sources(args.vision, args.language), share_out(args.data), args.features)


def _machine(args: argparse.Namespace) -> "Machine":
    import torch

    from nvlm.planning.gpus import find_gpu
    from nvlm.recipes.running.conduct import Machine
    from nvlm.recipes.running.layout import find_layout

    return Machine(
        layout=find_layout(args.layout, args.recompute),
        precision=args.precision or ("bfloat16" if torch.cuda.is_available() else "float32"),
        workers=args.workers,
        save_every=args.save_every,
        keep=args.keep,
        save_behind=args.save_behind,
        max_bad_share=args.max_bad_share,
        peak=find_gpu(args.gpu).peak if args.gpu else 0.0,
        tensorboard=args.tensorboard,
    )


def _several() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _first() -> bool:
    """Whether this is the only process, or the first."""
    return os.environ.get("RANK", "0") == "0"

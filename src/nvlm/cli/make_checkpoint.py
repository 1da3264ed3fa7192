"""`nvlm make-checkpoint`: a small checkpoint of random weights in a published layout, to try things out on."""

import argparse
from pathlib import Path

LIKE = "nvidia/NVLM-D-72B"
EXAMPLE = """\
examples:
  nvlm make-checkpoint --like nvidia/NVLM-D-72B --small small/
  nvlm make-checkpoint --like nvidia/NVLM-D-72B --small other/ --seed 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, metavar="DST", help="where to: a folder that is empty or not there yet")
    parser.add_argument(
        "--like",
        choices=[LIKE],
        required=True,
        metavar="NAME",
        help=f"whose layout: {LIKE} (its config fields, tensor names, dummy heads, dtype, shards, tokenizer files)",
    )
    parser.add_argument(
        "--small",
        action="store_true",
        required=True,
        help="three layers and a few hundred tokens, about 3 MB; no other size is made",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random weights (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Write the checkpoint.

    Raises:
        ValueError, OSError: the folder holds something or cannot be written.
    """
    from nvlm.checkpoints.small import write_small

    write_small(args.folder, args.seed)
    files = list(args.folder.iterdir())
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{args.folder}: {len(files)} files, {size:.1f} MB, random weights in the layout of {args.like}")
    return 0

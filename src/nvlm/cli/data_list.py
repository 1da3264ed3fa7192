"""`nvlm data list`: the paper's datasets, what of them is prepared, and where to get the rest."""

import argparse
from pathlib import Path

STAGES = ("pretrain", "sft")
EXAMPLE = """\
examples:
  nvlm data list                       every dataset of the paper, by task
  nvlm data list --root shards --stage pretrain --missing
  nvlm data list chartqa               all that is known of one
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", nargs="*", help="show everything about these datasets")
    parser.add_argument(
        "--root", type=Path, default=Path("shards"), metavar="DIR", help="prepared shards (default: %(default)s)"
    )
    parser.add_argument("--stage", choices=STAGES, help="only this stage (default: both)")
    parser.add_argument("--missing", action="store_true", help="only what is not prepared to its end")


def run(args: argparse.Namespace) -> int:
    """Print the table, or what is known of some datasets."""
    from nvlm.data.listing import describe, find_entries, table
    from nvlm.data.manifest import find_dataset

    if args.name:
        for name in args.name:
            print(describe(find_dataset(name), args.root))
        return 0
    print(table(find_entries(args.root, args.stage), args.missing))
    return 0

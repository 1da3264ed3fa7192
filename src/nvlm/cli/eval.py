"""`nvlm eval`: score a model on the held-out synthetic suite, with intervals."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

EXAMPLE = """\
examples:
  nvlm eval nano-d                                 500 held-out questions of every task
  nvlm eval runs/nano/nano-x --limit 50 --split validation
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="nano-d, nano-x, nano-h, or a folder")
    parser.add_argument("--suite", choices=["nano"], default="nano", help="what to answer (default: %(default)s)")
    parser.add_argument(
        "--split", choices=["test", "validation"], default="test", help="held-out split (default: %(default)s)"
    )
    parser.add_argument("--limit", type=int, default=500, metavar="N", help="questions per task (default: %(default)s)")
    parser.add_argument(
        "--batch", type=int, default=32, metavar="N", help="questions answered together (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")


def run(args: argparse.Namespace) -> int:
    """Answer, score, print the table."""
    from nvlm.evaluation.nano_suite import GROUPS, run_suite
    from nvlm.inference import ask_batch, load

    if args.limit < 1 or args.batch < 1:
        raise ValueError(f"--limit is {args.limit} and --batch is {args.batch}; both must be at least 1")
    model, processor = load(args.model)
    scores = run_suite(lambda asked: ask_batch(model, processor, asked), args.split, args.limit, together=args.batch)
    print(f"\n{args.model}, {args.split} split of the synthetic tasks, generated greedily")
    for group in GROUPS:
        print(f"  {group:62} {scores[group]}")
    if args.out is not None:
        args.out.write_text(
            json.dumps({name: asdict(score) for name, score in scores.items()}, indent=1), encoding="utf-8"
        )
    return 0

"""`nvlm data prepare`: convert a dataset's original files to shards that megatron-energon reads."""

import argparse
import sys
from pathlib import Path

STAGES = ("pretrain", "sft")
FORMATS = ("jsonl", "folder", "llava", "cauldron")
EXAMPLE = """\
examples:
  nvlm data prepare chartqa --from ChartQA --out shards          a dataset of the paper: shards/sft/chartqa
  nvlm data prepare coco --from coco --stage pretrain            with the prompts of pretraining
  nvlm data prepare mine --format jsonl --from rows.jsonl        rows with messages, or question and answer
  nvlm data prepare mine --format jsonl --from rows --fields question=sentence answer=label
  nvlm data prepare mine --format folder --from pictures         cat.jpg with its caption in cat.txt
  nvlm data prepare mine --format llava --from chat.json --images pictures
  nvlm data prepare chartqa --from ChartQA --retry               the rows in quarantine once more

The same command goes on where it was stopped. What cannot be used is listed in quarantine.jsonl beside the shards.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", help="a dataset of `nvlm data list`, or with --format a name of your own")
    parser.add_argument(
        "--from", type=Path, required=True, metavar="PATH", dest="source", help="the original files, unpacked"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("shards"),
        metavar="DIR",
        help="shards go to DIR/STAGE/NAME (default: %(default)s)",
    )
    parser.add_argument("--stage", choices=STAGES, help="which prompts (default: sft, or the only one of the dataset)")
    parser.add_argument(
        "--format", choices=FORMATS, help="the form of the files, of a set of your own or in another release"
    )
    parser.add_argument(
        "--fields", nargs="+", default=[], metavar="FIELD=NAME", help="what the files call a field (with --format)"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="where pictures lie that rows name (default: PATH)")
    parser.add_argument("--task", metavar="NAME", help="of the samples, for scores and logs (default: the dataset's)")
    parser.add_argument(
        "--shard-mb", type=int, default=256, metavar="N", help="a shard's size in MB (default: %(default)s)"
    )
    parser.add_argument(
        "--max-bad-share",
        type=float,
        default=0.01,
        metavar="X",
        help="stop when a larger share of rows cannot be used (default: %(default)s)",
    )
    parser.add_argument("--retry", action="store_true", help="try the rows in quarantine again")


def run(args: argparse.Namespace) -> int:
    """Convert; 130 if it was interrupted."""
    from nvlm.data.plan import make_plan
    from nvlm.data.prepare import prepare
    from nvlm.data.prepared import read_prepared

    plan = make_plan(
        args.name,
        args.source,
        args.out,
        stage=args.stage,
        format=args.format,
        fields=args.fields,
        images=args.images,
        task=args.task,
        shard_bytes=args.shard_mb * 10**6,
        max_bad_share=args.max_bad_share,
    )
    before = read_prepared(plan.out)
    if before is not None and before.complete and not args.retry:
        print(f"{plan.out} is complete already:")
        return _report(plan.out, before.samples, before.bad, plan.rows)
    try:
        after = prepare(plan, args.retry)
    except KeyboardInterrupt:
        kept = read_prepared(plan.out)
        count = 0 if kept is None else kept.samples
        print(f"\nnvlm: interrupted; {count:,} samples are kept, and the same command goes on", file=sys.stderr)
        return 130
    return _report(plan.out, after.samples, after.bad, plan.rows)


def _report(out: Path, samples: int, bad: int, expected: int | None) -> int:
    wanted = "how many there should be is not known" if expected is None else f"the manifest expects {expected:,}"
    print(f"{samples:,} samples in {out}; {wanted}")
    if bad:
        print(f"{bad:,} rows cannot be used: {out / 'quarantine.jsonl'} says why; --retry tries them again")
    return 0

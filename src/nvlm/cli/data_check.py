"""`nvlm data check`: which training samples are also in evaluation sets."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvlm.data.check import Evaluation, Finding

SHOWN = 10
EXAMPLE = """\
examples:
  nvlm data check shards/sft/chartqa --against eval/chartqa
  nvlm data check shards/sft/* --against eval/mmlu eval/docvqa --report found.jsonl
  nvlm data check blend.yaml --against eval --exclude       leave out of the shards' metadata what was found

Exit code 1 says that something was found and not left out.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shards", type=Path, nargs="+", help="prepared folders, or blends (.yaml) that name them")
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="evaluation sets: prepared folders, files of rows (JSON, JSONL, CSV, Parquet), pictures, folders of such",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write every finding as a line of JSON")
    parser.add_argument("--filter", type=Path, metavar="FILE", help="write the places of what was found, one a line")
    parser.add_argument("--exclude", action="store_true", help="leave what was found out of its folders from now on")


def run(args: argparse.Namespace) -> int:
    """Look, print, write; 1 if something was found and not left out."""
    from nvlm.data.check import exclude, read_evaluation, shard_folders

    folders = shard_folders(args.shards)
    evaluation = read_evaluation(args.against)
    for path, items in evaluation.items.items():
        print(f"against {path}: {items:,} items")
    tested = len(evaluation.runs.names) - evaluation.runs.untested
    print(
        f"{tested:,} items have texts of 13 words or more, the others' texts cannot be tested; "
        f"{len(evaluation.looks.names):,} pictures"
    )
    found = {folder: _look(folder, evaluation) for folder in folders}
    everything = [finding for each in found.values() for finding in each]
    if args.report is not None:
        args.report.write_text(
            "".join(json.dumps(asdict(finding), ensure_ascii=False) + "\n" for finding in everything), encoding="utf-8"
        )
    if args.filter is not None:
        places = dict.fromkeys(f"{finding.folder}/{finding.place}" for finding in everything)
        args.filter.write_text("".join(f"{place}\n" for place in places), encoding="utf-8")
    if args.exclude:
        for folder, own in found.items():
            exclude(folder, (finding.place for finding in own))
        print(f"{len({(each.folder, each.place) for each in everything}):,} samples are left out from now on")
    return 1 if everything and not args.exclude else 0


def _look(folder: Path, evaluation: "Evaluation") -> "list[Finding]":
    """The findings in a folder, the first of them printed."""
    from nvlm.data.check import findings
    from nvlm.data.prepared import read_prepared
    from nvlm.data.progress import Progress

    prepared = read_prepared(folder)
    progress = Progress(str(folder), None if prepared is None else prepared.samples)
    found: list[Finding] = []
    samples, last = 0, ""
    for finding in findings(folder, evaluation):
        if finding is None or finding.place != last:
            samples += 1
        if finding is not None:
            last = finding.place
            found.append(finding)
        progress.update(samples, f"  {len(found):,} found")
    progress.close()
    texts = sum(finding.kind == "text" for finding in found)
    print(f"{folder}: {samples:,} samples; {texts:,} share text, {len(found) - texts:,} share a picture")
    for finding in found[:SHOWN]:
        print(f"  {finding.place}  {finding.id}  {finding.kind}  {finding.item}  {finding.detail}")
    if len(found) > SHOWN:
        print(f"  … and {len(found) - SHOWN:,} more")
    return found

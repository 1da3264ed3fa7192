"""`nvlm eval`: score a model on benchmarks, with intervals, and against its bare language model."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvlm.evaluation.ranks import Ranks
    from nvlm.evaluation.runner import Answerer, Job

EXAMPLE = """\
examples:
  nvlm eval nano-d                                           the built-in suite, 500 questions of every task
  nvlm eval nano-h --limit 50 --split validation             fewer, of another split
  nvlm eval nano-h --suite chartqa,docvqa --data sets --out runs/eval/nano-h
  nvlm eval nano-h --suite nano --baseline nano-lm           text-only scores against the bare language model
  nvlm eval runs/mine --suite text --data sets --baseline models/my-lm
  nvlm eval http://localhost:8000/v1 --model-name peer --suite vision --data sets
  nvlm eval --list                                           every benchmark, and where to get it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "model", nargs="?", help="nano-d, nano-x, nano-h, a folder, or the address of an OpenAI-compatible server"
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="list the suites and benchmarks: where to get each, and how it is asked, read and scored",
    )
    parser.add_argument(
        "--suite",
        default="nano",
        metavar="NAME,…",
        help="nano, vision, text, small, all, or names of benchmarks (default: %(default)s)",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of a set, or of several by their names")
    parser.add_argument("--split", help="of the sets (default: the first that `--list` shows)")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only the first N questions of each (default: all, of nano's tasks 500)"
    )
    parser.add_argument(
        "--batch", type=int, default=32, metavar="N", help="questions answered together (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="keep every answer and the scores; the same command goes on from there"
    )
    parser.add_argument("--baseline", metavar="LM", help="bare language model to compare text-only scores with")
    parser.add_argument("--model-name", metavar="NAME", help="what the server at the address calls the model")
    parser.add_argument(
        "--allow-unsandboxed",
        action="store_true",
        help="run the programs that a model writes for humaneval also where they cannot be confined",
    )
    parser.add_argument("--judge", metavar="URL", help="server of a model that reads MathVista's long answers")
    parser.add_argument("--judge-model", metavar="NAME", help="what that server calls it")


def run(args: argparse.Namespace) -> int:
    """Ask, score, print."""
    if args.list:
        _print_list()
        return 0
    _check(args)
    from nvlm.evaluation.ranks import joined

    with joined() as ranks:
        try:
            return _evaluate(args, ranks)
        except KeyboardInterrupt:
            if args.out is not None and ranks.rank == 0:
                print(f"\nthe answers so far are in {args.out}; the same command goes on from there", file=sys.stderr)
            raise


def _check(args: argparse.Namespace) -> None:
    from nvlm.evaluation.remote import is_address

    if args.model is None:
        raise ValueError("no model is named: a shipped one, a folder, or the address of a server")
    if (args.limit is not None and args.limit < 1) or args.batch < 1:
        raise ValueError(f"--limit is {args.limit} and --batch is {args.batch}; both must be at least 1")
    if is_address(args.model) != (args.model_name is not None):
        raise ValueError("an address as the model and --model-name go together: which of its models shall answer?")
    if (args.judge is None) != (args.judge_model is None):
        raise ValueError("--judge and --judge-model go together")


def _evaluate(args: argparse.Namespace, ranks: "Ranks") -> int:
    from nvlm.evaluation.answering import LanguageModel, find_language_model
    from nvlm.evaluation.session import BASELINE, claim, evaluate, summary, write_scores
    from nvlm.evaluation.suites import jobs

    planned, left_out = jobs(args.suite, args.split, args.data, args.limit, args.allow_unsandboxed)
    planned = _judged(planned, args)
    say: Callable[[str], None] = print if ranks.rank == 0 else lambda line: None
    for error in left_out.values():
        say(f"left out: {error}")
    bare = None if args.baseline is None else find_language_model(args.baseline)
    identity, answerer = _answerer(args, ranks)
    if args.out is not None and ranks.rank == 0:
        claim(args.out, _what(args, identity, planned))
        if bare is not None:
            claim(args.out / BASELINE, _what(args, _identity(str(bare)), planned))
    ranks.wait()
    baseline = None if bare is None else lambda: LanguageModel(bare, _device(ranks))
    done = evaluate(planned, answerer, baseline=baseline, batch=args.batch, folder=args.out, ranks=ranks, say=say)
    for line in summary(done):
        say(line)
    if left_out:
        say(f"left out, as said above: {', '.join(left_out)}")
    if args.out is None:
        say("without --out the answers are not kept")
    elif ranks.rank == 0:
        say(f"scores: {write_scores(done, args.out, left_out)}; answers: {args.out}/NAME.jsonl")
    return 0


def _answerer(args: argparse.Namespace, ranks: "Ranks") -> "tuple[str, Answerer]":
    """What the model is called in the folder of answers, and the model."""
    from nvlm.evaluation.answering import LocalModel
    from nvlm.evaluation.remote import RemoteModel, is_address
    from nvlm.inference.load import find_source, load

    if is_address(args.model):
        return f"{args.model_name} at {args.model}", RemoteModel(args.model, args.model_name)
    return _identity(find_source(args.model)), LocalModel(*load(args.model, _device(ranks)))


def _identity(source: str) -> str:
    from nvlm.evaluation.session import fingerprint

    folder = Path(source)
    return f"{folder.name} ({fingerprint(folder)})" if folder.is_dir() else source


def _device(ranks: "Ranks") -> str | None:
    """A GPU of its own for each process of a machine; the usual choice where there is one process."""
    import torch

    return f"cuda:{ranks.local}" if ranks.count > 1 and torch.cuda.is_available() else None


def _judged(planned: "list[Job]", args: argparse.Namespace) -> "list[Job]":
    """The jobs, with the judge in place of rules where a benchmark can have one."""
    from nvlm.evaluation.remote import RemoteModel

    if args.judge is None:
        return planned
    if not any(job.benchmark.judged for job in planned):
        raise ValueError(f"--judge is for mathvista, which is not in --suite {args.suite}")
    judge = RemoteModel(args.judge, args.judge_model)
    return [
        replace(job, benchmark=replace(job.benchmark, grade=job.benchmark.judged(judge.ask)))
        if job.benchmark.judged
        else job
        for job in planned
    ]


def _what(args: argparse.Namespace, identity: str, planned: "list[Job]") -> dict[str, str]:
    """What decides the answers of a run, and so must be the same for it to go on."""
    what = {"model": identity, "suite": args.suite, "split": ", ".join(sorted({job.split for job in planned}))}
    return what | ({"judge": f"{args.judge_model} at {args.judge}"} if args.judge else {})


def _print_list() -> None:
    from nvlm.evaluation.suites import BENCHMARKS, SUITES

    for name in SUITES:
        print(f"--suite {name:12} {len(SUITES[name])} benchmarks")
    for each in BENCHMARKS.values():
        if each.made is None:
            print(f"\n{each.name}  (splits: {', '.join(each.splits)})")
            print(f"  get      {each.origin}")
            print(f"  files    {'; or '.join(layout.pattern for layout in each.splits[each.default_split])}")
            print(f"  licence  {each.licence}")
            print(f"  cite     {each.citation}")
            print(f"  prompt   {each.prompt}")
            print(f"  answer   {each.decoding}")
            print(f"  read     {each.extraction}")
            print(f"  metric   {each.metric}")
    print(f"\nnano: {', '.join(name for name, each in BENCHMARKS.items() if each.made)}")

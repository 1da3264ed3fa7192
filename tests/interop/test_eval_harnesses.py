"""The sets and tasks of `make interop-eval`, and how answers are held against each other, without the harnesses."""

import json
from pathlib import Path

import pytest
import yaml
from benchmarks.interop_eval.__main__ import Compared, Said, comparisons, rendered
from benchmarks.interop_eval.fixture import CHARTS, SUBJECTS, TEXTS, write_sets, write_tasks

from nvlm.evaluation.suites import jobs

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    return folder


def test_the_sets_are_read_as_published(sets: Path) -> None:
    planned, _ = jobs("mmlu,gsm8k,chartqa", data=sets)
    assert [job.count() for job in planned] == [2 * TEXTS, TEXTS, CHARTS]
    assert all(next(job.questions()).prompt for job in planned)


def test_tasks_include_the_harness_s_own_and_name_files_that_are_there(sets: Path, tmp_path: Path) -> None:
    base = tmp_path / "lm_eval/tasks/mmlu/default/_default_template_yaml"
    base.parent.mkdir(parents=True)
    base.write_text("dataset_path: cais/mmlu\n")
    write_tasks(tmp_path / "tasks", sets, tmp_path / "lm_eval", tmp_path / "lmms_eval")
    tasks = [yaml.safe_load(path.read_text()) for path in sorted((tmp_path / "tasks").rglob("*.yaml"))]
    named = {task["task"]: task for task in tasks if "task" in task}
    assert set(named) == {*(f"nvlm_mmlu_{subject}" for subject in SUBJECTS), "nvlm_gsm8k", "nvlm_chartqa"}
    for task in named.values():
        assert all(Path(file).is_file() for file in task["dataset_kwargs"]["data_files"].values())
    first = json.loads((tmp_path / "tasks/text/astronomy_dev.jsonl").read_text().splitlines()[0])
    assert first["question"].startswith("The following are multiple choice questions (with answers) about astronomy.")


@pytest.mark.parametrize(
    ("theirs", "ours", "same"),
    [
        (Said("A", 1.0, (-5.0, -6.0)), Said("A", 1.0, (-1.0, -2.0)), True),  # all lower by the newline's
        (Said("A", 1.0, (-5.0, -6.0)), Said("A", 1.0, (-1.0, -2.1)), False),
        (Said("A", 1.0), Said("B", 1.0), False),
        (Said("A", 1.0), Said("A", 0.0), False),
    ],
)
def test_what_counts_as_the_same(theirs: Said, ours: Said, same: bool) -> None:
    assert Compared("toy", "lm_eval", [theirs], [ours]).same is same


def test_a_harness_that_logged_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/mmlu.jsonl").write_text("")
    with pytest.raises(SystemExit, match="the harness logged 0 files about nvlm_mmlu_astronomy"):
        next(comparisons(tmp_path))


def test_the_report_has_a_row_for_each(sets: Path) -> None:
    said = [Said("A", 1.0, (-1.0, -2.0)), Said("B", 0.0, (-2.0, -1.0))]
    page = rendered([Compared("MMLU", "lm_eval", said, said)], {"lm_eval": "0.4.13"}, "nano-h")
    assert "| MMLU | lm_eval | 2 | 0.5000 | 0.5000 | 2 | 0.0e+00 |" in page

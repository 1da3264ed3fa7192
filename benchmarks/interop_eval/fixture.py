"""Small sets in their published layouts, and the harnesses' own tasks pointed at the same files."""

import csv
import io
import json
import random
from pathlib import Path

import pyarrow as arrow
from pyarrow import parquet

from nvlm.data.sample import Sample
from nvlm.data.synthetic.problem import Turn
from nvlm.data.synthetic.tasks import questions

SUBJECTS = ("astronomy", "high_school_us_history")
WORDS = ("red", "blue", "green", "yellow", "north", "south", "east", "west")
TEXTS, CHARTS = 12, 24
"""Questions of each text set's file, and about pictures."""

ABOUT = "The following are multiple choice questions (with answers) about {}.\n\n"
"""What MMLU's prompts begin with. lm_eval would put it into the system turn of a chat; here it stands in the user's."""

PHRASE = "\\nAnswer the question using a single word or phrase."
CELL = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
FEATURES = {name: {"dtype": "string", "_type": "Value"} for name in ("type", "question", "answer")}
CHART = arrow.schema(
    [*((name, arrow.string()) for name in FEATURES), ("image", CELL)],
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES | {"image": {"_type": "Image"}}}})},
)
"""Columns of ChartQA; the note tells `datasets` which of them holds pictures."""


def write_sets(folder: Path) -> None:
    """MMLU, GSM8K and ChartQA, as `nvlm eval --data` reads them."""
    dice = random.Random(0)
    for split, count in (("dev", 5), ("test", TEXTS)):
        for subject in SUBJECTS:
            rows = [
                (f"Which word is number {number}?", *dice.sample(WORDS, 4), dice.choice("ABCD"))
                for number in range(count)
            ]
            with _new(folder / "mmlu" / split / f"{subject}_{split}.csv").open("w", newline="") as file:
                csv.writer(file).writerows(rows)
    for split in ("train", "test"):
        pairs = [(dice.randint(1, 9), dice.randint(1, 9)) for _ in range(TEXTS)]
        lines = [json.dumps(_sum(*pair)) for pair in pairs]
        _new(folder / "gsm8k" / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    # numbers to read, which nano answers alone; looked-up values it answers after their labels
    table = arrow.Table.from_pylist([_chart(*drawn) for drawn in questions("test", "read/number", CHARTS)], CHART)
    path = _new(folder / "chartqa" / "data" / "test-00000-of-00001.parquet")
    parquet.write_table(table, path)


def _sum(first: int, second: int) -> dict[str, str]:
    total = first + second
    return {
        "question": f"Ann has {first} apples and gets {second} more. How many has she?",
        "answer": f"{first} + {second} = <<{first}+{second}={total}>>{total}\n#### {total}",
    }


def _chart(sample: Sample, turn: Turn) -> dict[str, object]:
    file = io.BytesIO()
    sample.images[0].save(file, "PNG")
    row = {"type": "human_test", "question": turn.question, "answer": turn.answer}
    return row | {"image": {"bytes": file.getvalue(), "path": None}}


def write_tasks(folder: Path, sets: Path, lm_eval: Path, lmms_eval: Path) -> None:
    """Each harness's own task, with its data replaced, and its words where ours differ on purpose.

    Args:
        lm_eval, lmms_eval: where the harnesses are installed.
    """
    base = (lm_eval / "tasks/mmlu/default/_default_template_yaml").read_text()
    _new(folder / "text" / "mmlu.yaml").write_text(base.replace("dataset_path: cais/mmlu", "dataset_path: json"))
    for subject in SUBJECTS:
        files = {}
        for split in ("dev", "test"):
            with (sets / "mmlu" / split / f"{subject}_{split}.csv").open(newline="") as file:
                rows = [
                    {"question": question, "choices": choices, "answer": "ABCD".index(answer)}
                    for question, *choices, answer in csv.reader(file)
                ]
            if split == "dev":
                rows[0]["question"] = f"{ABOUT.format(subject.replace('_', ' '))}{rows[0]['question']}"
            files[split] = folder / "text" / f"{subject}_{split}.jsonl"
            files[split].write_text("".join(json.dumps(row) + "\n" for row in rows))
        text = f"include: mmlu.yaml\ntask: nvlm_mmlu_{subject}\n{_data(files)}"
        (folder / "text" / f"{subject}.yaml").write_text(text)
    files = {split: sets / "gsm8k" / f"{split}.jsonl" for split in ("train", "test")}
    text = f"include: {lm_eval}/tasks/gsm8k/gsm8k.yaml\ntask: nvlm_gsm8k\ndataset_path: json\ndataset_name: null\n"
    (folder / "text" / "gsm8k.yaml").write_text(f"{text}{_data(files)}fewshot_config:\n  sampler: first_n\n")
    files = {"test": sets / "chartqa" / "data" / "test-00000-of-00001.parquet"}
    text = f"include: {lmms_eval}/tasks/chartqa/chartqa.yaml\ntask: nvlm_chartqa\ndataset_path: parquet\n{_data(files)}"
    words = f'lmms_eval_specific_kwargs:\n  default:\n    pre_prompt: ""\n    post_prompt: "{PHRASE}"\n'
    _new(folder / "vision" / "chartqa.yaml").write_text(text + words)


def _data(files: dict[str, Path]) -> str:
    return "dataset_kwargs:\n  data_files:\n" + "".join(f"    {split}: {path}\n" for split, path in files.items())


def _new(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
